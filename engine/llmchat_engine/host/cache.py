"""Which leading tokens of a prompt are in the KV cache already: token prefixes of one sequence.

The only owner of what sequence 0 holds; every token that enters or leaves the cache passes here. Knows ids and
positions, no text. A doubt about the cache's state costs a prefill, never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class CacheMemory(Protocol):
    """What the cache needs of a `llama.Context`."""

    def remove(self, start: int, *, sequence: int = 0) -> bool:
        """Removes every token from position `start` on; False where this kind of memory cannot do that."""

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        """Returns (first, last) position held; (-1, -1) when empty."""

    def clear(self) -> None:
        """Empties the cache."""


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Returns the number of leading ids that are equal."""
    length = min(len(a), len(b))
    if a[:length] == b[:length]:
        return length
    return next(index for index in range(length) if a[index] != b[index])


class PrefixCache:
    """The ids that sequence 0 holds, in order.

    `grid` counts the leading tokens that were computed in whole chunks on multiples of `chunk`: the part that any run
    of the same prompt computes in the same way, and so with the same bits.
    """

    def __init__(self, memory: CacheMemory, *, chunk: int, window: int = 0, rewindable: bool = True) -> None:
        """Starts empty.

        Args:
            memory: The context.
            chunk: Tokens of one prefill batch.
            window: The model's sliding window in tokens; 0 where attention sees everything.
            rewindable: False for recurrent and hybrid models, whose state only goes forward.
        """
        self._memory, self._chunk, self._window, self._rewindable = memory, chunk, window, rewindable
        self.ids: list[int] = []
        self.grid = 0

    def reuse(self, prompt: list[int], *, exact: bool) -> int:
        """Makes the cache hold a prefix of the prompt and returns its length, at most len(prompt) - 1.

        Args:
            prompt: The ids to be run; never empty.
            exact: Keep only tokens that a run on an empty cache would compute with the same bits. (A token computed in
                a batch and alone differs in the last bits: 300 greedy tokens diverged in 5 of 6 prompts.)
        """
        keep = min(common_prefix(self.ids, prompt), len(prompt) - 1)
        if exact:
            keep = min(keep, self.grid) // self._chunk * self._chunk
        self.truncate(keep)
        return len(self.ids)

    def append(self, ids: Sequence[int]) -> None:
        """Records ids that a decode has just added behind the others."""
        if len(self.ids) == self.grid and len(ids) == self._chunk:
            self.grid += self._chunk
        self.ids.extend(ids)

    def truncate(self, length: int) -> None:
        """Drops everything from position `length` on, whatever a stopped or failed decode left there."""
        possible = self._rewindable or length in (0, len(self.ids))
        if length == 0 or not possible or not self._cut(length):
            self._memory.clear()
            length = 0
        del self.ids[length:]
        self.grid = min(self.grid, length - length % self._chunk)

    def _cut(self, length: int) -> bool:
        """Cuts, and checks that what should be there is there: seq_rm answers True on a window that has slid away."""
        first, last = self._memory.positions()
        if last >= length and not self._memory.remove(length):
            return False
        first, last = self._memory.positions()
        return last == length - 1 and (first <= max(0, length - self._window) if self._rewindable else True)
