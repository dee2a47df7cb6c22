"""The sequences of one context: made, forked, cut, parked, brought back; each with the ids that it holds.

The only one who moves tokens in the memory. Knows ids and positions, no text; which sequence is wanted, cache.py
knows. Every change is checked against the memory's own account of positions; what is not as it should be is emptied.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, Protocol

from llmchat_engine.host.lines import Line, Parked, add_checkpoint, on_grid
from llmchat_engine.host.parking import Found, Parking
from llmchat_engine.kvstore import Checkpoint, common_prefix
from llmchat_engine.kvstore.values import ID_BYTES

WORTH_PARKING = 64
"""Tokens that nothing else holds, for which a branch that has to leave the context is parked."""
WORTH_MOVING = 64
"""Tokens behind a gap, for which they are moved up."""


class CacheMemory(Protocol):
    """What the cache needs of a `context.Context`."""

    cells: int
    n_ctx: int

    @property
    def can_shift(self) -> bool:
        """Whether tokens can be moved."""

    def remove(self, start: int, *, sequence: int = 0, end: int = -1) -> bool:
        """Removes tokens; False where this kind of memory cannot do that."""

    def copy(self, source: int, target: int, end: int) -> None:
        """Makes `target` hold the first `end` tokens of `source`."""

    def shift(self, sequence: int, start: int, by: int) -> None:
        """Moves tokens to other positions."""

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        """Returns (first, last) position held; (-1, -1) when empty."""

    def clear(self) -> None:
        """Empties the memory."""

    def save(self, sequence: int, *, partial: bool = False) -> Any:
        """Returns a state as bytes."""

    def restore(self, state: Any, sequence: int, *, partial: bool = False) -> bool:
        """Takes a state back."""

    def grow(self, cells: int, keep: int) -> bool:
        """Makes more cells; returns whether it could, with the sequence `keep` in them. No other one stays."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a model's memory behaves."""

    chunk: int
    """Tokens of one prefill batch."""
    window: int = 0
    """Its sliding window in tokens; 0 where attention sees everything."""
    rewindable: bool = True
    """False for recurrent and hybrid models, whose state only goes forward."""
    sequences: int = 8


