"""Which of the ranked candidates are shown: no copy twice, not all from one document. Knows no store and no index."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from llmchat_rag.types import Vector

SAME, ALIKE = 0.95, 0.9
"""The cosine from which two passages may say the same, and the share of their words that they have in common then.

Rows of a table with other numbers have a cosine of 0.98 and half of their words in common.
"""
_WORD = re.compile(r"\w+")
PER_DOCUMENT = 3

Fate = Literal["shown", "copy", "one document", "weak", "further down"]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A passage that may be shown."""

    chunk_id: int
    document_id: int
    fused: float
    dense: float
    bm25: float
    vector: Vector
    dense_rank: int = 0
    """Among the nearest vectors, the best is 1; 0 where it is not among them."""
    bm25_rank: int = 0
    rerank: float | None = None
    text: str = ""
    """Empty where nobody has looked it up yet."""


def pick(candidates: Sequence[Candidate], k: int, *, per_document: int = PER_DOCUMENT) -> list[Candidate]:
    """Returns up to k candidates.

    Args:
        candidates: best first.
        k: how many.
        per_document: how many of one document, unless the others together are too few.
    """
    chosen: list[Candidate] = []
    held_back: list[Candidate] = []
    taken: Counter[int] = Counter()
    for candidate in candidates:
        if len(chosen) == k:
            break
        if is_copy(candidate, chosen):
            continue
        if taken[candidate.document_id] >= per_document:
            held_back.append(candidate)
            continue
        taken[candidate.document_id] += 1
        chosen.append(candidate)
    return sorted(chosen + _fill(held_back, chosen, k), key=lambda one: candidates.index(one))


def is_copy(candidate: Candidate, chosen: Sequence[Candidate]) -> bool:
    """Returns whether something chosen says the same already: in the same words, and with the same numbers."""
    return any(
        candidate.text == other.text
        or (float(candidate.vector @ other.vector) > SAME and _says_the_same(candidate.text, other.text))
        for other in chosen
    )


def _says_the_same(one: str, other: str) -> bool:
    words, others = (set(_WORD.findall(text.lower())) for text in (one, other))
    differing = words ^ others
    return not any(re.search(r"\d", word) for word in differing) and len(differing) <= (1 - ALIKE) * len(words | others)


def fates(candidates: Sequence[Candidate], shown: Sequence[Candidate], weak: Sequence[Candidate]) -> dict[int, Fate]:
    """Returns what became of each candidate."""
    found: dict[int, Fate] = {}
    visible = {candidate.chunk_id for candidate in shown}
    below = {candidate.chunk_id for candidate in weak}
    full = {key for key, many in Counter(one.document_id for one in shown).items() if many >= PER_DOCUMENT}
    for candidate in candidates:
        if candidate.chunk_id in visible:
            fate: Fate = "shown"
        elif candidate.chunk_id in below:
            fate = "weak"
        elif is_copy(candidate, shown):
            fate = "copy"
        else:
            fate = "one document" if candidate.document_id in full else "further down"
        found[candidate.chunk_id] = fate
    return found


def _fill(held_back: Sequence[Candidate], chosen: Sequence[Candidate], k: int) -> list[Candidate]:
    more: list[Candidate] = []
    for candidate in held_back:
        if len(chosen) + len(more) == k:
            break
        if not is_copy(candidate, [*chosen, *more]):
            more.append(candidate)
    return more
