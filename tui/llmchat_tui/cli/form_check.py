"""Whether an answer has the form that was asked for: a grammar that came to its end, a schema that is satisfied.

Knows no flags and no stdout; what is wrong becomes exit code 5.
"""

from __future__ import annotations

from llmchat_engine import Finished
from llmchat_engine.answers import Answer
from llmchat_tui.errors import Unsatisfied

_CUT: dict[str, tuple[str, str]] = {
    "max_tokens": ("it reached the limit of tokens", "raise --max-tokens"),
    "context": ("the context is full", "a larger one: --ctx 16384"),
    "stop": ("a stop word came before", "leave out --stop"),
    "cancelled": ("it was stopped", ""),
}
"""Of the ways an answer can end: why it has no more, and what helps."""


def check_form(finished: Finished, schema: str) -> None:
    """Raises where an answer, or one of several, has not the form that was asked for.

    Args:
        finished: how the turn ended.
        schema: what it had to satisfy, as JSON text; empty where there was none.

    Raises:
        Unsatisfied: saying why.
    """
    answers = finished.answers or (finished,)
    if cut := [answer.reason for answer in answers if not answer.complete]:
        why, hint = _CUT.get(cut[0], ("it was cut", ""))
        which = f"{len(cut)} of {len(answers)} answers end" if finished.answers else "the answer ends"
        what = "schema is satisfied" if schema else "grammar does"
        raise Unsatisfied(f"{which} before the {what}", why, hint)
    if invalid := [why for answer in answers if (why := _why_invalid(answer, schema))]:
        which = f"{len(invalid)} of {len(answers)} answers do" if finished.answers else "the answer does"
        raise Unsatisfied(f"{which} not satisfy the schema", invalid[0], "ask again, or with a larger model")


def is_valid(answer: Finished | Answer, schema: str) -> bool | None:
    """Returns whether an answer satisfies its schema; None where it had none."""
    return answer.complete and not _why_invalid(answer, schema) if schema else None


def _why_invalid(answer: Finished | Answer, schema: str) -> str:
    if not schema:
        return ""
    from llmchat_tui.schemas import why_invalid  # jsonschema takes 60 ms, which other answers need not wait for

    return why_invalid(schema, answer.text)
