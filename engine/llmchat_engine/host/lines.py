"""One sequence in the context, and the ids that it holds; how much of it a prompt can use.

Knows ids and positions; no llama.cpp, no files, no text.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llmchat_engine.kvstore import Checkpoint, common_prefix

MOST_CHECKPOINTS = 8


class Held(Protocol):
    """What a line, a parked one and one on disk have in common."""

    @property
    def ids(self) -> array[int]:
        """The tokens, in order."""

    @property
    def grid(self) -> int:
        """How many of the first were computed in whole chunks on multiples of the chunk.

        That is the part that any run of the same prompt computes in the same way, and so with the same bits.
        """


@dataclass(eq=False, slots=True)
class Line:
    """A sequence in the context."""

    number: int
    chat: str = ""
    ids: array[int] = field(default_factory=lambda: array("i"))
    grid: int = 0
    checkpoints: list[Checkpoint] = field(default_factory=list)
    """Of a memory that cannot be rewound; the oldest first."""
    store: bool = False
    """Whether it may be written to disk."""
    private: bool = False
    """Whether nothing of it may be kept outside the context."""
    moved: bool = False
    """Whether some of it was moved to other positions: approximate, and nothing to keep for later."""
    spent: bool = False
    """Whether the next turn has been computed without what is in here: first to go."""
    shared: int = 0
    """So many of the first tokens begin other chats too."""
    seconds: float = 0.0
    """What its prefill took."""
    used: int = 0
    """When it was the active one: a counter."""

    @property
    def keepable(self) -> bool:
        """Whether it may be kept outside the context."""
        return not (self.private or self.moved)


@dataclass(frozen=True, slots=True)
class Parked:
    """A sequence that left the context, as bytes in memory."""

    chat: str
    ids: array[int]
    grid: int
    state: memoryview
    checkpoints: tuple[Checkpoint, ...] = ()
    store: bool = False
    shared: bool = False
    """Whether it is the beginning of several chats, and of none alone."""
    seconds: float = 0.0

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.state) + sum(len(memoryview(point.data)) for point in self.checkpoints)


def ids_of(ids: Iterable[int]) -> array[int]:
    """Returns ids as the cache keeps them."""
    return array("i", ids)


def usable(held: Held, checkpoints: Sequence[int] | None, prompt: array[int], *, chunk: int) -> int:
    """Returns how many tokens of a prompt can be taken from what is held: one at least is left to be computed.

    Args:
        held: a line, parked or not.
        checkpoints: the lengths it can be rewound to; None where any will do.
        prompt: the ids to be run.
        chunk: where set, only whole chunks on the grid count.
    """
    length = min(equal_tokens(held.ids, prompt), len(prompt) - 1)
    if chunk:
        length = min(length, held.grid) // chunk * chunk
    if checkpoints is None or length == len(held.ids):
        return length
    if chunk:  # a checkpoint lies where a message ended, not on the grid
        return 0
    return max((point for point in checkpoints if point <= length), default=0)


def equal_tokens(one: array[int], other: array[int]) -> int:
    """Returns the number of leading ids that are equal; as bytes, which compare 50 times faster than arrays."""
    return common_prefix(one.tobytes(), other.tobytes())


def add_checkpoint(line: Line, checkpoint: Checkpoint) -> None:
    """Adds a checkpoint behind those that are there; of too many the second oldest goes."""
    line.checkpoints = [known for known in line.checkpoints if known.length < checkpoint.length] + [checkpoint]
    if len(line.checkpoints) > MOST_CHECKPOINTS:
        del line.checkpoints[1]
