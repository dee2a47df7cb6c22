"""A template in words: its row in the list, and the preview of what it makes of a question.

Pure functions over what the templates' room found. Knows no file and no widget.
"""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from llmchat_tui.recipe import Recipe
from llmchat_tui.recipe_words import recipe_line
from llmchat_tui.sanitize import sanitize, sanitize_line
from llmchat_tui.templates.finding import Listed
from llmchat_tui.templates.values import Template

_SHOTS = 3
"""Examples in the preview."""
_LONGEST = 600
"""Characters of a text in the preview."""


def template_row(listed: Listed, width: int, *, used: bool) -> Content:
    """Returns a row of the list.

    Args:
        listed: the template.
        width: of the column of names.
        used: whether the chat is asked by it.
    """
    name = Content(sanitize_line(listed.name)).truncate(width, ellipsis=True, pad=True)
    mark = ("● " if used else "  ", "$text-accent")
    if listed.problem:
        return Content.assemble(mark, name, ("  cannot be used", "$text-error"))
    own = (" · yours" if listed.path else "", "$text-accent")
    return Content.assemble(mark, name, (f"  {sanitize_line(listed.description)}", "$text-muted"), own)


def preview(listed: Listed) -> Content:
    """Returns what a template makes of a question, or why it cannot be used."""
    if listed.problem or listed.template is None:
        return _problem(listed)
    parts = [part for heading, text in _sections(listed.template) for part in _section(heading, text)]
    return Content("\n").join(parts)


def _problem(listed: Listed) -> Content:
    error = listed.problem
    lines = [error.what, error.why, error.hint] if error else ["it cannot be used"]
    return Content("\n").join(Content(sanitize(text)).stylize("$text-error") for text in lines if text)


def _section(heading: str, text: str) -> Iterator[Content]:
    yield Content.assemble((heading, "$text-accent"))
    yield Content(_short(text))
    yield Content("")


def _sections(found: Template) -> Iterator[tuple[str, str]]:
    """Yields the parts of a template that say something, each under its heading."""
    if found.description:
        yield "what it is for", found.description
    if found.params:
        yield "parameters", "\n".join(f"{name} = {value or '(must be given)'}" for name, value in found.params.items())
    if found.system:
        yield "system prompt", found.system
    if found.user:
        yield "a question is sent as", found.user
    if found.shots:
        yield _shots_heading(found), _shots(found)
    if line := recipe_line(_recipe(found)):
        yield "how it is asked", line
    if found.sampling:
        yield "sampling", "\n".join(f"{name} = {_said(value)}" for name, value in found.sampling.items())
    if form := found.schema or found.grammar:
        yield ("answers follow the schema" if found.schema else "answers follow"), form
    if found.collections:
        yield "documents", ", ".join(found.collections)
    yield "file", str(found.path or "built in")


def _shots_heading(found: Template) -> str:
    count = len(found.shots) if found.num_shots is None else min(found.num_shots, len(found.shots))
    of = f" of {len(found.shots)}, by {found.shots_by}" if count < len(found.shots) else ""
    return f"{count} example{'s' * (count != 1)}{of}"


def _shots(found: Template) -> str:
    lines = [f"{_one_line(shot.input)} → {_one_line(shot.output)}" for shot in found.shots[:_SHOTS]]
    more = len(found.shots) - _SHOTS
    return "\n".join([*lines, *([f"and {more:,} more"] if more > 0 else [])])


def _recipe(found: Template) -> Recipe:
    """Returns what is neither text nor example of a template."""
    return Recipe(
        cot=found.cot,
        votes=found.votes,
        think=found.think,
        think_budget=found.think_budget,
        keep_thoughts=found.keep_thoughts,
    )


def _said(value: object) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, (tuple, list)) else str(value)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST // 4 else f"{line[: _LONGEST // 4]}…"


def _short(text: str) -> str:
    shown = sanitize(text.strip("\n"))
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
