"""Which leading tokens of a prompt are computed already, and how the context comes to hold them.

Chooses among the branches of the chat in the context, the chats that are parked, and those on disk. The context has the
branches of one chat alone, since attention runs over every cell that is used: 8.6 ms a token alone, 24.1 beside three
other chats of 3,000 tokens. Knows ids and positions, no text.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llmchat_engine.events import Origin, Restored
from llmchat_engine.host.lines import Line, usable
from llmchat_engine.host.sequences import Sequences, gap_before
from llmchat_engine.kvstore import Entry, common_prefix
from llmchat_engine.kvstore.values import ID_BYTES, pack_ids

BRANCH_TOKENS = 1024
"""Tokens of other branches that stay in the context: each costs the others 2.2 us a token, these 2 of 11 ms at most."""
WORTH_RESTORING = 32
"""Tokens more than the context has itself, for which a parked sequence is brought back."""
ROOM = 256
"""Cells that a prompt gets at least for its reply before the cache has to grow again."""


@dataclass(frozen=True, slots=True)
class Want:
    """What a request says about the cache."""

    chat: str = ""
    store: bool = False
    private: bool = False
    exact: bool = False
    """Use only tokens that a run on an empty cache would compute with the same bits."""
    repeatable: bool = True
    """Asked once more it shall answer the same, as far as the cache holds the same."""
    shift: bool = False
    """Move up what stands behind a gap."""
    shared: int = 0
    """So many of the first tokens begin other chats too."""
    room: int = ROOM
    """Cells that are wanted behind the prompt."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How a prompt met the cache."""

    cached: int
    restored: Restored | None = None
    moved: int = 0
    """Tokens that were moved up, among the cached ones."""


