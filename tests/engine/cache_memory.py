"""A scripted llama.cpp memory whose cells can be looked at, and the ways in which the real one disappoints.

Each cell has its token, so a test can tell what a sequence really holds; keys that are moved stay to be turned until
the next decode, as in llama.cpp. Knows the host's cache and decoder; no llama.cpp.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.host.cache import SequenceCache, Taken, Want
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.feed import Feeder
from llmchat_engine.host.lines import on_grid
from llmchat_engine.host.parking import Parking
from llmchat_engine.host.sequences import Kind, Sequences
from llmchat_engine.kvstore import KvStore

CHUNK = 16
SEEN = 20
"""The last tokens that decide what comes next; a window must not be smaller."""
SPOILT = -1
"""The token of a cell whose keys are turned too little or too much."""


@dataclass(eq=False, slots=True)
class Cell:
    """One token in the memory."""

    token: int
    at: int
    """Its position."""
    holders: set[int]
    tidy: bool = False
    """Whether it was computed behind others that were, in the cells that an empty context would take."""
    step: int = 0
    """Where the batch ended that it was computed in."""
    moved: bool = False
    to_turn: bool = False


@dataclass
class Memory:
    """What `Context` is to the cache. The fields after `cells` are the faults; each can be changed at any time."""

    n_ctx: int = 4096
    cells: int = 4096
    window: int = 0
    forward: bool = False
    """Cannot be rewound: beside the cells there is a state, as in a hybrid; a partial copy is of the state alone."""
    refuses: bool = False
    """Refuses to remove the end of a sequence."""
    lies: bool = False
    """Says that it removed the end of a sequence, and did not."""
    stubborn: bool = False
    """Removes nothing at all; only `clear` helps."""
    restores: bool = True
    grows: bool = True
    shrinks: bool = False
    """Has no memory for as many cells as there were, once it let them go in order to grow."""
    saves: bool = True
    can_shift: bool = True
    aborted: bool = False
    n_batch: int = CHUNK
    slots: list[Cell | None] = field(default_factory=list)
    states: dict[int, list[int]] = field(default_factory=dict)
    """Of a memory that only goes forward: the tokens that each sequence's state comes from."""
    batch: list[tuple[int, int]] = field(default_factory=list)
    """Sequence and position of the tokens of the last batch; of a prompt the last one alone."""
    decoded: int = 0
    """Tokens that were computed so far."""
    on_decode: Callable[[int], None] = lambda _count: None
    """Called before each decode with `decoded`."""
    watch: Callable[[int], None] = lambda _sequence: None
    """Called after each decode with the sequence."""

    def __post_init__(self) -> None:
        self.slots = [None] * self.cells

    def held(self, sequence: int) -> list[Cell]:
        """Returns the cells of a sequence by position."""
        own = [cell for cell in self.slots if cell is not None and sequence in cell.holders]
        return sorted(own, key=lambda cell: cell.at)

    def tokens(self, sequence: int) -> list[int]:
        """Returns what a sequence holds, and that each position is there once from the first one held on."""
        held = self.held(sequence)
        assert [cell.at for cell in held] == list(range(held[0].at, held[-1].at + 1)) if held else True
        assert not self.forward or self.states.get(sequence, []) == [cell.token for cell in held]
        return [cell.token for cell in held]

    def used(self) -> int:
        """Returns the number of cells in use."""
        return sum(cell is not None for cell in self.slots)

    def is_tidy(self, sequence: int) -> bool:
        """Tells whether a sequence lies as on an empty context, and alone."""
        return self.slots[: self.used()] == self.held(sequence)

    def decode(self, ids: Sequence[int], start: int, sequence: int) -> bool:
        """Appends tokens, as `Context.decode`."""
        self.on_decode(self.decoded)
        held = self.held(sequence)
        assert start == self.positions(sequence)[1] + 1, "llama.cpp refuses a gap"
        free = [at for at, cell in enumerate(self.slots) if cell is None]
        if not self.cells:
            raise NotEnoughMemory("the memory of the chat's cache is gone", "the test has none")
        if len(free) < len(ids):
            raise NoFreeCell("llama.cpp refused a batch", "no free cell in the cache")
        self._turn()
        if self.aborted:
            return False
        tidy = all(cell.tidy for cell in held)
        for offset, (slot, token) in enumerate(zip(free, ids, strict=False)):
            self.slots[slot] = Cell(token, start + offset, {sequence}, step=start + len(ids))
        for cell in self.held(sequence)[start:] if tidy and self.is_tidy(sequence) else ():
            cell.tidy = True
        self.batch, self.decoded = [(sequence, start + len(ids) - 1)], self.decoded + len(ids)
        self.states[sequence] = [*self.states.get(sequence, []), *ids] if self.forward else []
        self._slide(sequence)
        self.watch(sequence)
        return True

    def decode_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> bool:
        """Appends tokens of several sequences, as `Context.decode_many`."""
        self.on_decode(self.decoded)
        free = [at for at, cell in enumerate(self.slots) if cell is None]
        if len(free) < len(ids):
            raise NoFreeCell("llama.cpp refused a batch", "no free cell in the cache")
        self._turn()
        if self.aborted:
            return False
        for slot, token, at, sequence in zip(free, ids, positions, sequences, strict=False):
            assert at == self.positions(sequence)[1] + 1, "llama.cpp refuses a gap"
            self.slots[slot] = Cell(token, at, {sequence})
            self.states[sequence] = [*self.states.get(sequence, []), token] if self.forward else []
        self.batch, self.decoded = list(zip(sequences, positions, strict=True)), self.decoded + len(ids)
        return True

    def behind(self, index: int) -> tuple[int, ...]:
        """Returns the last tokens that a row of logits of the last batch is behind."""
        sequence, last = self.batch[index]
        return tuple(cell.token for cell in self.held(sequence) if last - SEEN < cell.at <= last)

    def _turn(self) -> None:
        for cell in self.slots:
            if cell is not None and cell.to_turn:
                cell.to_turn = self.aborted
                cell.token = SPOILT if self.aborted else cell.token

    def _slide(self, sequence: int) -> None:
        if self.window and len(held := self.held(sequence)) > 4 * self.window:
            self._drop(sequence, 0, held[-1].at - 2 * self.window)

    def remove(self, start: int, *, sequence: int = 0, end: int = -1) -> bool:
        """Removes tokens, or does not."""
        partial = 0 < start <= self.positions(sequence)[1]
        if self.stubborn or (partial and (self.refuses or self.forward)):
            return False
        if not (partial and self.lies):
            self._drop(sequence, start, end)
        return True

    def _drop(self, sequence: int, start: int, end: int) -> None:
        if start == 0 and end < 0:
            self.states.pop(sequence, None)
        for at, cell in enumerate(self.slots):
            if cell is not None and start <= cell.at and (end < 0 or cell.at < end):
                cell.holders.discard(sequence)
                if not cell.holders:
                    self.slots[at] = None

    def lose(self, sequence: int, count: int) -> None:
        """Loses the last tokens of a sequence; of a negative count the first."""
        held = self.held(sequence)
        if held and count > 0:
            self.states[sequence] = self.states.get(sequence, [])[:-count]
            self._drop(sequence, max(0, held[-1].at + 1 - count), -1)
        elif held:
            self._drop(sequence, 0, held[0].at - count)

    def copy(self, source: int, target: int, end: int) -> None:
        """Has a sequence hold cells of another."""
        for cell in self.held(source):
            if cell.at < end:
                cell.holders.add(target)
        if self.forward and source in self.states:
            assert end == len(self.states[source]), "a state is copied whole"
            self.states[target] = [*self.states[source]]

    def shift(self, sequence: int, start: int, by: int) -> None:
        """Moves tokens; their keys are turned at the next decode."""
        for cell in self.held(sequence):
            assert cell.holders == {sequence}, "tokens of another sequence would move"
            if cell.at >= start:
                cell.at, cell.moved, cell.tidy, cell.to_turn = cell.at + by, True, False, True

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        """Returns the first and the last."""
        held = self.held(sequence)
        if not held:
            return -1, -1
        if self.forward:  # llama.cpp's hybrid: what both of its memories have
            last = min(len(self.states.get(sequence, [])) - 1, held[-1].at)
            return last, last
        return held[0].at, held[-1].at

    def clear(self) -> None:
        """Empties it."""
        self.slots, self.states = [None] * self.cells, {}

    def save(self, sequence: int, *, partial: bool = False) -> bytes:
        """Returns the cells of a sequence in the order of the cells: of a window only what it needs."""
        if not self.saves:
            return b""
        if partial:
            return json.dumps(self.states.get(sequence, [])).encode()
        mine = [cell for cell in self.slots if cell is not None and sequence in cell.holders]
        last = max((cell.at for cell in mine), default=0)
        kept = [cell for cell in mine if not self.window or cell.at > last - self.window]
        rows = [(SPOILT if cell.to_turn else cell.token, cell.at, cell.tidy, cell.step, cell.moved) for cell in kept]
        return json.dumps(rows).encode()

    def restore(self, state: Any, sequence: int, *, partial: bool = False) -> bool:
        """Takes a state back into the first free cells; what was there of the sequence goes."""
        rows = json.loads(bytes(state) or b"[]")
        if partial:
            self.states[sequence] = rows if self.restores else []
            return self.restores
        self._drop(sequence, 0, -1)
        free = [at for at, cell in enumerate(self.slots) if cell is None]
        if not self.restores or len(free) < len(rows):
            return False
        for slot, (token, at, tidy, step, moved) in zip(free, rows, strict=False):
            self.slots[slot] = Cell(token, at, {sequence}, tidy, step, moved)
        self.states[sequence] = [token for token, *_ in sorted(rows, key=lambda row: row[1])] if self.forward else []
        return True

    def grow(self, cells: int, keep: int) -> bool:
        """Makes more cells; only one sequence stays."""
        wanted = min(self.n_ctx, 1 << (max(cells, self.cells + 1) - 1).bit_length())
        if wanted <= self.cells:
            return False
        held, state, before = self.positions(keep), self.save(keep), self.cells
        self.cells = 0 if self.shrinks else wanted if self.grows else before
        self.clear()
        if state:
            self.restore(state, keep)
        return self.cells > before and self.positions(keep) == held


