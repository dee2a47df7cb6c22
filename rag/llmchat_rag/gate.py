"""Whether a question has an answer in the documents at all, by the greatest cosine of any passage.

A cosine under the gate of the embedding model means: do not ask the model. It cannot tell a near miss from a hit: what
is on the topic and not in the documents is left to the rules of the prompt and to the check of the citations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "weak", "abstain"]
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


OPEN = Gate(0.0, 0.0)
"""Refuses nothing and warns of nothing: of a model whose cosines nobody knows."""


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
        return "ok"
    if best_cosine >= gate.abstain:
        return "weak"
    return "weak" if texts and _named(question, texts) else "abstain"


def _named(question: str, texts: Sequence[str]) -> bool:
    terms = [(quoted or bare).casefold() for quoted, bare in _TERM.findall(question)]
    whole = "\n".join(texts).casefold()
    return any(re.search(rf"(?<!\w){re.escape(term.strip())}(?!\w)", whole) for term in terms)
