"""How the questions of a chat are asked, in words: for the header, the pages, and what refuses to go together.

Pure functions over a recipe. Knows no screen, no template file and no engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import Recipe

_THINK = {"on": "thinks", "off": "does not think"}


def recipe_line(recipe: Recipe) -> str:
    """Returns what is not as usual, in a few words for a line; empty where all is."""
    template = f"template {recipe.template}" if recipe.template else ""
    return " · ".join(part for part in (template, *_parts(recipe)) if part)


def recipe_name(recipe: Recipe) -> str:
    """Returns the same where there is little room: a template says it all."""
    return f"template {recipe.template}" if recipe.template else recipe_line(recipe)


def recipe_rows(recipe: Recipe) -> list[tuple[str, str]]:
    """Returns everything that a recipe says, row by row."""
    return [
        ("template", recipe.template or "none"),
        ("examples", str(len(recipe.shots)) if recipe.shots else "none"),
        ("words around", " ".join(recipe.wrapped("$input").split()) if recipe.wrapper else "none"),
        ("chain of thought", recipe.cot),
        ("votes", str(recipe.votes) if recipe.votes else "off"),
        ("think", _think(recipe)),
        ("keep thoughts", "on" if recipe.keep_thoughts else "off"),
        ("answers follow", "a JSON schema" if recipe.schema else "a grammar" if recipe.grammar else "nothing"),
    ]


def check_beside_documents(recipe: Recipe, collections: Sequence[str], *, docs_are_new: bool = False) -> None:
    """Checks that a chat that is answered from documents asks for one plain answer.

    Args:
        recipe: how its questions are asked.
        collections: what they are answered from.
        docs_are_new: whether the documents are what was asked for last, for the words of the refusal.

    Raises:
        UsageError: both cannot be had at once.
    """
    asks = [name for name, on in (("a chain of thought", recipe.cot != "off"), ("votes", recipe.votes > 0)) if on]
    if not collections or not asks:
        return
    reason = "from documents there is one answer, without a chain of thought"
    wanted, helps = ("documents", "/cot off, /votes off") if docs_are_new else (" and ".join(asks), "/docs off")
    raise UsageError(f"this chat cannot have {wanted} now", reason, helps)


def _parts(recipe: Recipe) -> list[str]:
    shots = len(recipe.shots)
    return [
        f"{shots} example{'s' * (shots != 1)}" if shots else "",
        f"cot {recipe.cot}" if recipe.cot != "off" else "",
        f"{recipe.votes} votes" if recipe.votes else "",
        _thinks(recipe),
        "keeps thoughts" if recipe.keep_thoughts else "",
        "schema" if recipe.schema else "grammar" if recipe.grammar else "",
    ]


def _thinks(recipe: Recipe) -> str:
    if recipe.think_budget is not None and recipe.think != "off":
        return f"thinks at most {recipe.think_budget:,} tokens"
    return _THINK.get(recipe.think, "")


def _think(recipe: Recipe) -> str:
    return _thinks(recipe) if recipe.think_budget is not None else recipe.think
