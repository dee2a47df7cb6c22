"""A real context that is to grow and cannot: what is said to be there is there, and what is lost is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sameness import Bench, prompt
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.host import context as context_module
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.llama import Llama

CELLS = 256
SHORT, LONG = prompt(100), prompt(600)


@pytest.fixture
def bench(llama: Llama, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A context of few cells that has read a prompt."""
    monkeypatch.setattr(context_module, "FIRST_CELLS", CELLS)
    bench = Bench(llama, tiny_llama(models / "grow.gguf"), n_ctx=1024)
    bench.ask(SHORT, 1)
    assert bench.context.cells == 512
    yield bench
    bench.close()


class Memory:
    """What a machine has left: caches of more cells cannot be made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.most, self._make = most, Context._make
        monkeypatch.setattr(Context, "_make", lambda context, cells: self.make(context, cells))

    def make(self, context: Context, cells: int) -> Any:
        return self._make(context, cells) if cells <= self.most else None


def test_where_it_cannot_grow_the_sequence_stays_and_the_others_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = bench.context
    context.copy(0, 1, 50)
    held = context.positions(0)
    assert held[1] >= 99 and context.positions(1) == (0, 49)
    Memory(monkeypatch, 512)
    assert not context.grow(600, keep=0)
    assert context.cells == 512
    assert context.positions(0) == held
    assert context.positions(1) == (-1, -1)


def test_a_prompt_that_finds_no_room_leaves_a_cache_that_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(monkeypatch, 512)
    with pytest.raises(NoFreeCell):
        bench.ask(LONG, 1)
    assert (bench.ask(SHORT, 8).row == bench.fresh(SHORT)).all()
    memory.most = 1024
    assert (bench.ask(LONG, 1).row == bench.fresh(LONG)).all()


def test_memory_that_is_gone_is_an_error_and_asked_for_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(monkeypatch, 0)
    for ids in (LONG, SHORT, LONG):
        with pytest.raises(NotEnoughMemory, match="cache is gone"):
            bench.ask(ids, 1)
        assert bench.context.cells == 0
        assert not len(bench.context.save(0)) and not bench.context.restore(b"x", 0)
    memory.most = 1024
    again = bench.ask(LONG, 8)
    assert again.cached == 0
    assert (again.row == bench.fresh(LONG)).all()
    assert bench.ask(SHORT, 8).ids


def test_a_sequence_that_could_not_be_copied_is_not_said_to_be_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = bench.context.save(0)
    monkeypatch.setattr(bench.context, "save", lambda *_, **__: state[:0])
    assert not bench.context.grow(600, keep=0)
    assert bench.context.cells == 1024
    assert bench.context.positions(0) == (-1, -1)


def test_nor_is_it_gone_on_from_in_mid_reply(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    state = bench.context.save(0)
    monkeypatch.setattr(bench.context, "save", lambda *_, **__: state[:0])
    with pytest.raises(NoFreeCell):
        _ = [bench.ask(prompt(250, first), 400) for first in range(9)]  # of which some end early
    monkeypatch.undo()
    assert bench.decoder.cache.ids.tolist() == []
    assert (bench.ask(SHORT, 1).row == bench.fresh(SHORT)).all()
