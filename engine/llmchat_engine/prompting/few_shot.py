"""Few-shot prompting (Brown et al. 2020, arXiv:2005.14165): worked examples before the question.

Knows messages and texts; no model, no file. The similarity of two texts comes from whoever hands in an embedder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmchat_engine.types import Message

ANSWER = "Answer:"
"""Stands between a worked example's reasoning and its output, on a line of its own."""
TEXT_STOP = ("\nInput:",)
"""Where a base model, which completes text, begins to invent the next question."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One worked example."""

    input: str
    output: str
    reasoning: str = ""
    """How the output was found, for examples that show a chain of thought."""


def as_messages(shots: Sequence[Shot], wrap: Callable[[str], str], *, reasoned: bool = False) -> tuple[Message, ...]:
    """Returns examples as turns of a chat: two messages each.

    Args:
        shots: the examples.
        wrap: puts the words around an input that the question gets too.
        reasoned: whether their reasoning is shown.
    """
    pairs = ((Message("user", wrap(shot.input)), Message("assistant", _said(shot, reasoned))) for shot in shots)
    return tuple(message for pair in pairs for message in pair)


def as_text(shots: Sequence[Shot], wrap: Callable[[str], str], *, reasoned: bool = False) -> str:
    """Returns examples as text for base models, which have no turns; `open_question` stands behind it."""
    return "".join(f"{open_question(wrap(shot.input))} {_said(shot, reasoned)}\n\n" for shot in shots)


def open_question(question: str) -> str:
    """Returns a question as a base model is to go on with it."""
    return f"Input: {question}\nOutput:"


def _said(shot: Shot, reasoned: bool) -> str:
    return f"{shot.reasoning}\n{ANSWER} {shot.output}" if reasoned and shot.reasoning else shot.output
