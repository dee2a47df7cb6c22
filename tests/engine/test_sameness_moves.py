"""The model answers as it should while its cache grows, is quantised, is shifted, or works for nobody."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from tests.engine.rig import GREEDY
from tests.engine.sameness import CHAT, OTHER, Bench, Row, agree, prompt
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.host.context import Context, Shape
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.kvstore import KvStore
from llmchat_engine.kvstore.values import pack_ids
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import CacheType

KINDS: dict[str, Callable[..., Path]] = {
    "plain": tiny_llama,
    "swa": tiny_gemma3_swa,
    "recurrent": tiny_mamba,
    "hybrid": tiny_lfm2,
}
YARN: dict[str, int | float | str] = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 4.0,
    "llama.rope.scaling.original_context_length": 512,
}
SHIFT = replace(CHAT, shift=True)
SYSTEM = prompt(40, 5)
N_CTX = 512


def never_twice(count: int) -> list[int]:
    """Returns tokens without a period: what is moved is found by its beginning."""
    return random.Random(count).choices(range(280, 480), k=count)


@pytest.fixture(scope="module", params=KINDS)
def small(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    """A context of 512 tokens."""
    bench = Bench(llama, KINDS[request.param](models / f"moves-{request.param}.gguf"), n_ctx=N_CTX)
    yield bench
    bench.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_that_grows_in_mid_reply_answers_as_one_that_need_not(llama: Llama, models: Path, kind: str) -> None:
    path = KINDS[kind](models / f"grows-{kind}.gguf", n_ctx_train=8192)
    bench = Bench(llama, path, n_ctx=4096)
    answers = ((ids, bench.ask(ids, 280)) for ids in (prompt(1780, first) for first in range(9)))
    ids, answer = next((ids, answer) for ids, answer in answers if len(answer.ids) == 280)
    assert bench.context.cells == 4096 or kind == "recurrent"  # whose state is as long as it is
    told = [*ids, *answer.ids]
    after = bench.ask([*told, *prompt(300, 3)], 3)
    assert bench.context.cells == 4096
    assert after.cached >= len(told) - 1
    assert agree(after.row, bench.fresh([*told, *prompt(300, 3)]))
    bench.close()


class Hand:
    """A memory in which the same tokens are computed and moved by hand."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._held: list[int] = []
        context.clear()

    def run(self, ids: list[int]) -> Row:
        """Has it hold these ids, and returns the logits behind them."""
        assert ids[: len(self._held)] == self._held
        new, size = ids[len(self._held) :], self._context.n_batch
        for at in range(0, len(new), size):
            assert self._context.decode(new[at : at + size], len(self._held) + at)
        self._held = ids
        return self._context.logits().copy()

    def close_gap(self, start: int, count: int) -> None:
        assert self._context.remove(start, end=start + count)
        self._context.shift(0, start + count, -count)
        self._held = self._held[:start] + self._held[start + count :]


