"""Three chats at random on a scripted memory: asked on, asked again, edited, moved, private, exact, stopped, robbed.

After every step each sequence holds the ids that the cache says, nothing of one chat lies beside another's, what was
copied out is whole, and the budget holds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from tests.engine.cache_memory import CHUNK, SPOILT, Memory, Script
from tests.engine.rig import SEED

from llmchat_engine.host.cache import Want
from llmchat_engine.host.parking import Found
from llmchat_engine.kvstore.values import pack_ids

STEPS = 60
BUDGET = 60_000
N_CTX = 1024
FAULTS = ("refuses", "lies", "stubborn", "restores", "saves", "grows")


def step_of(at: int, cut: int) -> int:
    """Returns where the batch ends that an exact run on an empty cache computes a token in."""
    begins = cut if at >= cut else 0
    end = begins + ((at - begins) // CHUNK + 1) * CHUNK
    return min(end, cut) if at < cut else end


@dataclass
class Told:
    """One path of a chat: where each turn ends, and all ids."""

    ids: list[int]
    ends: list[int]
    prompt: int = 0
    """Length of the last prompt."""


@dataclass
class Player:
    """Plays with one memory."""

    dice: random.Random
    memory: Memory
    script: Script
    chats: dict[str, list[Told]] = field(default_factory=dict)
    private: set[bytes] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    next_token: int = 100
    looks_at_cells: bool = True

    def words(self, most: int) -> list[int]:
        """Returns new tokens, sometimes of a vocabulary so small that texts meet by chance."""
        count = self.dice.randint(1, most)
        if self.dice.random() < 0.3:
            return [self.dice.randrange(3) for _ in range(count)]
        self.next_token += count
        return list(range(self.next_token - count, self.next_token))

    def system(self) -> list[int]:
        return [self.dice.choice((50, 51)), *range(60, 60 + CHUNK * 2)]

    def step(self) -> None:
        """Does something."""
        chat = self.dice.choice("abc")
        told = self.dice.choice(self.chats.setdefault(chat, []) or [Told(self.system(), [])])
        if len(told.ids) > N_CTX - 250:
            told = Told(self.system(), [])
        self.dice.choice(self.acts())(chat, told)

    def acts(self) -> Sequence[Callable[[str, Told], None]]:
        """Returns what may be done."""
        return (self.ask, self.ask, self.ask, self.again, self.edit, self.move, self.one_off, self.rest, self.forget)

    def ask(self, chat: str, told: Told) -> None:
        self.run(chat, told, told.ids + self.words(60))

    def again(self, chat: str, told: Told) -> None:
        self.run(chat, told, told.ids[: told.prompt] or self.system())

    def edit(self, chat: str, told: Told) -> None:
        at = self.dice.choice(told.ends or [len(told.ids)])
        self.run(chat, Told(told.ids[:at], [end for end in told.ends if end <= at]), told.ids[:at] + self.words(40))

    def move(self, chat: str, told: Told) -> None:
        if len(told.ends) < 2:
            return self.ask(chat, told)
        start, end = sorted(self.dice.sample(told.ends, 2))
        ids = told.ids[:start] + told.ids[end:] + self.words(40)
        return self.run(chat, Told(ids, [start, len(ids)]), ids, shift=True)

    def one_off(self, chat: str, told: Told) -> None:
        private = self.dice.random() < 0.5
        ids = told.ids[: self.dice.randint(1, len(told.ids))] + self.words(90)
        self.script.run(ids, self.words(20), Want("", private=private, exact=self.dice.random() < 0.3))
        if private:
            self.private.add(self.script.cache.active.packed)
            self.script.cache.discard()

    def rest(self, chat: str, told: Told) -> None:
        """What idle time does."""
        if self.script.cache.active.chat:
            path = [*self.script.cache.ids, *self.words(5)][: N_CTX - 1]
            cut = self.dice.randint(1, len(path))
            self.script.compute(path[:cut], Want(self.script.cache.active.chat))
        sequences = self.script.cache.sequences
        self.script.cache.trim()
        sequences.park_beginning(self.script.cache.active)
        sequences.park(self.script.cache.active)

    def forget(self, chat: str, told: Told) -> None:
        if self.dice.random() < 0.2:
            self.script.parking.forget(chat)
            self.script.cache.forget(chat)
            self.chats.pop(chat)
            self.forgotten.add(chat)

    def run(self, chat: str, told: Told, prompt: list[int], *, shift: bool = False) -> None:
        exact = self.dice.random() < 0.15
        want = Want(chat, exact=exact, shift=shift, shared=self.dice.choice((0, CHUNK * 2 + 1)))
        reply = self.words(70)
        stop = self.memory.decoded + self.dice.randint(0, 150) if self.dice.random() < 0.2 else 1 << 60
        self.memory.on_decode = lambda decoded: setattr(self.memory, "aborted", decoded >= stop)
        self.memory.watch = partial(self.exact, self.script.cache.cut_of(want)) if exact else lambda _: None
        self.script.run(prompt, reply, want)
        self.memory.on_decode, self.memory.watch, self.memory.aborted = lambda _: None, lambda _: None, False
        held = self.script.cache.ids.tolist()
        assert held == (prompt + reply)[: len(held)]
        if stop == 1 << 60:
            assert len(held) == len(prompt) + len(reply) - 1
        ids = held if len(held) > len(prompt) else prompt
        self.chats.setdefault(chat, []).append(Told(ids, [*told.ends, len(ids)], len(prompt)))

    def exact(self, cut: int, sequence: int) -> None:
        """Fails where an exact request has not the cells of an empty context, or began with other bits.

        Args:
            cut: where it ends a chunk early.
            sequence: that it runs in.
        """
        if self.memory.forward or self.memory.window or not self.looks_at_cells:
            return
        assert self.memory.is_tidy(sequence)
        held = self.memory.held(sequence)
        grid = self.script.cache.active.grid
        steps = [step_of(cell.at, cut) for cell in held[: min(grid, len(held))]]
        assert [(cell.tidy, cell.step) for cell in held[: len(steps)]] == [(True, step) for step in steps]

    def check(self) -> None:
        """Fails where anything is not as it should be."""
        self.script.check()
        assert self.memory.used() <= self.memory.cells <= self.memory.n_ctx
        assert self.script.parking.size <= BUDGET
        for found in self.parked():
            rows = json.loads(bytes(getattr(found, "state", b"[]")))
            tokens = [token for token, *_ in sorted(rows, key=lambda row: row[1])]
            assert SPOILT not in tokens
            assert pack_ids(tokens) == found.packed[-4 * len(tokens) :]
            assert not any(moved for *_, moved in rows)
            assert found.chat not in self.forgotten
            assert found.packed not in self.private

    def parked(self) -> list[Found]:
        return list(self.script.parking._held.values())


def player_of(seed: int, memory: Memory) -> Player:
    print(f"LLMCHAT_TEST_SEED={seed}")
    return Player(random.Random(seed), memory, Script(memory, budget=BUDGET))


@pytest.mark.parametrize("memory", ["plain", "window", "forward"])
@pytest.mark.parametrize("number", range(3))
def test_whatever_is_asked_the_cache_says_what_the_memory_holds(memory: str, number: int) -> None:
    fresh = Memory(n_ctx=N_CTX, cells=256, window=20 if memory == "window" else 0, forward=memory == "forward")
    player = player_of(SEED + number, fresh)
    for _ in range(STEPS):
        player.step()
        player.check()


@pytest.mark.parametrize("number", range(6))
def test_a_memory_that_disappoints_costs_prefills_and_nothing_else(number: int) -> None:
    player = player_of(SEED + 100 + number, Memory(n_ctx=N_CTX, cells=N_CTX, forward=number == 5))
    fault = FAULTS[number]
    usual, player.looks_at_cells = getattr(player.memory, fault), fault != "stubborn"
    for _ in range(STEPS):
        setattr(player.memory, fault, not usual if player.dice.random() < 0.3 else usual)
        player.step()
        setattr(player.memory, fault, usual)
        if player.looks_at_cells:  # cells of nobody may be left where nothing can be removed
            player.check()
    player.ask("a", Told(player.system(), []))
    assert player.script.cache.ids.tolist() == player.memory.tokens(player.script.cache.active.number)


@pytest.mark.parametrize("number", range(2))
def test_tokens_that_vanish_behind_the_cache_are_computed_again(number: int) -> None:
    player = player_of(SEED + 200 + number, Memory(n_ctx=N_CTX, cells=512, forward=number == 1))
    for _ in range(STEPS):
        loss = player.dice.choice((1, 5, 1000) if number else (1, 5, -1, -40, 1000))
        player.memory.lose(player.script.cache.active.number, loss)
        asked = player.dice.choice("abc")
        told = player.dice.choice(player.chats.get(asked) or [Told(player.system(), [])])
        player.ask(asked, told if len(told.ids) < N_CTX - 250 else Told(player.system(), []))
        active = player.script.cache.active
        assert player.memory.tokens(active.number) == active.ids.tolist()
