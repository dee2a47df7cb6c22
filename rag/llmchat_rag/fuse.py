"""Two rankings made one. Knows neither passages nor where the scores come from."""

from __future__ import annotations

from collections.abc import Mapping

from llmchat_rag.types import Fusion

ALPHA = 0.7
"""The weight of the cosine; the optimum on SciFact's training questions, where 0.6 to 0.8 are a plateau."""
RRF_K = 60


def fused(
    dense: Mapping[int, float], bm25: Mapping[int, float], *, alpha: float = ALPHA, fusion: Fusion = "convex"
) -> dict[int, float]:
    """Returns one score for every key of either ranking; higher is better.

    The best score of a question says nothing about how well it is answered: compare cosines for that.

    Args:
        dense: cosines, also of those that only the words found.
        bm25: of those that have one.
        alpha: the weight of the cosine against the words; inverse ranks weigh alike.
        fusion: `convex` adds the scores, `rrf` the inverse ranks.
    """
    return _convex(dense, bm25, alpha) if fusion == "convex" else _reciprocal(dense, bm25)


def _convex(dense: Mapping[int, float], bm25: Mapping[int, float], alpha: float) -> dict[int, float]:
    top = max(bm25.values(), default=0.0)
    scale = (1 - alpha) / top if top > 0 else 0.0
    return {key: alpha * max(0.0, dense.get(key, 0.0)) + scale * bm25.get(key, 0.0) for key in {**dense, **bm25}}


def _reciprocal(dense: Mapping[int, float], bm25: Mapping[int, float]) -> dict[int, float]:
    ranks = ranked(dense), ranked(bm25)
    return {key: sum(1 / (RRF_K + rank[key]) for rank in ranks if key in rank) for key in {**dense, **bm25}}


def ranked(scores: Mapping[int, float]) -> dict[int, int]:
    """Returns the rank of each key, the best is 1."""
    order = sorted(scores, key=lambda key: (-scores[key], key))
    return {key: rank for rank, key in enumerate(order, start=1)}


def blended(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """Returns the mean of two scores of the same keys, each stretched over 0 to 1.

    A cross-encoder replaces nothing: alone it ranks texts of a kind that it has not seen worse than the fusion.
    """
    one, other = _stretched(first), _stretched(second)
    return {key: (one[key] + other[key]) / 2 for key in first}


def _stretched(scores: Mapping[int, float]) -> dict[int, float]:
    low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    return {key: (score - low) / (high - low) if high > low else 1.0 for key, score in scores.items()}
