"""How likely a text is, and how far two models are apart on it: means with their standard errors.

The measures are those of llama.cpp's `llama-perplexity` (tools/perplexity/perplexity.cpp), in nats. At each place, with
P the base's softmax over the vocabulary, Q the other's and t the token that comes:

    negative log-likelihood    -ln Q(t); the perplexity is the exponential of its mean
    KL divergence              sum over tokens i of P(i) (ln P(i) - ln Q(i))
    same top                   whether P and Q have the same likeliest token
    change of p                Q(t) - P(t)

The standard error of a mean of n values is sqrt(variance / (n - 1)), of a part p of n places sqrt(p (1 - p) / (n - 1)).
llama.cpp keeps the base's logarithms in 16 bits and leaves out P(i) below e^-16; here they are float32 and whole. Knows
rows of log-probabilities; no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_engine.host.logprobs import IMPOSSIBLE
from llmchat_engine.models.quantizing.tasks import Divergence

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

_NOTHING = -1e4
"""Stands for the logarithm of 0, which would make 0 times infinity."""


class Likelihood:
    """Adds up how likely the tokens were."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def add(self, logprob: float) -> None:
        """Takes the log-probability of the next token."""
        self._values.append(-logprob)

    @property
    def count(self) -> int:
        """How many tokens there were."""
        return len(self._values)

    def mean(self) -> tuple[float, float]:
        """Returns the mean of the negative log-likelihood, and its standard error."""
        return mean_error(self._values)


class Divergences:
    """Adds up how far each row is from the base's."""

    def __init__(self) -> None:
        self._kl: list[float] = []
        self._same: list[bool] = []
        self._p: list[float] = []
        self._nll: list[float] = []

    def add(self, base: Row, other: Row, token: int) -> None:
        """Takes the log-probabilities of all tokens at one place, and the token that comes there."""
        self._kl.append(divergence(base, other))
        self._same.append(int(base.argmax()) == int(other.argmax()))
        self._p.append(math.exp(other[token]) - math.exp(base[token]))
        self._nll.append(max(float(base[token]), IMPOSSIBLE) - max(float(other[token]), IMPOSSIBLE))

    def result(self) -> Divergence:
        """Returns the means, with their errors."""
        import numpy as np

        kl, kl_error = mean_error(self._kl)
        change, change_error = mean_error(self._p)
        nll, nll_error = mean_error(self._nll)
        same, count = sum(self._same) / len(self._same), len(self._same)
        median, p99 = (float(value) for value in np.quantile(self._kl, (0.5, 0.99)))
        return Divergence(
            kl=kl,
            kl_error=kl_error,
            kl_median=median,
            kl_p99=p99,
            kl_max=max(self._kl),
            same_top=same,
            same_top_error=math.sqrt(same * (1 - same) / max(1, count - 1)),
            p_change=change,
            p_change_error=change_error,
            p_change_rms=math.sqrt(sum(value * value for value in self._p) / count),
            nll_change=nll,
            nll_change_error=nll_error,
        )


def divergence(base: Row, other: Row) -> float:
    """Returns the KL divergence of one row of log-probabilities from the base's; never below 0."""
    import numpy as np

    p = np.maximum(base, np.float32(_NOTHING)).astype(np.float64)
    q = np.maximum(other, np.float32(_NOTHING)).astype(np.float64)
    with np.errstate(under="ignore"):
        # Rounded logarithms can make the sum of two equal rows less than 0 by some 1e-9.
        return max(0.0, float(np.dot(np.exp(p), p - q)))


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and its standard error; no error of a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, 0.0
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / count / (count - 1))
