"""How a question is asked: the flags over a template, or over the chat that goes on; and a template made of the flags.

Everything is laid over one `Template` value, so that what is asked and what --save keeps cannot differ. Starts no
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmchat_tui.asked import ALL
from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import PLAIN, Recipe, recipe_of
from llmchat_tui.templates.values import Template

if TYPE_CHECKING:
    from llmchat_engine import Sampling
    from llmchat_tui.cli.app import App
    from llmchat_tui.cli.ask_flags import AskFlags
    from llmchat_tui.cli.prompting_options import PromptingFlags
    from llmchat_tui.config import Config
    from llmchat_tui.history import Conversation
    from llmchat_tui.inputs import Limits

_SHOT_FILES = (".jsonl", ".json", ".csv", ".tsv")
_NO_SHOTS = "--shots FILE, or -t NAME of a template that has some"


def named_template(app: App, flags: PromptingFlags) -> Template | None:
    """Returns the template of -t; None where none was named.

    Raises:
        UserError: there is none of that name, or it cannot be used.
    """
    if not flags.template:
        return None
    from llmchat_tui.templates.finding import find_template

    return find_template(flags.template, app.paths.templates_dir)


def asked_by(
    app: App,
    flags: PromptingFlags,
    template: Template | None,
    chat: Conversation | None,
    warn: Callable[[str], None],
) -> Template:
    """Returns how it is asked, as a template: the flags over the one of -t, else over what the chat does.

    Raises:
        UserError: a file or a schema cannot be used, or examples are spoken of where there are none.
    """
    from llmchat_tui.inputs import Limits

    base = template or _as_template(recipe_of(chat.recipe) if chat else PLAIN)
    base = _formed(_with_shots(app, flags, base), flags, Limits(app.config.settings.stdin_limit_mib), warn)
    think, budget = flags.thinking or (base.think, base.think_budget)
    votes = base.votes if flags.votes is None else flags.votes
    cot = flags.cot or base.cot
    if votes and flags.votes and not flags.cot and cot == "off":
        cot = "zero-shot"
    if cot == "few-shot" and (base.num_shots == 0 or not any(shot.reasoning for shot in base.shots)):
        hint = _NO_SHOTS if flags.cot else "--cot off"
        raise UsageError("--cot few-shot needs examples that show their reasoning", "there are none", hint)
    return replace(
        base,
        cot=cot,
        votes=votes,
        think=think,
        think_budget=budget,
        keep_thoughts=flags.keep_thoughts or base.keep_thoughts,
    )


def recipe_for(app: App, flags: PromptingFlags, asked: Template, question: str, seed: int | None) -> Recipe:
    """Returns the recipe of a question.

    Args:
        app: opens the embedder where examples are chosen by similarity.
        flags: the parameters.
        asked: how it is asked.
        question: that examples are compared with.
        seed: of a choice at random.

    Raises:
        UserError: a parameter is missing or unknown.
        RagError: there is no embedder.
    """
    from llmchat_tui.templates.applying import recipe_from

    return recipe_from(asked, dict(flags.params), question, seed=seed, embed=lambda texts: _embedded(app, texts))


def sampling_for(
    config: Config,
    given: Mapping[str, Any],
    template: Template | None,
    chat: Conversation | None,
    of_model: Mapping[str, Any] = MappingProxyType({}),
) -> Sampling:
    """Returns the sampling: flags, environment, template, chat, the model's own, the settings, the first that says.

    Args:
        config: the settings, from the environment and the file.
        given: by flags.
        template: the one of -t.
        chat: the one that goes on.
        of_model: the settings that the model has to itself.
    """
    own = {**of_model, **(chat.sampling if chat else {}), **(template.sampling if template else {})}
    return replace(config.sampling, **open_sampling(config, own) | dict(given))


def open_sampling(config: Config, own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a chat or a template says of sampling, without what the environment says."""
    known = {name: value for name, value in own.items() if hasattr(config.sampling, name)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in known.items()
        if not config.origin(name).startswith("LLMCHAT_")
    }


def check_documents(recipe: Recipe, collections: Sequence[str]) -> None:
    """Raises where a chat shall reason and be answered from documents.

    Raises:
        UsageError: it cannot.
    """
    if collections and (recipe.votes or recipe.cot != "off"):
        why = "from documents there is one answer, without a chain of thought"
        raise UsageError(
            "this chat reasons, and asks no documents", why, "another chat without -t, or without documents"
        )


