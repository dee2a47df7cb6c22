"""One sequence in the context, and the ids that it holds; how much of it a prompt can use.

Knows ids and positions; no llama.cpp, no files, no text.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmchat_engine.kvstore import Checkpoint, common_prefix
from llmchat_engine.kvstore.values import ID_BYTES

MOST_CHECKPOINTS = 8


class Held(Protocol):
    """What a line, a parked one and one on disk have in common."""

    @property
    def packed(self) -> bytes:
        """The ids as int32: bytes compare 50 times faster than arrays."""

    @property
    def grid(self) -> int:
        """How many of the first were computed in whole chunks on multiples of the chunk, counted anew from the cut.

        That is the part that any run of the same prompt computes in the same way, and so with the same bits.
        """

    @property
    def cut(self) -> int:
        """Where a chunk ended early, because what begins other chats too ends there; 0 where none did."""


@dataclass(eq=False, slots=True)
class Line:
    """A sequence in the context."""

    number: int
    chat: str = ""
    ids: array[int] = field(default_factory=lambda: array("i"))
    grid: int = 0
    cut: int = 0
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """Of a memory that cannot be rewound; the oldest first."""
    store: bool = False
    """Whether it may be written to disk."""
    private: bool = False
    """Whether nothing of it may be kept outside the context."""
    moved_from: int | None = None
    """From where on it was moved to other positions: approximate, and nothing to keep for later."""
    turning: bool = False
    """Whether llama.cpp has yet to turn the keys that were moved: the next decode does, one that is stopped halfway."""
    spent: bool = False
    """Whether the next turn is without what is in here, or may be: first to go, and not kept outside the context."""
    shared: int = 0
    """So many of the first tokens begin other chats too."""
    seconds: float = 0.0
    """What its prefill took."""
    used: int = 0
    """When it was the active one: a counter."""

    def shorten(self, length: int, chunk: int) -> None:
        """Counts what was computed on the grid anew, where only the first tokens stay as they were computed."""
        self.grid = min(self.grid, on_grid(length, self.cut, chunk))
        self.cut = self.cut if self.cut <= self.grid else 0

    @property
    def packed(self) -> bytes:
        """The ids as int32."""
        return self.ids.tobytes()

    @property
    def keepable(self) -> bool:
        """Whether it may be kept outside the context."""
        return not self.private and self.moved_from is None

    @property
    def lasting(self) -> bool:
        """Whether it is kept outside the context when it leaves it."""
        return self.keepable and not self.spent


@dataclass(frozen=True, slots=True)
class Parked:
    """A sequence that left the context, as bytes in memory."""

    chat: str
    packed: bytes
    """The ids as int32."""
    grid: int
    state: memoryview
    checkpoints: tuple[Checkpoint, ...] = ()
    store: bool = False
    shared: bool = False
    """Whether it is the beginning of several chats, and of none alone."""
    seconds: float = 0.0
    cut: int = 0

    @property
    def tokens(self) -> int:
        """How many ids there are."""
        return len(self.packed) // ID_BYTES

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.state) + sum(len(memoryview(point.data)) for point in self.checkpoints)


def on_grid(length: int, cut: int, chunk: int) -> int:
    """Returns the last place on the grid up to a length."""
    begins = cut if cut <= length else 0
    return begins + (length - begins) // chunk * chunk


def usable(held: Held, checkpoints: Sequence[int] | None, prompt: bytes, *, chunk: int, cut: int = 0) -> int:
    """Returns how many tokens of a prompt can be taken from what is held: one at least is left to be computed.

    Args:
        held: a line, parked or not.
        checkpoints: the lengths it can be rewound to; None where any will do.
        prompt: the ids to be run, packed.
        chunk: where set, only whole chunks on the grid count.
        cut: where such a run of the prompt ends a chunk early.
    """
    length = min(common_prefix(held.packed, prompt), len(prompt) // ID_BYTES - 1)
    if chunk:
        length = _as_exact(held, min(length, held.grid), cut, chunk)
    if checkpoints is None or length * ID_BYTES == len(held.packed):
        return length
    if chunk:  # a checkpoint lies where a message ended, which is on the grid at the cut alone
        return length if length == cut and length in checkpoints else 0
    return max((point for point in checkpoints if point <= length), default=0)


def _as_exact(held: Held, length: int, cut: int, chunk: int) -> int:
    """Returns how many of the first tokens are as a run on an empty cache with this cut computes them."""
    cut = cut if cut % chunk else 0
    if held.cut != cut:  # behind the first of two cuts the chunks lie elsewhere
        length = min(length, held.cut or length, cut or length) // chunk * chunk
    return on_grid(length, cut, chunk)


def add_checkpoint(line: Line, checkpoint: Checkpoint) -> None:
    """Adds a checkpoint behind those that are there; of too many the second oldest goes."""
    line.checkpoints = [known for known in line.checkpoints if known.length < checkpoint.length] + [checkpoint]
    if len(line.checkpoints) > MOST_CHECKPOINTS:
        del line.checkpoints[1]
