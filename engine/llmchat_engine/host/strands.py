"""One answer as it grows: its sequence, its sampler chain, its text, and why it ended.

Knows neither the batch nor the other answers; decode.py runs them. A token goes in, an event may come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmchat_engine.answers import Answer, StopReason, TokenLogprob
from llmchat_engine.events import Token
from llmchat_engine.host.context import Context
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.lines import Line
from llmchat_engine.types import Sampling


class Picker(Protocol):
    """Chooses the next token from a row of logits, and remembers it."""

    def sample(self, context: Context, index: int = -1) -> int:
        """Returns the next token from the logits behind the index-th token of the last batch."""

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""


@dataclass(slots=True)
class Strand:
    """One answer."""

    index: int
    line: Line
    picker: Picker
    detokenizer: Detokenizer
    sampling: Sampling
    constrained: bool = False
    """Whether a grammar says what it is to be; a stop word cuts it behind the grammar's back."""
    row: int = -1
    """Which token of the last batch its next logits are behind."""
    ids: list[int] = field(default_factory=list)
    reason: StopReason | None = None
    logprob: float | None = None
    """Sum over its tokens, where it is asked for."""
    _told: int = 0
    _untold: list[TokenLogprob] = field(default_factory=list)
    _end: Answer | None = None

    def take(self, token: int, *, ends: bool, limit: int) -> Token | None:
        """Adds a token; returns the text that may be shown now, if any, and sets `reason` where it was the last.

        Args:
            token: the id.
            ends: whether it ends a generation.
            limit: the most tokens there is room for.
        """
        self.ids.append(token)
        if ends:
            self.reason = "eog"
            return None
        text = self.detokenizer.push(token)
        if self.detokenizer.stopped:
            self.reason = "stop"
        elif len(self.ids) >= limit:
            self.reason = "max_tokens" if limit == self.sampling.max_tokens else "context"
        return self._token(text) if text else None

    def note(self, logprob: TokenLogprob) -> None:
        """Keeps how likely the token was that `take` gets next."""
        self._untold.append(logprob)
        self.logprob = (self.logprob or 0.0) + logprob.logprob

    def flush(self) -> Token | None:
        """Returns what was held back, if anything, at the end."""
        text = self.detokenizer.flush()
        return self._token(text) if text or self._untold else None

    def exact_ids(self) -> tuple[int, ...]:
        """Returns the ids whose text is the answer's; none where a stop word cut a token in half."""
        if self.reason != "stop":
            return tuple(self.ids)
        whole = self.detokenizer.exact_count()
        return () if whole is None else tuple(self.ids[:whole])

    def end(self) -> Answer:
        """Returns how it ended; the first time it has, for then its grammar still tells whether it is complete."""
        if self._end is None:
            self._end = Answer(
                reason=self.reason or "cancelled",
                text=self.detokenizer.text,
                token_ids=self.exact_ids(),
                tokens=len(self.ids),
                seed=self.sampling.seed,
                logprob=self.logprob,
                complete=self.picker.complete and not (self.constrained and self.reason == "stop"),
            )
        return self._end

    def _token(self, text: str) -> Token:
        told, self._told = self._told, len(self.ids)
        logprobs, self._untold = tuple(self._untold), []
        return Token(text, len(self.ids) - told, self.index, logprobs)


def alive(strands: Sequence[Strand]) -> list[Strand]:
    """Returns those that have not ended."""
    return [strand for strand in strands if strand.reason is None]