def keep_as_template(app: App, flags: AskFlags, asked: Template, system: str, given: Mapping[str, Any]) -> Path:
    """Writes the template of --save and returns its file.

    Args:
        app: knows where.
        flags: its name, and the documents.
        asked: how it is asked.
        system: the system prompt.
        given: what was typed of sampling.

    Raises:
        UserError: there is one of that name, or it cannot be written.
    """
    from llmchat_tui.cli.docs_common import as_name
    from llmchat_tui.templates.writing import save_template

    made = replace(
        asked,
        name=flags.prompting.save,
        system=system,
        sampling=dict(given),
        collections=tuple(map(as_name, flags.collections)) or ((ALL,) if flags.docs else ()),
        docs_k=flags.docs_k,
        cite=flags.cite,
    )
    return save_template(made, app.paths.templates_dir, replace=False)


def _with_shots(app: App, flags: PromptingFlags, base: Template) -> Template:
    """Returns a template with the examples that were asked for."""
    if flags.shots:
        base = _shots_of(app, flags.shots, base)
    count = base.num_shots if flags.num_shots is None else flags.num_shots
    if (flags.num_shots or flags.shots_by) and not base.shots:
        raise UsageError("--num-shots and --shots-by are about examples", "there are none", _NO_SHOTS)
    if flags.shots_by and count is None:
        raise UsageError("--shots-by chooses some of the examples", "all of them come along", "add -k 4")
    return replace(base, num_shots=count, shots_by=flags.shots_by or base.shots_by)


def _shots_of(app: App, source: str, base: Template) -> Template:
    """Returns a template with the examples of a file, or of another template."""
    path = Path(source).expanduser()
    if path.suffix.lower() in _SHOT_FILES or "/" in source or path.is_file():
        from llmchat_tui.templates.shots import read_shots

        return replace(base, shots=read_shots(path), num_shots=None, shots_by="order")
    from llmchat_tui.templates.finding import find_template

    other = find_template(source, app.paths.templates_dir)
    if not other.shots:
        raise UsageError(f"the template {other.name} has no examples", "", f"llmchat templates show {other.name}")
    return replace(base, shots=other.shots, num_shots=other.num_shots, shots_by=other.shots_by)


def _formed(base: Template, flags: PromptingFlags, limits: Limits, warn: Callable[[str], None]) -> Template:
    """Returns a template with the form of the answer that was asked for."""
    if not flags.form_flag():
        return base
    if flags.grammar_file is not None:
        return replace(base, schema="", grammar=_grammar(flags.grammar_file, limits, warn))
    if flags.form == "text":
        return replace(base, schema="", grammar="")
    from llmchat_engine.grammar import constraint_text
    from llmchat_tui.schemas import ANY_OBJECT, schema_from, several_of

    if flags.schema_multi is not None:
        schema = several_of(schema_from(flags.schema_multi))
        constraint_text("", schema)
    else:
        schema = ANY_OBJECT if flags.schema is None else schema_from(flags.schema)
    return replace(base, schema=schema, grammar="")


def _grammar(file: Path, limits: Limits, warn: Callable[[str], None]) -> str:
    """Returns the text of a grammar; one that cannot be used is refused before a model is loaded for it."""
    from llmchat_engine.errors import RequestInvalid
    from llmchat_engine.grammar import check_grammar
    from llmchat_tui.inputs import read_text

    try:
        text = read_text(file, limits, warn)
        check_grammar(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read", error.strerror or "") from error
    except RequestInvalid as error:
        raise UsageError(f"{file} cannot be used as a grammar", error.why, error.hint) from error
    return text


def _as_template(recipe: Recipe) -> Template:
    """Returns a recipe as the template that asks exactly so."""
    return Template(
        recipe.template,
        user=recipe.wrapper,
        shots=recipe.shots,
        cot=recipe.cot,
        votes=recipe.votes,
        think=recipe.think,
        think_budget=recipe.think_budget,
        keep_thoughts=recipe.keep_thoughts,
        schema=recipe.schema,
        grammar=recipe.grammar,
    )


def _embedded(app: App, texts: Sequence[str]) -> list[list[float]]:
    embedder = app.embedder(passages=False)
    return [[float(value) for value in embedder.encode_query(text)] for text in texts]
