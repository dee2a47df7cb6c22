"""Whether a question has an answer in the documents at all, by the greatest cosine of any passage.

A cosine under the gate of the embedding model means: do not ask the model. It cannot tell a near miss from a hit: what
is on the topic and not in the documents is left to the rules of the prompt and to the check of the citations.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["answer", "weak", "abstain"]
WARN_ABOVE = 0.10
"""How far over the gate evidence is still called weak: 4 % of answerable questions were below that."""
_TERM = re.compile(r"[\"“”„«»]([^\"“”„«»]{3,})[\"“”«»]|\b(\w*(?:_\w|\d[A-Za-z]|[A-Za-z]-?\d{2}|[a-z][A-Z])[\w-]*)\b")


@dataclass(frozen=True, slots=True)
class Gate:
    """The two cosines that decide."""

    abstain: float
    """Under it there is no answer in the documents."""
    warn: float
    """Under it the evidence is weak, and the user is told."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A gate found on a user's own documents, and what it does there."""

    gate: Gate
    refused: float
    """The share of questions from elsewhere that it refuses."""
    wrongly_refused: float
    """The share of questions that have an answer and are refused."""
    questions: int


def gate_at(cosine: float) -> Gate:
    """Returns the gate of an embedding model, by its own number."""
    return Gate(cosine, cosine + WARN_ABOVE)


def judge(gate: Gate, best_cosine: float, question: str = "", texts: Sequence[str] = ()) -> Verdict:
    """Decides whether a question is worth the model's time.

    Args:
        gate: of the embedder that made the vectors.
        best_cosine: the greatest of any passage; never a fused score, whose best is always near 1.
        question: as it was asked.
        texts: of the passages found; one that holds, to the letter, a part number or a quoted phrase of the question
            is an answer however low its cosine, since an embedder sees little in `ERR_4711`.
    """
    if best_cosine >= gate.warn:
        return "answer"
    if best_cosine >= gate.abstain:
        return "weak"
    return "weak" if texts and _named(question, texts) else "abstain"


def _named(question: str, texts: Sequence[str]) -> bool:
    terms = [(quoted or bare).casefold() for quoted, bare in _TERM.findall(question)]
    whole = "\n".join(texts).casefold()
    return any(re.search(rf"(?<!\w){re.escape(term.strip())}(?!\w)", whole) for term in terms)


def calibrate(answerable: Sequence[float], foreign: Sequence[float], wrong: float = 0.01) -> Calibration:
    """Finds the gate that refuses the most questions from elsewhere at a given price.

    Args:
        answerable: the best cosines of questions that have an answer.
        foreign: the best cosines of questions that have none.
        wrong: the share of the answerable ones that may be refused.

    Returns:
        The gate halfway between the last refused and the first answered question; it is never above the median of
        what is answerable.

    Raises:
        ValueError: one of the two is empty.
    """
    if not answerable or not foreign:
        raise ValueError("both kinds of questions are needed")
    ordered = sorted(answerable)
    ceiling = ordered[min(int(wrong * len(ordered)), len(ordered) // 2)]
    below = [cosine for cosine in [*foreign, *answerable] if cosine < ceiling]
    cosine = (max(below) + ceiling) / 2 if below else ceiling
    return Calibration(
        gate_at(cosine),
        sum(value < cosine for value in foreign) / len(foreign),
        sum(value < cosine for value in answerable) / len(answerable),
        len(answerable) + len(foreign),
    )


def calibrate_across(
    questions: Mapping[str, Sequence[str]], best_cosine: Callable[[str, str], float], sample: int = 100, seed: int = 0
) -> Calibration | None:
    """Calibrates with questions of one collection asked of another.

    Args:
        questions: by collection, questions whose answers it holds.
        best_cosine: of a question in a collection.
        sample: the most questions of each collection.
        seed: of the choice.

    Returns:
        None where there are no two collections with questions.
    """
    chosen = random.Random(seed)  # noqa: S311 - which questions are asked is no secret
    known = {name: list(asked) for name, asked in questions.items() if asked}
    if len(known) < 2:
        return None
    own: list[float] = []
    foreign: list[float] = []
    for name in sorted(known):
        others = sorted(set(known) - {name})
        for question in chosen.sample(known[name], min(sample, len(known[name]))):
            own.append(best_cosine(question, name))
            foreign.append(best_cosine(question, chosen.choice(others)))
    return calibrate(own, foreign)
