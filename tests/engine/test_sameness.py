"""Whatever the cache did before, the model answers as on an empty one: plain, sliding window, recurrent, hybrid."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.rig import SEED
from tests.engine.sameness import CHAT, OTHER, Bench, agree, prompt
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.errors import ContextFull
from llmchat_engine.events import Restored
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.kvstore import KvStore

KINDS: dict[str, Callable[[Path], Path]] = {
    "plain": tiny_llama,
    "swa": tiny_gemma3_swa,
    "recurrent": tiny_mamba,
    "hybrid": tiny_lfm2,
}
P, Q = prompt(150), prompt(20, 3)


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, llama: Llama, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    bench = Bench(llama, KINDS[request.param](models / f"same-{request.param}.gguf"))
    yield bench
    bench.close()


@pytest.fixture
def bench(shared: Bench) -> Bench:
    shared.store = None
    shared.begin()
    return shared


@pytest.fixture
def store(shared: Bench, tmp_path: Path) -> KvStore:
    shared.store = KvStore(tmp_path / "kv", "ab" * 32, 1 << 30)
    shared.begin()
    return shared.store


def test_the_models_are_of_the_kind_they_are_here_for(shared: Bench, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["shared"]
    assert (shared.model.n_swa > 0, shared.model.is_recurrent) == (kind == "swa", kind in ("recurrent", "hybrid"))


def test_a_regenerated_reply_leaves_the_old_one_where_it_was(bench: Bench) -> None:
    first = bench.ask(P, 30)
    second = bench.ask(P, 30)
    assert second.cached == len(P) - 1
    assert agree(second.row, first.row)
    told = [*P, *first.ids]
    back = bench.ask([*told, *Q], 5)
    assert back.cached >= len(told) - 1
    assert bench.is_what_the_model_says([*told, *Q], back)


def test_an_edited_question_and_the_way_back(bench: Bench) -> None:
    told = [*P, *bench.ask(P, 30, replace(CHAT, shared=40)).ids]
    edited = [*P[:100], *prompt(40, 7)]
    answer = bench.ask(edited, 5)
    assert answer.cached == (100 if bench.rewinds else 40)
    assert bench.is_what_the_model_says(edited, answer)
    back = bench.ask([*told, *Q])
    assert back.cached >= len(told) - 1
    assert agree(back.row, bench.fresh([*told, *Q]))


def test_a_reply_that_goes_on(bench: Bench) -> None:
    half = bench.ask(P, 15)
    rest = bench.ask([*P, *half.ids], 15)
    assert rest.cached == len(P) + 14
    assert bench.is_what_the_model_says([*P, *half.ids], rest)


def test_parked_and_back_is_the_same_to_the_bit(bench: Bench) -> None:
    told = [*P, *bench.ask(P, 30).ids]
    stayed = bench.ask([*told, *Q], 20)
    bench.begin()
    bench.ask(P, 30)
    bench.ask(prompt(200, 11), 20, OTHER)
    assert len(bench.used()) == 1
    back = bench.ask([*told, *Q], 20)
    assert isinstance(back.finished.restored, Restored) and back.finished.restored.origin == "memory"
    assert back.cached == stayed.cached == len(told) - 1
    assert (back.ids, back.row.tobytes()) == (stayed.ids, stayed.row.tobytes())


def test_from_disk_is_the_same_to_the_bit(bench: Bench, store: KvStore) -> None:
    long = prompt(400)
    told = [*long, *bench.ask(long, 30).ids]
    stayed = bench.ask([*told, *Q], 20)
    bench.begin()
    bench.ask(long, 30)
    bench.decoder.cache.sequences.park(bench.decoder.cache.active)
    bench.decoder.cache.sequences.parking.write_all()
    assert bench.decoder.cache.sequences.parking.flush(5)
    bench.begin()
    back = bench.ask([*told, *Q], 20)
    assert isinstance(back.finished.restored, Restored) and back.finished.restored.origin == "disk"
    assert back.cached == stayed.cached == len(told) - 1
    assert (back.ids, back.row.tobytes()) == (stayed.ids, stayed.row.tobytes())


def test_a_new_chat_begins_with_what_another_left_on_disk(bench: Bench, store: KvStore) -> None:
    sequences = bench.decoder.cache.sequences
    bench.ask(prompt(400), 5, replace(CHAT, shared=100))
    for parked in (sequences.park_beginning(bench.decoder.cache.active), sequences.park(bench.decoder.cache.active)):
        if parked:
            sequences.parking.write(parked)
    assert sequences.parking.flush(5)
    bench.begin()
    new = [*prompt(100), *prompt(50, 9)]
    answer = bench.ask(new, 5, OTHER)
    assert answer.cached == 100
    assert bench.is_what_the_model_says(new, answer)


def test_a_prompt_that_leaves_no_room_is_refused_and_costs_nothing(bench: Bench) -> None:
    told = [*P, *bench.ask(P, 10).ids]
    with pytest.raises(ContextFull):
        bench.ask(prompt(bench.context.n_ctx + 1))
    assert bench.ask([*told, *Q]).cached == len(told) - 1


@pytest.mark.parametrize("when", ["before the prompt", "in mid-reply"])
def test_what_vanishes_behind_the_cache_is_computed_again(bench: Bench, when: str) -> None:
    told = [*P, *bench.ask(P, 20).ids]
    if when == "before the prompt":
        bench.lose()
    answer = bench.ask([*told, *Q], 20, lose_at=8 if when == "in mid-reply" else 0)
    assert bench.is_what_the_model_says([*told, *Q], answer)
    assert bench.decoder.cache.ids.tolist() == [*told, *Q, *answer.ids[:-1]]
    assert bench.context.positions(bench.decoder.cache.active.number)[1] == len(bench.decoder.cache.ids) - 1


def test_a_stop_in_mid_reply_does_no_harm(bench: Bench) -> None:
    whole = bench.ask(P, 30)
    bench.begin()
    for number, _ in enumerate(bench.decoder.generate(P, Manner(whole.finished.sampling), CHAT)):
        if number == 12:
            bench.context.abort()
    bench.context.abort(False)
    ids = bench.decoder.cache.ids.tolist()
    assert ids == [*P, *whole.ids][: len(ids)]
    answer = bench.ask([*P, *whole.ids[:6], *Q], 5)
    assert bench.is_what_the_model_says([*P, *whole.ids[:6], *Q], answer)


def test_exact_is_the_same_to_the_bit_whatever_happened_before(bench: Bench, store: KvStore) -> None:
    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    exact = replace(CHAT, exact=True, shared=33)
    ids = prompt(700)
    expected = bench.ask(ids, 12, Want("", exact=True, shared=33))
    bench.begin()
    for _ in range(14):
        want = dice.choice((CHAT, OTHER, Want(), replace(CHAT, shared=33), exact, Want("", private=True)))
        told = [*ids[: dice.choice((100, 512, 600, 700))], *prompt(dice.choice((1, 30, 250)), dice.randrange(9))]
        bench.ask(told, dice.choice((1, 10)), want)
        if want.private:
            bench.decoder.cache.discard()
        if dice.random() < 0.3:
            bench.lose()
        if dice.random() < 0.2:
            bench.begin()  # what was written to disk stays
        if dice.random() < 0.3:
            bench.decoder.cache.sequences.parking.write_all()
            bench.decoder.cache.sequences.parking.flush(5)
        if dice.random() < 0.5:
            answer = bench.ask(ids, 12, exact)
            assert (answer.ids, answer.row.tobytes()) == (expected.ids, expected.row.tobytes())
    answer = bench.ask(ids, 12, exact)
    assert (answer.ids, answer.row.tobytes()) == (expected.ids, expected.row.tobytes())


def test_exact_is_the_same_to_the_bit_beside_a_branch(bench: Bench) -> None:
    ids = [*prompt(525), *prompt(40, 9)]
    expected = bench.ask(ids, 12, Want("", exact=True))
    bench.begin()
    bench.ask(prompt(531), 1)  # an odd number of cells lies between
    answer = bench.ask(ids, 12, replace(CHAT, exact=True))
    assert (answer.ids, answer.row.tobytes()) == (expected.ids, expected.row.tobytes())
    assert answer.cached == (512 if bench.rewinds else 0)


def test_a_chat_has_the_context_for_itself_however_many_are_parked(bench: Bench) -> None:
    """Attention runs over every cell that is used, so a token takes as long as without them."""
    for number in range(8):
        bench.ask(prompt(120, number), 5, Want(f"chat {number}"))
    bench.ask(P, 5)
    sequences = bench.decoder.cache.sequences
    assert bench.used() == [bench.decoder.cache.active.number]
    assert sequences.tokens() == len(P) + 4
    assert sequences.parking.size > 0
