"""The values of the store: what is saved, what the index knows, what is loaded. Knows no files and no bytes of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

ID_BYTES = 4


def pack_ids(ids: Iterable[int]) -> bytes:
    """Returns token ids as int32, as this machine keeps them: the state behind them is no more portable."""
    return (ids if isinstance(ids, array) and ids.typecode == "i" else array("i", ids)).tobytes()


def common_prefix(first: bytes, second: bytes) -> int:
    """Returns how many leading ids two packed sequences share."""
    low, high = 0, min(len(first), len(second)) // ID_BYTES
    if first[: high * ID_BYTES] == second[: high * ID_BYTES]:
        return high
    while high - low > 1:  # the first `low` agree, the first `high` do not
        middle = (low + high) // 2
        if first[low * ID_BYTES : middle * ID_BYTES] == second[low * ID_BYTES : middle * ID_BYTES]:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state, at `length` tokens, of a memory that cannot be rewound."""

    length: int
    data: Buffer


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of a file without reading its payload."""

    path: Path
    chat: str
    """The hash of the chat's name: the directory that the file is in."""
    packed: bytes = field(repr=False)
    """The ids as int32: bytes compare 50 times faster than an array or a memoryview."""
    grid: int
    size: int
    """Bytes of the whole file."""
    used_at: float
    prefill_seconds: float
    shared: bool
    checkpoints: tuple[int, ...]
    """The lengths that have a checkpoint, ascending."""
    inode: int

    @property
    def tokens(self) -> int:
        """How many ids there are."""
        return len(self.packed) // ID_BYTES

    @property
    def cut(self) -> int:
        """Where a chunk of its prefill ended early: what begins several chats was computed for that alone."""
        return self.grid if self.shared and self.grid == self.tokens else 0

    @property
    def ids(self) -> array[int]:
        """The ids; a copy, 1 µs for 3,000."""
        return array("i", self.packed)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a file held, all of it checked. The views are writable and nobody else's."""

    ids: array[int]
    grid: int
    state: memoryview
    checkpoints: tuple[Checkpoint, ...]