class Script(Feeder):
    """The host's feeder on a scripted memory: prompts and replies are given."""

    def __init__(self, memory: Memory, *, budget: int = 1 << 30, store: KvStore | None = None) -> None:
        kind = Kind(CHUNK, memory.window, not memory.forward, 4)
        self.memory, self.parking = memory, Parking(budget, store, lambda _: None)
        cache = SequenceCache(Sequences(memory, kind, self.parking))
        super().__init__(cast(Context, memory), cache, memory.n_ctx)

    def run(self, prompt: Sequence[int], reply: Sequence[int] = (), want: Want | None = None) -> Taken:
        """Runs a prompt and a reply; the last token of a reply never goes through a model."""
        want = want or Want("chat")
        taken = self.cache.take(prompt, want)
        assert taken.cached == len(self.cache.ids) < len(prompt)
        assert self.cache.ids.tolist() == list(prompt[: taken.cached])
        for _ in self._prefill(list(prompt), taken.cached, want):
            pass
        for token in reply[:-1] if len(self.cache.ids) == len(prompt) else ():
            if not self._step([token]):
                break
        return taken

    def numbers(self) -> list[int]:
        """Returns the numbers of the sequences that there are."""
        return sorted(line.number for line in self.cache.sequences.lines)

    def check(self) -> None:
        """Fails where the context is not what the cache says, or somebody's who has no business there."""
        lines = self.cache.sequences.lines
        for line in lines:
            held = self.memory.tokens(line.number)
            missing = len(line.ids) - len(held)
            assert held == line.ids.tolist()[missing:], line
            assert missing == 0 or len(held) >= self.memory.window > 0
            assert line.grid <= len(line.ids) and line.grid == on_grid(line.grid, line.cut, CHUNK)
        strangers = {holder for cell in self.memory.slots if cell is not None for holder in cell.holders}
        assert strangers <= set(self.numbers()), "cells of nobody"
        assert self.cache.active in lines
        assert {line.chat for line in lines} == {self.cache.active.chat}
        assert self.cache.active.chat or len(lines) == 1


def ramp(count: int, first: int = 0) -> list[int]:
    """Returns so many tokens, the same for the same arguments; another `first` has none of them."""
    return [10_000 * first + index for index in range(count)]
