"""The prefix cache on a scripted memory: what is kept, and that a memory that lies costs a prefill and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from tests.engine.rig import SEED

from llmchat_engine.host.cache import PrefixCache, common_prefix

CHUNK = 4


@dataclass
class Memory:
    """Positions of one sequence, and the ways in which llama.cpp's memory disappoints."""

    held: list[int] = field(default_factory=list)
    window: int = 0
    refuses: bool = False
    lies: bool = False
    """Answers True to a removal and removes nothing."""
    clears: int = 0

    def remove(self, start: int, *, sequence: int = 0) -> bool:
        if self.refuses:
            return False
        if not self.lies:
            self.held = [position for position in self.held if position < start]
        return True

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        return (self.held[0], self.held[-1]) if self.held else (-1, -1)

    def clear(self) -> None:
        self.held = []
        self.clears += 1

    def add(self, count: int) -> None:
        start = self.held[-1] + 1 if self.held else 0
        self.held += range(start, start + count)
        if self.window:
            self.held = self.held[-self.window :]


def fill(cache: PrefixCache, memory: Memory, ids: list[int]) -> None:
    """Runs a prompt as the decoder does: whole chunks, the last token alone."""
    start, last = len(cache.ids), len(ids) - 1
    while start < len(ids):
        end = min(start + CHUNK, last) if start < last else len(ids)
        memory.add(end - start)
        cache.append(ids[start:end])
        start = end


def test_common_prefix() -> None:
    assert common_prefix([], [1]) == 0
    assert common_prefix([1, 2], [1, 2, 3]) == 2
    assert common_prefix([1, 2, 4], [1, 2, 3]) == 2


def test_a_longer_prompt_keeps_everything() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3])
    assert cache.reuse([1, 2, 3, 4, 5], exact=False) == 3
    assert memory.clears == 0


def test_the_same_prompt_keeps_all_but_the_last_token() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3])
    assert cache.reuse([1, 2, 3], exact=False) == 2
    assert memory.positions() == (0, 1)


def test_another_prompt_starts_empty() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3])
    assert cache.reuse([9, 2, 3], exact=False) == 0
    assert memory.positions() == (-1, -1)


def test_exact_keeps_whole_chunks_on_the_grid_alone() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    ids = list(range(11))
    fill(cache, memory, ids)
    assert cache.grid == 8
    assert cache.reuse([*ids, 11, 12], exact=True) == 8
    assert cache.reuse([*ids[:7], 99, 98, 97], exact=True) == 4
    assert cache.grid == 4


def test_a_chunk_off_the_grid_is_never_exact() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3])
    cache.reuse([1, 2, 3, 4, 5, 6, 7, 8, 9], exact=False)
    fill(cache, memory, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert cache.grid == 0
    assert cache.reuse([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], exact=True) == 0


def test_a_memory_that_only_goes_forward_is_extended_or_emptied() -> None:
    memory = Memory(refuses=True)
    cache = PrefixCache(memory, chunk=CHUNK, rewindable=False)
    fill(cache, memory, [1, 2, 3])
    assert cache.reuse([1, 2, 3, 4], exact=False) == 3
    assert cache.reuse([1, 2, 9], exact=False) == 0
    assert memory.clears == 1


@pytest.mark.parametrize("fault", ["refuses", "lies"])
def test_a_removal_that_failed_costs_a_prefill(fault: str) -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3, 4, 5])
    setattr(memory, fault, True)
    assert cache.reuse([1, 2, 9, 9], exact=False) == 0
    assert cache.ids == []
    assert memory.clears == 1


def test_a_window_that_has_slid_away_costs_a_prefill() -> None:
    memory = Memory(window=4)
    cache = PrefixCache(memory, chunk=CHUNK, window=4)
    fill(cache, memory, list(range(12)))
    assert memory.positions() == (8, 11)
    assert cache.reuse([*range(7), 99, 98], exact=False) == 0
    assert memory.clears == 1


def test_a_window_that_still_reaches_back_is_kept() -> None:
    memory = Memory(window=8)
    cache = PrefixCache(memory, chunk=CHUNK, window=4)
    fill(cache, memory, list(range(12)))
    assert cache.reuse([*range(9), 99, 98], exact=False) == 9
    assert memory.clears == 0


@pytest.mark.parametrize("loss", [1, 3, 5])
def test_tokens_that_vanished_from_the_memory_cost_a_prefill(loss: int) -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3, 4, 5])
    del memory.held[-loss:]
    assert cache.reuse([1, 2, 3, 4, 5, 6], exact=False) == 0
    assert cache.ids == []


def test_cells_that_a_failed_decode_left_behind_are_removed() -> None:
    memory = Memory()
    cache = PrefixCache(memory, chunk=CHUNK)
    fill(cache, memory, [1, 2, 3])
    memory.add(2)
    cache.truncate(3)
    assert memory.positions() == (0, 2)
    assert cache.ids == [1, 2, 3]


def test_whatever_happens_the_cache_says_what_the_memory_holds() -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    for _ in range(300):
        memory = Memory(window=dice.choice((0, 0, 6)), refuses=dice.random() < 0.1)
        cache = PrefixCache(memory, chunk=CHUNK, window=memory.window, rewindable=dice.random() < 0.8)
        for _ in range(6):
            prompt = [dice.randrange(2) for _ in range(dice.randint(1, 14))]
            before = list(cache.ids)
            kept = cache.reuse(prompt, exact=dice.random() < 0.5)
            assert kept < len(prompt)
            assert cache.ids == prompt[:kept] == before[:kept]
            assert cache.grid <= kept
            assert cache.grid % CHUNK == 0
            assert memory.positions()[1] == kept - 1
            fill(cache, memory, prompt)
            assert cache.ids == prompt
