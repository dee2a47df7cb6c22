"""One answer as it grows: its sequence, its sampler chain, its thought, its text, and why it ended.

Knows neither the batch nor the other answers; decode.py runs them. A token goes in, events may come out.
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
from llmchat_engine.host.thinking import Thought
from llmchat_engine.types import Sampling


class Picker(Protocol):
    """Chooses the next token from a row of logits, and remembers it."""

    def sample(self, context: Context, index: int = -1) -> int:
        """Returns the next token from the logits behind the index-th token of the last batch."""

    def accept(self, token: int) -> None:
        """Remembers a token that it did not choose."""

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
    thought: Thought | None = None
    """What comes before the answer; None for a model that does not think."""
    end_mark: int = -1
    """A token that ends it beside those that end a generation."""
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

    def choose(self, context: Context) -> int:
        """Returns the next token: one that the thought forces, else what the chain draws."""
        if self.thought is not None and (forced := self.thought.forced()) is not None:
            self.picker.accept(forced)
            return forced
        return self.picker.sample(context, self.row)

    def take(self, token: int, *, ends: bool, limit: int) -> Sequence[Token]:
        """Adds a token; returns the text that may be shown now, if any, and sets `reason` where it was the last.

        Args:
            token: the id.
            ends: whether it ends a generation.
            limit: the most tokens there is room for.
        """
        self.ids.append(token)
        if ends:
            self.reason = "eog"
            return ()
        if self.thought is not None and not self.thought.over:
            shown = self._think(self.thought, token)
        elif token == self.end_mark:
            self.reason = "eog"
            return ()
        else:
            text = self.detokenizer.push(token)
            shown = (self._token(text),) if text else ()
        if self.detokenizer.stopped:
            self.reason = "stop"
        elif len(self.ids) >= limit:
            self.reason = "max_tokens" if limit == self.sampling.max_tokens else "context"
        return shown

    def _think(self, thought: Thought, token: int) -> Sequence[Token]:
        """Adds a token of the thought, or the first one behind it."""
        text = thought.take(token)
        if thought.over:
            return self._begin(thought, text)
        return (self._token(text, thought=True),) if text else ()

    def _begin(self, thought: Thought, last: str = "") -> Sequence[Token]:
        """Returns the end of the thought and the beginning of the answer, each with the tokens that it took."""
        behind = len(self.ids) - thought.count
        shown = [self._token(last, behind, thought=True)] if last or len(self.ids) - self._told > behind else []
        text = "".join(map(self.detokenizer.push_bytes, thought.first))
        return [*shown, self._token(text)] if text else shown

    def note(self, logprob: TokenLogprob) -> None:
        """Keeps how likely the token was that `take` gets next."""
        self._untold.append(logprob)
        self.logprob = (self.logprob or 0.0) + logprob.logprob

    def flush(self) -> Sequence[Token]:
        """Returns what was held back, if anything, at the end."""
        shown: Sequence[Token] = ()
        if self.thought is not None and not self.thought.over:
            text = self.thought.end()
            if not self.thought.over:
                return (self._token(text, thought=True),) if text or self._untold else ()
            shown = self._begin(self.thought)
        text = self.detokenizer.flush()
        return (*shown, self._token(text)) if text or self._untold else shown

    def exact_ids(self) -> tuple[int, ...]:
        """Returns the ids whose text is the answer's and the thought's; none where a token would have to be cut."""
        if self.thought is not None and self.thought.is_split:
            return ()
        if self.reason != "stop":
            return tuple(self.ids)
        whole, before = self.detokenizer.exact_count(), self.thought.count if self.thought else 0
        return () if whole is None else tuple(self.ids[: before + whole])

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
                thought=self.thought.text if self.thought else "",
                thought_tokens=self.thought.count if self.thought else 0,
            )
        return self._end

    def _token(self, text: str, behind: int = 0, *, thought: bool = False) -> Token:
        """Returns the event of the tokens since the last one, but for so many of the newest."""
        told, self._told = self._told, len(self.ids) - behind
        count = self._told - told
        logprobs, self._untold = tuple(self._untold[:count]), self._untold[count:]
        return Token(text, count, self.index, logprobs, thought)


def alive(strands: Sequence[Strand]) -> list[Strand]:
    """Returns those that have not ended."""
    return [strand for strand in strands if strand.reason is None]