class SequenceCache:
    """Finds the beginning of each prompt; `active` is the sequence that is computed now."""

    def __init__(self, sequences: Sequences) -> None:
        self.sequences = sequences
        self._tick = 0
        self.active: Line = sequences.new()

    @property
    def ids(self) -> array[int]:
        """The ids that the active sequence holds."""
        return self.active.ids

    @property
    def rewindable(self) -> bool:
        """Whether the memory can be cut back at any token."""
        return self.sequences.kind.rewindable

    def cut_of(self, want: Want) -> int:
        """Returns where an exact run ends a chunk early: what begins other chats too can be taken from the cache then.

        Not with a sliding window, of which a state has the last cells alone: they would come back to other places, and
        sums in another order differ in the last bits unless all moved by a multiple of what is added up at once.
        """
        worth = want.exact and want.shared >= WORTH_RESTORING and not self.sequences.kind.window
        return want.shared if worth else 0

    def take(self, prompt: Sequence[int], want: Want) -> Taken:
        """Makes the active sequence hold a prefix of the prompt, at most all but its last token.

        Args:
            prompt: the ids to be run; never empty.
            want: whose they are, and what may be done.
        """
        wanted, restored, moved = pack_ids(prompt), None, 0
        if want.shift and not want.exact:
            moved = self._move_up(wanted, want)
        if not moved:
            restored = self._find(wanted, want)
        self._settle_in(want)
        self._make_way(len(prompt) + want.room - len(self.ids))
        if want.exact and (self.sequences.apart or len(self.sequences.lines) > 1):
            self.sequences.lay_together(self.active)
        return Taken(len(self.ids), restored, min(moved, len(self.ids)))

    def fork_active(self, count: int) -> list[Line]:
        """Returns the active sequence and copies of it, in the same cells: one for each of several answers."""
        return [self.active, *(self.sequences.fork(self.active, len(self.ids)) for _ in range(count - 1))]

    def spare(self) -> tuple[int, ...]:
        """Returns sequences that may be used until the next prompt is taken, by whoever empties them again."""
        self.sequences.apart = True  # their cells will lie between those of the prompt and what follows it
        return tuple(self.sequences.free_numbers(self.active))

    def copy(self, source: Line, target: Line) -> None:
        """Makes a sequence hold what another holds, in the same cells."""
        self.sequences.rewind(target, 0)
        self.sequences.fill(target, source, len(source.ids))

    def keep_alone(self, line: Line) -> None:
        """Drops every other sequence that was forked for the same request: they hold no reply."""
        for other in [other for other in self.sequences.lines if other is not line and other.used == line.used]:
            self.sequences.remove(other)
        self.active = line

    def join(self, lines: list[Line]) -> None:
        """Several answers have ended: the first is the active sequence, the others stay where a chat may want them.

        Which one the chat goes on with is not known. A copy of each outside the context would hold the prompt each
        time: of eight to 1,500 tokens 362 MB, 0.7 s on the way to another chat. They are computed again in 0.3.
        """
        known = self.sequences.lines
        self.active = next((line for line in lines if line in known), self.active)
        for line in lines:
            if line is self.active or line not in known:
                continue
            line.spent = True
            if line.private or not line.chat or not self._alone(line):
                self.sequences.remove(line)

    def _alone(self, line: Line) -> bool:
        """Returns whether no other sequence holds exactly the same: two answers that are equal, or not begun."""
        return all(other is line or other.ids != line.ids for other in self.sequences.lines)

    def append(self, ids: Sequence[int], line: Line | None = None) -> None:
        """Records ids that a decode has just added to the active sequence, or to another."""
        line, chunk = line or self.active, self.sequences.kind.chunk
        self.sequences.apart = self.sequences.apart or len(self.sequences.lines) > 1
        if len(line.ids) == line.grid and not self.sequences.apart:
            end = line.grid + len(ids)
            if len(ids) == chunk:
                line.grid = end
            elif len(ids) < chunk and end == line.shared and not line.cut:
                line.grid = line.cut = end
        line.ids.extend(ids)
        line.turning = False

    def truncate(self, length: int, line: Line | None = None) -> None:
        """Drops what a sequence holds from position `length` on, whatever a stopped decode left there."""
        line = line or self.active
        # The keys of some layers are turned, and the next decode would turn all of them.
        self.sequences.rewind(line, 0 if line.turning else length)

    def is_sound(self, line: Line | None = None) -> bool:
        """Returns whether the memory holds what it should before the next token, of the active sequence or another."""
        return self.sequences.is_sound(line or self.active)

    def checkpoint(self) -> None:
        """Remembers the state here, where it could not be rewound to otherwise."""
        self.sequences.checkpoint(self.active)

    def make_room(self, beside: Collection[Line] = ()) -> bool:
        """Makes room for a batch that found no free cell; returns whether there is some now.

        Args:
            beside: the sequences that stay where they are several: a larger cache would hold but one.
        """
        if self._drop_oldest_branch(beside):
            return True
        return not beside and self.sequences.grow(self.sequences.memory.cells + 1, self.active)

    def discard(self) -> None:
        """Drops what is private from the context, without a trace."""
        self._drop([line for line in self.sequences.lines if line.private])

    def forget(self, chat: str) -> None:
        """Drops the sequences of a chat from the context."""
        self._drop([line for line in self.sequences.lines if line.chat == chat])

    def trim(self) -> None:
        """Has branches leave the context that are too much for it; not the answers that one may be chosen from."""
        fresh = [line for line in self.sequences.lines if line.used == self.active.used]
        while self.sequences.tokens() - len(self.ids) > BRANCH_TOKENS and self._drop_oldest_branch(fresh):
            pass

    def _drop(self, lines: list[Line]) -> None:
        for line in lines:
            self.sequences.remove(line)
        if self.active not in self.sequences.lines:
            self.active = self.sequences.lines[-1] if self.sequences.lines else self.sequences.new()

    def _find(self, wanted: bytes, want: Want) -> Restored | None:
        """Makes the longest beginning of the prompt that is computed the active sequence."""
        kind, longest = self.sequences.kind, self.sequences.memory.n_ctx
        chunk, cut = kind.chunk if want.exact else 0, self.cut_of(want)
        parking = self.sequences.parking
        line, kept = self._best_line(wanted, chunk, cut)
        while True:
            length, found = parking.best(
                wanted, rewindable=kind.rewindable, window=kind.window, chunk=chunk, cut=cut, longest=longest
            )
            if found is None or length < kept + WORTH_RESTORING:
                self._use(line, kept, want)
                return None
            began = time.perf_counter()
            if (back := self.sequences.bring_back(found)) is not None:
                self.active = back
                self.sequences.rewind(back, length)
                origin: Origin = "disk" if isinstance(found, Entry) else "memory"
                return Restored(len(back.ids), time.perf_counter() - began, origin)
            line, kept = self._best_line(wanted, chunk, cut)

    def _best_line(self, wanted: bytes, chunk: int, cut: int) -> tuple[Line | None, int]:
        best, most = None, 0
        for line in sorted(self.sequences.lines, key=lambda line: -line.used):
            points = None if self.sequences.kind.rewindable else [point.length for point in line.checkpoints]
            length = usable(line, points, wanted, chunk=chunk, cut=cut)
            if length > most and self.sequences.reaches(line, length):
                best, most = line, length
        return best, most

    def _use(self, line: Line | None, length: int, want: Want) -> None:
        """Makes a sequence with the first tokens of a line the active one; what the line has besides is kept."""
        if line is None:  # no cell would be shared with what is here
            self.sequences.leave_only(None)
            self.active = self.sequences.new()
            return
        whole = length >= len(line.ids) - 1  # of the same prompt the last token is computed again
        if line.chat and not whole and self.sequences.kind.rewindable:
            self.active = self.sequences.fork(line, length)
            return
        if line.chat and (not whole or want.private or line.chat != want.chat):
            self.sequences.park(line)
        self.active = line
        self.sequences.rewind(line, length)

    def _settle_in(self, want: Want) -> None:
        """Has the active sequence be this chat's, and everything that is not leave the context."""
        line = self.active
        line.chat, line.store, line.private, line.spent = want.chat, want.store, want.private, False
        line.shared = want.shared
        self._tick += 1
        line.used = self._tick
        others = (other for other in self.sequences.lines if other is not line)
        for other in sorted(others, key=lambda other: other.used):  # the one used last holds what the others share
            if other.chat != want.chat:
                self.sequences.evict(other)
        if len(self.sequences.lines) == 1 and not line.ids:
            self.sequences.leave_only(line)
        self.trim()

    def _make_way(self, more: int) -> None:
        """Makes room for so many tokens, as far as there can be."""
        memory = self.sequences.memory
        while (wanted := self.sequences.tokens() + more) > memory.cells:
            if self._drop_oldest_branch():
                continue
            if not self.sequences.grow(wanted, self.active):
                return

    def _move_up(self, wanted: bytes, want: Want) -> int:
        """Closes a gap: messages were left out of the middle, and what stands behind them is computed already."""
        lines = [line for line in self.sequences.lines if line.chat == want.chat and want.chat]
        line = max(lines, key=lambda line: line.used, default=None)
        if line is None or not (self.sequences.kind.rewindable and self.sequences.memory.can_shift):
            return 0
        start = common_prefix(line.packed, wanted)
        gap = gap_before(line.packed, wanted, start)
        if gap is None:
            return 0
        end, length = gap
        self.active, tokens = line, len(wanted) // ID_BYTES
        self.sequences.leave_only(line)
        self._make_way(tokens + ROOM - len(line.ids))  # now: a state with keys yet to be turned cannot be copied
        if line.ids:
            self.sequences.close_gap(line, start, end)
            self.sequences.rewind(line, min(start + length, tokens - 1))
        return length if line.ids else 0

    def _drop_oldest_branch(self, beside: Collection[Line] = ()) -> bool:
        others = [line for line in self.sequences.lines if line is not self.active and line not in beside]
        if not others:
            return False
        self.sequences.evict(min(others, key=lambda line: (not line.spent, line.used)))
        return True
