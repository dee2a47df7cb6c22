"""How passages were ranked: the table of --explain. Pure functions of what the search hands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmchat_rag.query import Hit, Results, Timings

_ROWS = 20
_FATES = {
    "shown": "used",
    "copy": "says the same as one above",
    "one document": "enough of this document",
    "weak": "under --min-score",
    "further down": "further down",
}
_HEAD = f"{'score':>7}{'meaning':>9}{'':>6}{'words':>8}{'':>6}{'reread':>8}  source"


def explained(results: Results) -> Iterator[str]:
    """Yields a row for each of the best candidates, what became of it, and where the time went."""
    if results.hits:
        yield _HEAD
    yield from map(_row, results.hits[:_ROWS])
    if len(results.hits) > _ROWS:
        yield f"and {len(results.hits) - _ROWS:,} more candidates"
    yield times(results.timings)
    if results.rerank_left_out:
        yield "reading them once more was left out: there was not enough time"


def times(timings: Timings) -> str:
    """Returns where the time of a search went."""
    named = {
        "question": timings.encode,
        "vectors": timings.vectors,
        "words": timings.words,
        "ranking": timings.rank,
        "reading once more": timings.rerank,
    }
    return " · ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in named.items() if seconds)


def hit_facts(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Returns the candidates as JSON objects."""
    return [
        {
            "source": hit.source,
            "score": round(hit.scores.fused, 4),
            "dense": round(hit.scores.dense, 4),
            "dense_rank": hit.dense_rank,
            "bm25": round(hit.scores.bm25, 4),
            "bm25_rank": hit.bm25_rank,
            "rerank": None if hit.scores.rerank is None else round(hit.scores.rerank, 4),
            "fate": hit.fate,
        }
        for hit in hits
    ]


def _row(hit: Hit) -> str:
    scores = hit.scores
    again = "" if scores.rerank is None else f"{scores.rerank:.2f}"
    return (
        f"{scores.fused:>7.3f}{scores.dense:>9.3f}{_rank(hit.dense_rank):>6}{scores.bm25:>8.2f}{_rank(hit.bm25_rank):>6}"
        f"{again:>8}  {hit.source}  ({_FATES[hit.fate]})"
    )


def _rank(rank: int) -> str:
    return f"#{rank}" if rank else "-"
