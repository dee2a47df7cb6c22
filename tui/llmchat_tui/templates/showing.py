"""What a template is, in rows, and the messages that it makes of a question. Paints nothing and asks nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from llmchat_engine import Message
from llmchat_engine.prompting.chain_of_thought import asked
from llmchat_tui.composing import compose
from llmchat_tui.placeholders import parameter_of
from llmchat_tui.templates.applying import recipe_from
from llmchat_tui.templates.values import Template
from llmchat_tui.toml_edit import toml_value

_LONGEST = 200


def rows_of(template: Template) -> list[tuple[str, str]]:
    """Returns what a template says beside its texts: names and values, the usual left out."""
    return [(name, value) for name, value in _rows(template) if value]


def example_messages(template: Template, params: Mapping[str, str], question: str) -> tuple[Message, ...]:
    """Returns the messages that the model would be given.

    Args:
        template: which asks.
        params: its parameters; one that is needed and not given shows as its name.
        question: what is asked.

    Raises:
        UsageError: a parameter is unknown.
    """
    shown = {name: f"<{name}>" for name, default in template.params.items() if not default}
    plain = replace(template, schema="", grammar="", shots_by="order")  # what they are left to may not be given
    recipe = recipe_from(plain, {**shown, **params}, question)
    return compose(template.system, (), asked(recipe.wrapped(question), recipe.cot), recipe=recipe)


def _rows(template: Template) -> Iterator[tuple[str, str]]:
    for name, default in template.params.items():
        yield f"-p {name}", f"{default}" if default else "must be given"
    yield "shots", _shots(template)
    yield "cot", template.cot if template.cot != "off" else ""
    yield "votes", str(template.votes or "")
    yield "think", _think(template)
    yield "answer", _form(template)
    yield "sampling", ", ".join(f"{name} {toml_value(value)}" for name, value in template.sampling.items())
    yield "documents", _documents(template)


def _shots(template: Template) -> str:
    count = len(template.shots)
    if template.num_shots is None or template.num_shots >= count:
        return str(count or "")
    ways = {"order": "the first", "random": "any", "similar": "those nearest to the question"}
    return f"{template.num_shots} of {count}, {ways[template.shots_by]}"


def _think(template: Template) -> str:
    budget = "" if template.think_budget is None else f"at most {template.think_budget:,} tokens"
    kept = "thoughts stay in the prompt" if template.keep_thoughts else ""
    return ", ".join(part for part in (template.think if template.think != "auto" else "", budget, kept) if part)


def _form(template: Template) -> str:
    if template.schema:
        name = parameter_of(template.schema)
        return f"JSON with what -p {name} says" if name else f"JSON: {template.schema[:_LONGEST]}"
    name = parameter_of(template.grammar)
    return f"one of what -p {name} says" if name else " ".join(template.grammar.split())[:_LONGEST]


def _documents(template: Template) -> str:
    if not template.collections and template.docs_k is None and template.cite is None:
        return ""
    cites = {None: "", True: "cites", False: "does not cite"}[template.cite]
    passages = "" if template.docs_k is None else f"{template.docs_k} passages"
    return ", ".join(part for part in (" ".join(template.collections), passages, cites) if part)