class Sequences:
    """What the context holds, line by line."""

    def __init__(self, memory: CacheMemory, kind: Kind, parking: Parking) -> None:
        self.memory, self.kind, self.parking = memory, kind, parking
        self.lines: list[Line] = []
        self.apart = False
        """Whether cells of several sequences lie between each other: then sums may differ in the last bits."""

    def new(self, beside: Line | None = None) -> Line:
        """Returns an empty sequence; where there is no number left, the least recently used one but `beside` leaves."""
        line = Line(self.free_numbers(beside)[0])
        self.lines.append(line)
        return line

    def fork(self, line: Line, length: int) -> Line:
        """Returns a new sequence of the same chat with the first tokens of another, in the same cells."""
        fork = self.new(beside=line)
        fork.chat, fork.store, fork.private, fork.shared = line.chat, line.store, line.private, line.shared
        fork.used = line.used  # now: the next fork could find it the least recently used one
        self.fill(fork, line, length)
        return fork

    def fill(self, target: Line, source: Line, length: int) -> None:
        """Makes an empty sequence hold the first tokens of another, in the same cells."""
        self.memory.copy(source.number, target.number, length)
        target.ids, target.moved_from, target.seconds = source.ids[:length], source.moved_from, source.seconds
        target.grid, target.cut, target.checkpoints = source.grid, source.cut, list(source.checkpoints)
        self.rewind(target, length)

    def rewind(self, line: Line, length: int) -> None:
        """Cuts a sequence to a length; where that cannot be, to the checkpoint before it, or to nothing."""
        if length < len(line.ids) or not self.is_sound(line):
            length = self._cut(line, length)
        del line.ids[length:]
        line.shorten(length, self.kind.chunk)
        line.checkpoints = [point for point in line.checkpoints if point.length <= length]
        if line.moved_from is not None and length <= line.moved_from:
            line.moved_from, line.turning = None, False

    def check(self, line: Line) -> None:
        """Empties a sequence that does not hold what it should."""
        if not self.is_sound(line):
            self.rewind(line, 0)

    def park(self, line: Line) -> Parked | None:
        """Keeps a copy of a sequence outside the context, where that may be; returns it."""
        if not line.keepable or not line.ids or not self.is_sound(line):
            return None
        if known := self.parking.holds(line.chat, line.packed):
            return known
        points, state = tuple(line.checkpoints), memoryview(self.memory.save(line.number))
        parked = Parked(line.chat, line.packed, line.grid, state, points, line.store, False, line.seconds, line.cut)
        return self._keep(parked)

    def park_beginning(self, line: Line) -> Parked | None:
        """Keeps a copy of the tokens that begin other chats too; only where a sequence can be cut."""
        length = min(line.shared, len(line.ids))
        if not (length and line.keepable and line.chat and self.kind.rewindable):
            return None
        packed = line.packed[: length * ID_BYTES]
        if known := self.parking.holds(line.chat, packed):
            return known
        number = self.free_numbers(line)[0]
        self.memory.copy(line.number, number, length)
        state = memoryview(self.memory.save(number))
        self.memory.remove(0, sequence=number)
        cut = line.cut if line.cut <= length else 0
        grid = min(line.grid, on_grid(length, cut, self.kind.chunk))
        return self._keep(Parked(line.chat, packed, grid, state, (), line.store, True, line.seconds, cut))

    def evict(self, line: Line) -> None:
        """Has a sequence leave the context; a copy is parked where no other that its chat keeps holds what it does."""
        kept = (other for other in self.lines if other is not line and other.chat == line.chat and other.lasting)
        others = [other.packed for other in kept]
        alone = len(line.ids) - max((common_prefix(line.packed, packed) for packed in others), default=0)
        if alone >= WORTH_PARKING and line.lasting:
            self.park(line)
        self.remove(line)

    def remove(self, line: Line) -> None:
        """Drops a sequence without a trace."""
        self.memory.remove(0, sequence=line.number)
        self.lines.remove(line)

    def bring_back(self, found: Found) -> Line | None:
        """Makes the context hold a parked sequence and nothing else; None, and an empty context, where it cannot."""
        parked = self.parking.fetch(found)
        if parked is None:
            self.parking.drop(found)
            return None
        self.leave_only(None)
        line = self.new()
        if parked.tokens > self.memory.cells:
            self.grow(parked.tokens, line)
        if self.memory.restore(parked.state, line.number):
            line.ids, line.seconds = array("i", parked.packed), parked.seconds
            line.grid, line.cut = parked.grid, parked.cut
            line.checkpoints = list(parked.checkpoints)
            self.check(line)
        if not line.ids:
            self.memory.clear()
            self.lines.remove(line)
            self.parking.drop(found)
            return None
        return line

    def grow(self, cells: int, line: Line) -> bool:
        """Makes more cells, for which every other sequence leaves; returns whether it could, with this one in them."""
        self.leave_only(line)
        grown = self.memory.grow(cells, line.number)
        self.check(line)
        return grown

    def leave_only(self, line: Line | None) -> None:
        """Has every other sequence leave the context, the one used last at the end: it holds what the others share."""
        for other in sorted((other for other in self.lines if other is not line), key=lambda other: other.used):
            self.evict(other)
        if line is None or not line.ids:
            self.memory.clear()
            self.apart = False

    def lay_together(self, line: Line) -> None:
        """Puts a sequence into the cells that it would have on an empty context; the others leave."""
        self.leave_only(line)
        state = self.memory.save(line.number) if line.ids else None
        self.memory.clear()
        self.apart = False
        if state is not None and not self.memory.restore(state, line.number):
            self._empty(line)
        self.check(line)

    def close_gap(self, line: Line, start: int, end: int) -> None:
        """Takes tokens out of the middle and moves up what stands behind them: approximate. The others leave."""
        self.leave_only(line)  # the cells of others may be this line's too, and would move
        if not self.memory.remove(start, sequence=line.number, end=end):
            self._empty(line)
        else:
            self.memory.shift(line.number, end, start - end)
        del line.ids[start:end]
        line.shorten(start, self.kind.chunk)
        line.checkpoints = []
        line.moved_from = start if line.moved_from is None else min(start, line.moved_from)
        line.turning = self.apart = True
        self.check(line)

    def checkpoint(self, line: Line) -> None:
        """Remembers the state of a sequence, where it could not be rewound to otherwise."""
        if not self.kind.rewindable and line.ids:
            data = self.memory.save(line.number, partial=True)
            add_checkpoint(line, Checkpoint(len(line.ids), memoryview(data)))

    def is_sound(self, line: Line) -> bool:
        """Returns whether the memory holds what it should: seq_rm answers True even where a window has slid away."""
        return self._is_right(*self.memory.positions(line.number), len(line.ids))

    def reaches(self, line: Line, length: int) -> bool:
        """Returns whether a sequence can be cut to a length: not where a sliding window has left what is before it."""
        first, _ = self.memory.positions(line.number)
        return length == len(line.ids) or not self.kind.rewindable or first <= self._oldest(length)

    def tokens(self) -> int:
        """Returns the cells in use: what branches share counts once."""
        seen: list[bytes] = []
        total = 0
        for line in self.lines:
            total += len(line.ids) - max((common_prefix(line.packed, packed) for packed in seen), default=0)
            seen.append(line.packed)
        return total

    def _cut(self, line: Line, length: int) -> int:
        """Cuts the memory, checks that what should be there is there, and returns how much that is."""
        if self.kind.rewindable:
            if self._removed(line, length):
                return length
        else:
            for point in reversed([point for point in line.checkpoints if point.length <= length]):
                if self.memory.restore(point.data, line.number, partial=True) and self._removed(line, point.length):
                    return point.length
        self._empty(line)
        return 0

    def _removed(self, line: Line, length: int) -> bool:
        # Also where nothing seems to be there: a hybrid names the last position that both of its memories have.
        removed = self.memory.remove(length, sequence=line.number)
        return removed and self._is_right(*self.memory.positions(line.number), length)

    def _is_right(self, first: int, last: int, length: int) -> bool:
        within = first <= self._oldest(length) if self.kind.rewindable else True
        return last == length - 1 and within

    def _oldest(self, length: int) -> int:
        """Returns the first position that must be there for a token behind so many; with a window not all must."""
        return max(0, length - self.kind.window) if self.kind.window else 0

    def _empty(self, line: Line) -> None:
        """Empties a sequence; where the memory will not have that, the whole context."""
        if len(self.lines) == 1 or not self.memory.remove(0, sequence=line.number):
            self.lines = [line]
            self.memory.clear()
            self.apart = False

    def _keep(self, parked: Parked) -> Parked | None:
        """Parks a copy, unless llama.cpp or the memory of this machine had none to give."""
        if not len(parked.state):
            return None
        self.parking.put(parked)
        return parked

    def free_numbers(self, beside: Line | None) -> list[int]:
        """Returns the sequences that are free, one at least: where none is, the least recently used line leaves."""
        taken = {line.number for line in self.lines}
        free = [number for number in range(self.kind.sequences) if number not in taken]
        if not free:
            oldest = min((line for line in self.lines if line is not beside), key=lambda line: line.used)
            self.evict(oldest)
            free = [oldest.number]
        return free


def gap_before(held: bytes, wanted: bytes, start: int) -> tuple[int, int] | None:
    """Returns where in `held` the prompt goes on behind a gap, and for how many tokens; None where it does not.

    Args:
        held: ids of a sequence, packed.
        wanted: ids of the prompt, packed.
        start: length of their common beginning in tokens.
    """
    at = start * ID_BYTES
    probe = wanted[at : at + WORTH_MOVING * ID_BYTES]
    if len(probe) < WORTH_MOVING * ID_BYTES:
        return None
    rest = wanted[at:]
    while (at := held.find(probe, at + 1)) >= 0:
        if at % ID_BYTES == 0:
            return at // ID_BYTES, common_prefix(held[at:], rest)
    return None
