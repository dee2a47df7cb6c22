"""How well the words of passages fit a question, also by the words of the short documents they stand in.

A note of three passages is one thing: what it says in one of them counts for the others. In a long document each
passage speaks for itself. Knows no vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmchat_rag.question import wanted
from llmchat_rag.store import Library

SCORED = 2000
"""Passages whose words are scored: those that only the vectors find have words too."""
SHARE, SHORT = 0.75, 4
"""The weight of a document's words for its passages while it has no more than so many; it falls with their number.

SciFact's training questions: nDCG@10 0.747 instead of 0.743, and alike from 0.5 to 1 and from 2 to 8.
"""


@dataclass(frozen=True, slots=True)
class Words:
    """What the words say."""

    passages: Mapping[int, float]
    """BM25, best first."""
    documents: Mapping[int, float]

    def first(self, many: int) -> list[int]:
        """Returns the passages whose own words fit best."""
        return list(self.passages)[:many]

    def score(self, chunk_id: int, document_id: int, of_passages: int) -> float:
        """Returns how well a passage fits, on the scale of BM25; 0 where no word does.

        Args:
            chunk_id: the passage.
            document_id: its document.
            of_passages: how many that one has.
        """
        best = max(self.passages.values(), default=0.0)
        best_document = max(self.documents.values(), default=0.0)
        own = self.passages.get(chunk_id, 0.0)
        if best_document <= 0 or document_id not in self.documents:
            return own
        share = SHARE * min(1.0, SHORT / max(of_passages, 1))
        return (1 - share) * own + share * best * self.documents[document_id] / best_document


def words_of(library: Library, question: str, owners: Sequence[int]) -> Words:
    """Looks the words of a question up.

    Args:
        library: the store.
        question: as it was typed.
        owners: the ids of the collections that are searched; empty is all.
    """
    looked_up = wanted(question)
    passages = dict(library.find_words("chunk_words", looked_up.words, SCORED, owners))
    for key, score in library.find_words("chunk_pairs", looked_up.pairs, SCORED, owners):
        passages[key] = passages.get(key, 0.0) + score
    if looked_up.pairs:
        passages = dict(sorted(passages.items(), key=lambda item: -item[1]))
    return Words(passages, dict(library.find_words("document_words", looked_up.words, SCORED, owners)))
