"""The samplers once more, in numpy and float64, after their papers: what the engine's numbers are checked against.

Knows logits and probabilities; nothing of llmchat and nothing of llama.cpp. Each takes a row of logits and returns it
with -inf for what the sampler takes away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float64]
Step = Callable[[Row], Row]


def softmax(row: Row) -> Row:
    """Returns the probabilities of a row; 0 for what is ruled out."""
    exponentials = np.exp(row - row.max())
    return np.asarray(exponentials / exponentials.sum())


def only(row: Row, kept: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Row:
    """Returns a row in which the others are ruled out."""
    found = np.full_like(row, -np.inf)
    found[kept] = row[kept]
    return found


def top_k(row: Row, count: int) -> Row:
    """Keeps the highest logits; 0 keeps all."""
    return only(row, np.argsort(-row, kind="stable")[:count]) if count else row


def top_p(row: Row, share: float) -> Row:
    """Keeps the likeliest until their sum reaches the share (Holtzman et al. 2020)."""
    probabilities = softmax(row)
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    return only(row, order[before < share])


def min_p(row: Row, share: float) -> Row:
    """Keeps what has at least this share of the likeliest one's probability."""
    probabilities = softmax(row)
    return only(row, probabilities >= share * probabilities.max())


def typical(row: Row, share: float) -> Row:
    """Keeps what surprises about as much as the entropy, until the sum passes the share (Meister et al. 2022)."""
    probabilities = softmax(row)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(probabilities)
        entropy = np.nansum(np.where(probabilities > 0, probabilities * surprise, 0.0))
    order = np.argsort(np.abs(surprise - entropy), kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    return only(row, order[before <= share])


def top_n_sigma(row: Row, count: float) -> Row:
    """Keeps what is within so many standard deviations of the highest logit (Tang et al. 2024)."""
    return only(row, row >= row.max() - count * row[row > -np.inf].std())


def temperature(row: Row, value: float) -> Row:
    """Divides every logit."""
    return row / value


def xtc(row: Row, threshold: float) -> Row:
    """Takes everything above the threshold away but the least likely of it."""
    above = np.flatnonzero(softmax(row) >= threshold)
    if len(above) < 2:
        return row
    gone = above[np.argsort(-row[above], kind="stable")][:-1]
    return only(row, np.setdiff1d(np.arange(len(row)), gone))
