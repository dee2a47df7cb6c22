"""What is told of tokens and of several answers: probabilities, scores, how each answer ended.

Knows no request and no event; types.py has those. Log-probabilities are natural logarithms of the softmax over the
logits as the model gave them, before any sampler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

StopReason = Literal["eog", "stop", "max_tokens", "context", "cancelled", "concluded"]
"""`concluded` is reasoning that was told to come to its answer."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could have come here."""

    id: int
    text: str
    """Its bytes as UTF-8; what is no whole character is U+FFFD."""
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that came, how likely it was, and what was likelier or came next."""

    id: int
    text: str
    logprob: float
    top: tuple[Candidate, ...] = ()
    """The likeliest tokens at this place, the likeliest first; the one that came may be among them."""
    rank: int = 1
    """1 for the likeliest of the vocabulary."""
    entropy: float = 0.0
    """How open the place was, in nats: 0 where one token was certain, NaN where a server does not tell."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One of several answers to one prompt, when it has ended."""

    reason: StopReason
    text: str
    token_ids: tuple[int, ...]
    """As in `Finished`."""
    tokens: int
    """How many were generated."""
    seed: int | None = None
    logprob: float | None = None
    """Sum over its tokens; None where probabilities were not asked for."""
    complete: bool = True
    """False where it ended before the grammar allowed an end."""
    thought: str = ""
    """What was thought before it; no part of `text`."""
    thought_tokens: int = 0
    """So many of `token_ids`, from the first on, are the thought."""


@dataclass(frozen=True, slots=True)
class TokenPiece:
    """One token of the vocabulary as it stands in a text."""

    id: int
    text: str
    """Its bytes as UTF-8; what is no whole character is U+FFFD. A special token has the text that names it."""
    data: bytes
    """Its bytes, exact; of a special token none."""
    special: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a model finds a text."""

    logprob: float
    """Sum over the tokens, natural logarithm."""
    count: int
    """Tokens that were scored."""
    tokens: tuple[TokenLogprob, ...] = ()
    """One by one, where that was asked for."""

    @property
    def perplexity(self) -> float:
        """Exp of the mean negative log-likelihood; infinity for a text that was not scored."""
        return math.exp(min(700.0, -self.logprob / self.count)) if self.count else math.inf