def room_for(path: list[list[int]], length: int) -> int:
    """Takes whole turns out, the oldest first, and returns how many tokens; three quarters of the context stay."""
    left_out = 0
    while len(SYSTEM) + sum(map(len, path)) + 80 > length:
        left_out += len(path.pop(0))
        length = min(length, N_CTX * 3 // 4)
    return left_out


def test_a_chat_that_overflows_ten_times_answers_as_the_model_does(small: Bench) -> None:
    """Where tokens are moved, beside a memory that was moved by hand; else beside an empty one."""
    moves, path, overflows, hand = small.rewinds, list[list[int]](), 0, Hand(small.empty)
    assert not moves or small.context.can_shift
    for turn in range(60):
        left_out = room_for(path, N_CTX)
        question = prompt(45 + turn % 7, 100 + turn)
        ids = [*SYSTEM, *(token for part in path for token in part), *question]
        answer = small.ask(ids, 20, SHIFT)
        overflows += left_out > 0
        assert (answer.finished.shifted_tokens > 0) == bool(left_out and moves)
        if moves:
            if left_out:
                hand.close_gap(len(SYSTEM), left_out)
            assert agree(hand.run(ids), answer.row)
            hand.run([*ids, *answer.ids[:-1]])
            assert small.decoder.cache.active.keepable == (overflows == 0)
        elif left_out:
            assert agree(small.fresh(ids), answer.row)
        path.append([*question, *answer.ids])
    assert overflows >= 10
    small.ask(prompt(30, 1), 1, OTHER)
    held = small.decoder.cache.sequences.parking.holds("chat", pack_ids([*ids, *answer.ids[:-1]]))
    assert (held is None) == moves


def test_a_stop_while_tokens_are_moved_does_no_harm(small: Bench) -> None:
    if not small.rewinds:
        pytest.skip("nothing is moved")
    told = [*SYSTEM, *prompt(300)]
    small.ask(told)
    wanted = [*SYSTEM, *told[140:], *prompt(10, 9)]
    small.context.abort()
    assert [*small.decoder.generate(wanted, Manner(resolve(GREEDY, DEFAULTS)), SHIFT)][-1].reason == "cancelled"  # type: ignore[union-attr]
    small.context.abort(False)
    answer = small.ask(wanted, 3, SHIFT)
    assert small.is_what_the_model_says(wanted, answer)


@pytest.mark.parametrize("kind", ["plain", "swa"])
def test_a_cache_that_grows_for_what_is_moved(llama: Llama, models: Path, kind: str) -> None:
    bench = Bench(llama, KINDS[kind](models / f"grows-{kind}.gguf", n_ctx_train=8192), n_ctx=4096)
    told, hand = [*SYSTEM, *never_twice(1700)], Hand(bench.empty)
    wanted = [*SYSTEM, *told[300:], *prompt(560, 9)]
    bench.ask(told)
    assert bench.context.cells == (4096 if kind == "swa" else 2048)  # which is made whole at once
    answer = bench.ask(wanted, 1, SHIFT)
    assert bench.context.cells == 4096 and answer.finished.shifted_tokens == len(told) - 300
    hand.run(told)
    hand.close_gap(len(SYSTEM), 300 - len(SYSTEM))
    assert agree(hand.run(wanted), answer.row)
    bench.close()


@pytest.mark.parametrize("types", [("q8_0", "q8_0"), ("q4_0", "q4_0"), ("q8_0", "f16"), ("f16", "q8_0")])
def test_a_quantised_cache(llama: Llama, models: Path, tmp_path: Path, types: tuple[CacheType, CacheType]) -> None:
    path = tiny_llama(models / "wide.gguf", width=128)
    bench = Bench(llama, path, types=types, store=KvStore(tmp_path, "ab" * 32, 1 << 30))
    ids = prompt(400)
    told = [*ids, *bench.ask(ids, 20).ids]
    stayed = bench.ask([*told, *SYSTEM], 10)
    assert bench.is_what_the_model_says([*told, *SYSTEM], stayed)
    bench.begin()
    bench.ask(ids, 20)
    bench.ask(prompt(30, 1), 1, OTHER)
    parking = bench.decoder.cache.sequences.parking
    parking.write_all()
    assert parking.flush(5)
    for origin in ("memory", "disk"):
        back = bench.ask([*told, *SYSTEM], 10)
        assert back.finished.restored and back.finished.restored.origin == origin
        assert (back.ids, back.row.tobytes()) == (stayed.ids, stayed.row.tobytes())
        bench.begin()
    # Keys that are quantised are not moved: llama.cpp ends the process where a head has not a multiple of 64 values.
    assert bench.context.can_shift == (types[0] == "f16")
    bench.ask(told)
    moved = bench.ask([*told[:40], *told[200:], 290], 3, SHIFT)
    assert (moved.finished.shifted_tokens > 0) == (types[0] == "f16")
    bench.close()


def test_every_kind_of_cache_has_states_of_its_own(llama: Llama, models: Path) -> None:
    path = tiny_llama(models / "wide.gguf", width=128)
    model = Model(llama, str(path))
    shape = Shape(512, 1, 1)
    shapes = [shape, replace(shape, type_k="q8_0"), replace(shape, type_v="q8_0"), replace(shape, batch=256)]
    contexts = [Context(llama, model, each) for each in (*shapes, replace(shape, n_ctx=1024))]
    layouts = [context.layout for context in contexts]
    assert len({*layouts}) == 4 and layouts[0] == layouts[-1]
    for context in contexts:
        context.close()
    model.close()


def test_where_the_length_shapes_the_keys_they_are_neither_moved_nor_passed_on(llama: Llama, models: Path) -> None:
    model = Model(llama, str(tiny_llama(models / "yarn.gguf", extra=YARN)))
    contexts = [Context(llama, model, Shape(n_ctx, 1, 1)) for n_ctx in (512, 1024)]
    assert not any(context.can_shift for context in contexts)
    assert contexts[0].layout != contexts[1].layout
    for context in contexts:
        context.close()
    model.close()


def test_heads_that_cannot_be_quantised_are_told_of(llama: Llama, tiny_chat: Path) -> None:
    model = Model(llama, str(tiny_chat))
    with pytest.raises(NotEnoughMemory) as caught:
        Context(llama, model, Shape(512, 1, 1, type_k="q8_0", type_v="q8_0"))
    assert "n_embd_head_k" in caught.value.why
    assert "--cache-type-k" in caught.value.hint
    model.close()


def test_work_for_nobody_ends_at_once_when_somebody_asks(llama: Llama, slow_chat: Path) -> None:
    bench = Bench(llama, slow_chat, n_ctx=4096)
    took = []
    for first in range(3):  # the machine may be busy: the best of three
        timer = Timer(0.05, bench.context.abort)
        timer.start()
        began = time.perf_counter()
        assert not bench.decoder.feeder.compute(prompt(4000, first), CHAT)
        took.append(time.perf_counter() - began - 0.05)
        timer.join()
        bench.context.abort(False)
    assert min(took) < 0.05
    ids = bench.decoder.cache.ids.tolist()
    assert ids == prompt(4000, 2)[: len(ids)]
    bench.close()
