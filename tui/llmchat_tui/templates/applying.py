"""From a template, its parameters and a question to the recipe by which the question is asked.

Knows no file of templates and no engine; what compares examples with the question is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmchat_engine.prompting.few_shot import Embed, Shot, choose
from llmchat_tui.errors import UsageError
from llmchat_tui.placeholders import filled_in, parameter_of
from llmchat_tui.recipe import Recipe
from llmchat_tui.templates.values import ShotsBy, Template


def recipe_from(
    template: Template,
    params: Mapping[str, str],
    question: str = "",
    *,
    count: int | None = None,
    by: ShotsBy | None = None,
    seed: int | None = None,
    embed: Embed | None = None,
) -> Recipe:
    """Returns how a template asks.

    Args:
        template: what is asked by.
        params: its parameters that were given, by name.
        question: that examples are compared with.
        count: how many examples come along; None leaves that to the template.
        by: which ones; None leaves that to the template.
        seed: of a random choice.
        embed: from texts to vectors, for a choice by similarity.

    Raises:
        UsageError: a parameter is missing, unknown or no schema; or nothing compares examples.
        RequestInvalid: a schema that was given asks for what is not supported.
    """
    values = _values(template, params)
    return Recipe(
        template=template.name,
        shots=_chosen(template, question, count, by, seed, embed),
        wrapper=filled_in(template.user, values) if values else template.user,
        cot=template.cot,
        votes=template.votes,
        think=template.think,
        think_budget=template.think_budget,
        keep_thoughts=template.keep_thoughts,
        schema=_schema(template, values),
        grammar=_grammar(template, values),
    )


def _values(template: Template, params: Mapping[str, str]) -> dict[str, str]:
    """Returns the value of every parameter."""
    for name in params:
        if name not in template.params:
            raise _unknown(template, name)
    missing = [name for name, default in template.params.items() if not default and name not in params]
    if missing:
        flags = " ".join(f"-p {name} VALUE" for name in missing)
        what = f"the template {template.name} needs {' and '.join(missing)}"
        raise UsageError(what, "there is no default", f"llmchat ask -t {template.name} {flags} …")
    return {**template.params, **params}


def _unknown(template: Template, name: str) -> UsageError:
    what = f"the template {template.name} has no parameter {name}"
    if not template.params:
        return UsageError(what, "it has none", f"llmchat templates show {template.name}")
    import difflib

    near = difflib.get_close_matches(name, list(template.params), 1)
    why = f"did you mean {near[0]}?" if near else f"it has {', '.join(template.params)}"
    return UsageError(what, why, f"llmchat templates show {template.name}")


def _chosen(
    template: Template, question: str, count: int | None, by: ShotsBy | None, seed: int | None, embed: Embed | None
) -> tuple[Shot, ...]:
    shots, wanted = template.shots, template.num_shots if count is None else count
    if wanted is None or wanted >= len(shots):
        return shots
    by = by or template.shots_by
    if by == "similar" and embed is None:
        raise UsageError("nothing compares the examples with the question", "there is no embedder", "--shots-by order")
    return choose(shots, wanted, by, seed=seed, question=question, embed=embed)


def _schema(template: Template, values: Mapping[str, str]) -> str:
    """Returns the schema; one that is left to a parameter is what was given there."""
    name = parameter_of(template.schema)
    if not name:
        return template.schema
    from llmchat_tui.schemas import (
        schema_from,  # 5 ms with the grammars behind it, which other questions need not wait for
    )

    return schema_from(values[name])


def _grammar(template: Template, values: Mapping[str, str]) -> str:
    """Returns the grammar; that of a choice which is left to a parameter is made of what was given there."""
    name = parameter_of(template.grammar)
    if not name:
        return template.grammar
    from llmchat_tui.templates.constraints import choices_grammar, listed
    from llmchat_tui.templates.faults import Fault

    try:
        return choices_grammar(listed(values[name]))
    except Fault as fault:
        raise UsageError(f"-p {name}: {fault.what}", fault.why, f"-p {name} 'one, two, three'") from fault
