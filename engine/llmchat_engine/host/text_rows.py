"""The logits behind the tokens of a text, as `llama-perplexity` reads it: in windows, whose second halves count.

Each window begins with an empty cache and, where the model wants it, BOS in the place of its first token; the first
half is only read, so that every token that counts has half a window before it. Ids at the end that fill no window are
left out. Knows a context; nothing of what is made of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llmchat_engine.errors import RequestInvalid

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

LEAST_TOKENS = 16
ROW_BYTES = 64 << 20
MOST_ROWS = 256
"""Rows of logits that are computed in one batch; more gain nothing, and 256 of 152,000 words would take 156 MB."""


class Memory(Protocol):
    """What reading needs of a `context.Context`."""

    n_batch: int
    decode_seconds: float

    def decode_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> bool:
        """Appends ids in one batch."""

    def logits(self, index: int = -1) -> Row:
        """Returns the row behind the index-th token of the last batch, valid until the next."""

    def clear(self) -> None:
        """Empties the cache."""


@dataclass(frozen=True, slots=True)
class Place:
    """One token of the text, and the logits that it is to be looked up in; the row is valid until the next place."""

    token: int
    row: Row


def rows_at_once(n_vocab: int) -> int:
    """Returns how many rows of logits are asked for in one batch."""
    return max(8, min(MOST_ROWS, ROW_BYTES // (4 * n_vocab)))


def window_of(tokens: int, wanted: int) -> int:
    """Returns the window to read a text with: a shorter text is one window.

    Raises:
        RequestInvalid: the text, or the window that is wanted, is too short to say anything.
    """
    window = min(wanted, tokens)
    if window < LEAST_TOKENS:
        what = "the text is" if tokens < wanted else "the window is"
        why = f"it has {window} tokens, and half of a window is only read"
        raise RequestInvalid(f"{what} too short", why, f"take one of at least {LEAST_TOKENS}, better 10,000 or more")
    return window


class TextReader:
    """Reads a text, window by window."""

    def __init__(self, memory: Memory, rows: int, bos: int | None) -> None:
        """Takes what it works with.

        Args:
            memory: holds the sequence; it has room for a window.
            rows: the most rows of one batch.
            bos: what every window begins with; None where the model wants nothing.
        """
        self._memory, self._rows, self._bos = memory, rows, bos
        self.computed = 0
        """Tokens that went through the model."""
        self.plain_tokens = 0
        self.plain_seconds = 0.0
        """Tokens that were only read, and the time that took inside llama.cpp."""

    def places(self, ids: Sequence[int], window: int) -> Iterator[Place]:
        """Yields each place that counts: `window - window // 2 - 1` in every whole window.

        Raises:
            GenerationFailed: llama.cpp refused a batch.
        """
        for start in range(0, len(ids) - window + 1, window):
            piece = list(ids[start : start + window])
            yield from self._window(piece)

    def _window(self, ids: list[int]) -> Iterator[Place]:
        first, behind = len(ids) // 2, ids[:]
        if self._bos is not None:
            ids[0] = self._bos
        self._memory.clear()
        before = self._memory.decode_seconds
        self._read(ids, 0, first, self._memory.n_batch, rows=False)
        self.plain_tokens += first
        self.plain_seconds += self._memory.decode_seconds - before
        for at in range(first, len(ids) - 1, self._rows):
            end = min(at + self._rows, len(ids) - 1)
            self._read(ids, at, end, self._rows, rows=True)
            for index in range(end - at):
                yield Place(behind[at + index + 1], self._memory.logits(index))

    def _read(self, ids: Sequence[int], start: int, end: int, step: int, *, rows: bool) -> None:
        for at in range(start, end, step):
            positions = range(at, min(at + step, end))
            count = len(positions)
            self._memory.decode_many(ids[at : at + count], positions, [0] * count, [rows] * count)
            self.computed += count
