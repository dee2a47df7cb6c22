"""Few-shot prompting (Brown et al. 2020, arXiv:2005.14165): worked examples before the question.

Knows messages and texts; no model, no file. The similarity of two texts comes from whoever hands in an embedder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from llmchat_engine.types import Message

ANSWER = "Answer:"
"""Stands between a worked example's reasoning and its output, on a line of its own."""
TEXT_STOP = ("\nInput:",)
"""Where a base model, which completes text, begins to invent the next question."""
Choice = Literal["order", "random", "similar"]
"""Which of the examples are shown: the first, any, or those most like the question."""
Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to vectors of one length; the angle between two of them is how alike the texts are."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One worked example."""

    input: str
    output: str
    reasoning: str = ""
    """How the output was found, for examples that show a chain of thought."""
    whole: bool = False
    """Whether the input is all that is sent: the words that are put around others are in it."""


def choose(
    shots: Sequence[Shot],
    count: int,
    by: Choice,
    *,
    seed: int | None = None,
    question: str = "",
    embed: Embed | None = None,
) -> tuple[Shot, ...]:
    """Returns `count` of the examples, or all where there are not more.

    Chosen in order or at random they stay in their own order; chosen as similar the nearest comes last, next to the
    question, where it counts most (Liu et al. 2021, arXiv:2101.06804).

    Args:
        shots: the examples.
        count: so many at most.
        by: how they are chosen.
        seed: of a choice at random. The same seed gives the same choice under every Python: each example draws a
            number from `Random(seed).random()`, the one sequence that the library keeps from version to version, and
            the lowest are taken. None draws anew each time.
        question: what they are compared with, as similar ones.
        embed: makes the vectors of the inputs and the question.

    Raises:
        ValueError: similar examples are wanted, and there is no embedder.
    """
    if by == "similar" and embed is None:
        raise ValueError("similar examples need an embedder")
    if count <= 0 or not shots:
        return ()
    if by == "random":
        kept = sorted(_ranked(_drawn(len(shots), seed), count))
    elif embed is not None and by == "similar":
        kept = _ranked(_distances(shots, question, embed), count)[::-1]
    else:
        kept = list(range(min(count, len(shots))))
    return tuple(shots[index] for index in kept)


def as_messages(shots: Sequence[Shot], wrap: Callable[[str], str], *, reasoned: bool = False) -> tuple[Message, ...]:
    """Returns examples as turns of a chat: two messages each.

    Args:
        shots: the examples.
        wrap: puts the words around an input that the question gets too.
        reasoned: whether their reasoning is shown.
    """
    pairs = ((Message("user", _asked(shot, wrap)), Message("assistant", _said(shot, reasoned))) for shot in shots)
    return tuple(message for pair in pairs for message in pair)


def as_text(shots: Sequence[Shot], wrap: Callable[[str], str], *, reasoned: bool = False) -> str:
    """Returns examples as text for base models, which have no turns; `open_question` stands behind it."""
    return "".join(f"{open_question(_asked(shot, wrap))} {_said(shot, reasoned)}\n\n" for shot in shots)


def open_question(question: str) -> str:
    """Returns a question as a base model is to go on with it."""
    return f"Input: {question}\nOutput:"


def _asked(shot: Shot, wrap: Callable[[str], str]) -> str:
    return shot.input if shot.whole else wrap(shot.input)


def _said(shot: Shot, reasoned: bool) -> str:
    return f"{shot.reasoning}\n{ANSWER} {shot.output}" if reasoned and shot.reasoning else shot.output


def _ranked(values: Sequence[float], count: int) -> list[int]:
    """Returns the places of the lowest values, the lowest first; of equal ones the earlier place."""
    return sorted(range(len(values)), key=values.__getitem__)[:count]


def _drawn(count: int, seed: int | None) -> list[float]:
    from random import Random  # 6 ms, which most questions need not wait for

    source = Random(seed)  # noqa: S311  (examples are no secret)
    return [source.random() for _ in range(count)]


def _distances(shots: Sequence[Shot], question: str, embed: Embed) -> list[float]:
    """Returns how far each example's input is from the question: 0 in the same direction, 2 in the opposite one."""
    *inputs, asked = embed([*(shot.input for shot in shots), question])
    return [1.0 - _cosine(vector, asked) for vector in inputs]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Returns the cosine of the angle between two vectors; a vector of zeros is like nothing."""
    length = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / length if length else 0.0
