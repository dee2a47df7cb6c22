"""Context, layers on cards, fit and speed, as they are planned for machines of all sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.shaped_gguf import Shape, write_shape

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.launch import Places
from llmchat_engine.models.fit import machine as machine_module
from llmchat_engine.models.fit.machine import CARD_MARGIN, Card, Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.fit.need import FIRST_CELLS, choose_context, memory_needed
from llmchat_engine.models.fit.plan import CARD_CONTEXT, plan
from llmchat_engine.models.fit.speed import tokens_per_second
from llmchat_engine.models.gguf import Header, read_header
from llmchat_engine.preflight import check_model
from llmchat_engine.types import ModelSpec

MIB = 1 << 20
PLENTY = Free(1 << 50, "nothing")
QUICK = Machine(PLENTY, bandwidth=50e9, threads=4)
EVERYTHING = 9


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> Header:
    """A model of 8 layers, 13 MiB, whose cache takes 8 KiB a token."""
    shape = Shape(layers=8, width=256, heads=4, kv_heads=4, feed_forward=1024, vocab=512)
    return read_header(write_shape(tmp_path_factory.mktemp("plan") / "m.gguf", shape))


def with_card(mib: float, free: Free = PLENTY) -> Machine:
    """Returns a machine with a card on which a model may take so much."""
    size = int(mib * MIB)
    return Machine(free, (Card("card", "gpu", size + CARD_MARGIN, 80 << 30),), 50e9, 4)


@pytest.mark.parametrize("size", [100, 130, 160, 200, 1000])
def test_on_the_cpu_it_is_what_a_load_chooses(header: Header, size: int) -> None:
    free = Free(size * MIB, "the test")
    found = plan(header, Machine(free))
    assert found.n_ctx == choose_context(header, 0, free)
    assert found.fits == ("yes" if size == 1000 else "tight")
    assert found.machine_bytes == memory_needed(header, found.n_ctx).least <= free.bytes
    assert found.card_bytes == 0


def test_on_the_cpu_it_says_no_where_a_load_would_refuse(header: Header) -> None:
    free = Free(50 * MIB, "the test")
    with pytest.raises(NotEnoughMemory) as refused:
        choose_context(header, 0, free)
    found = plan(header, Machine(free))
    assert (found.fits, found.why) == ("no", refused.value.why)


def test_layers_that_were_asked_for_are_kept_where_no_card_is_known(header: Header) -> None:
    assert [plan(header, QUICK, gpu_layers=wanted).gpu_layers for wanted in (-1, 0, 5)] == [-1, 0, 5]


def test_a_large_card_takes_everything(header: Header) -> None:
    found = plan(header, with_card(1000))
    assert (found.n_ctx, found.gpu_layers, found.fits, found.why) == (8192, EVERYTHING, "yes", "")
    assert found.tokens_per_second == 0.0
    assert found.card_bytes > header.tensor_bytes + found.need.kv
    assert found.machine_bytes < found.need.least


def test_a_context_is_shortened_before_layers_stay_behind(header: Header) -> None:
    found = plan(header, with_card(plan(header, with_card(1000), n_ctx=5120).card_bytes / MIB))
    assert (found.n_ctx, found.gpu_layers) == (5120, EVERYTHING)
    assert plan(header, with_card(found.card_bytes / MIB - 0.01)).n_ctx == 5120 - 256


def test_below_that_layers_stay_behind_and_the_context_is_whole(header: Header) -> None:
    least = plan(header, with_card(1000), n_ctx=CARD_CONTEXT).card_bytes
    found = plan(header, with_card(least / MIB - 1))
    assert found.n_ctx == 8192
    assert 0 < found.gpu_layers < EVERYTHING
    assert (found.fits, found.why) == ("tight", f"{found.gpu_layers} of {EVERYTHING} layers fit on the card")
    assert found.card_bytes <= least - MIB
    assert found.tokens_per_second > plan(header, QUICK).tokens_per_second


def test_a_context_that_was_asked_for_is_kept(header: Header) -> None:
    least = plan(header, with_card(1000), n_ctx=CARD_CONTEXT).card_bytes
    assert plan(header, with_card(least / MIB), n_ctx=20_000).n_ctx == 20_000


def test_more_room_never_means_fewer_layers(header: Header) -> None:
    layers = [plan(header, with_card(size), n_ctx=8192).gpu_layers for size in range(0, 140, 5)]
    assert layers == sorted(layers)
    assert {0, EVERYTHING} < set(layers)


def test_a_card_that_takes_nothing_leaves_it_to_the_cpu(header: Header) -> None:
    found = plan(header, with_card(1, Free(100 * MIB, "the test")))
    assert found.gpu_layers == 0
    assert found.n_ctx == choose_context(header, 0, Free(100 * MIB, "the test"))
    assert plan(header, with_card(1), gpu_layers=0).gpu_layers == 0


def test_two_cards_count_together(header: Header) -> None:
    one = with_card(60)
    both = replace(one, cards=one.cards * 2)
    assert plan(header, both, n_ctx=8192).gpu_layers > plan(header, one, n_ctx=8192).gpu_layers


def test_what_stays_in_memory_has_to_fit_there(header: Header) -> None:
    found = plan(header, with_card(1000, Free(10 * MIB, "the test")))
    assert found.fits == "no"
    assert "stay in memory, and 10 MiB are free" in found.why
    cramped = plan(header, with_card(40, Free(100 * MIB, "the test")))
    assert cramped.n_ctx < 8192
    assert cramped.machine_bytes <= 100 * MIB


def test_layers_that_were_asked_for_and_do_not_fit(header: Header) -> None:
    card = Card("card", "gpu", 5 * MIB, 80 << 30)
    found = plan(header, Machine(PLENTY, (card,)), gpu_layers=4)
    assert (found.gpu_layers, found.fits) == (4, "no")
    assert "4 layers need" in found.why


def test_speed_follows_what_is_read(header: Header) -> None:
    speeds = [tokens_per_second(header, gb * 1e9, 4, 2048) for gb in (10, 20, 40, 80)]
    assert speeds == sorted(speeds)
    assert speeds[1] < 2 * speeds[0]
    assert tokens_per_second(header, 0, 4, 2048) == 0.0
    assert tokens_per_second(header, 50e9, 4, 512) > tokens_per_second(header, 50e9, 4, 2048)
    assert tokens_per_second(header, 50e9, 4, 2048) > tokens_per_second(header, 50e9, 1, 2048)


def test_speed_of_a_mixture_is_that_of_the_experts_it_uses(tmp_path: Path) -> None:
    dense, sparse = (
        read_header(write_shape(tmp_path / "m.gguf", Shape(layers=4, experts=8, used=used, vocab=512)))
        for used in (8, 1)
    )
    assert tokens_per_second(sparse, 50e9, 4, 512) > 2 * tokens_per_second(dense, 50e9, 4, 512)


def test_the_host_begins_with_as_many_cells_as_are_counted() -> None:
    from llmchat_engine.host import context

    assert FIRST_CELLS == context.FIRST_CELLS


def _places(root: Path) -> Places:
    return Places(root / "run", root / "logs", root / "state")


def test_loading_uses_the_plan(header: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_engine.preflight.has_own_memory", lambda _: True)
    spec = ModelSpec(header.parts[0])
    monkeypatch.setattr(machine_module, "read_cards", lambda: with_card(1000).cards)
    assert (check_model(spec, _places(tmp_path)).gpu_layers, check_model(spec, _places(tmp_path)).n_ctx) == (9, 8192)
    monkeypatch.setattr(machine_module, "read_cards", lambda: with_card(40).cards)
    assert 0 < check_model(spec, _places(tmp_path)).gpu_layers < EVERYTHING
    for cards in ((), None):
        monkeypatch.setattr(machine_module, "read_cards", lambda cards=cards: cards)
        assert check_model(spec, _places(tmp_path)).gpu_layers == -1


def test_a_build_for_cards_without_one_is_bound_by_memory(
    header: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmchat_engine.preflight.has_own_memory", lambda _: True)
    monkeypatch.setattr("llmchat_engine.preflight.memory_free", lambda: Free(10 * MIB, "the test"))
    monkeypatch.setattr(machine_module, "read_cards", tuple)
    with pytest.raises(NotEnoughMemory, match="limited by the test"):
        check_model(ModelSpec(header.parts[0]), _places(tmp_path))
    monkeypatch.setattr(machine_module, "read_cards", lambda: None)
    assert check_model(ModelSpec(header.parts[0]), _places(tmp_path)).n_ctx == 8192


def test_what_a_plan_says_does_not_fit_is_refused(
    header: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmchat_engine.preflight.has_own_memory", lambda _: True)
    monkeypatch.setattr("llmchat_engine.preflight.memory_free", lambda: Free(10 * MIB, "the test"))
    for mib in (1000, 1):
        monkeypatch.setattr(machine_module, "read_cards", lambda mib=mib: with_card(mib).cards)
        with pytest.raises(NotEnoughMemory, match="10 MiB are free"):
            check_model(ModelSpec(header.parts[0]), _places(tmp_path))


def test_cards_are_not_asked_where_layers_are_given(
    header: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> tuple[Card, ...]:
        raise AssertionError("cards were asked")

    monkeypatch.setattr(machine_module, "read_cards", refuse)
    assert check_model(ModelSpec(header.parts[0]), _places(tmp_path)).gpu_layers == -1
    monkeypatch.setattr("llmchat_engine.preflight.has_own_memory", lambda _: True)
    for wanted in (0, 7):
        assert check_model(ModelSpec(header.parts[0], gpu_layers=wanted), _places(tmp_path)).gpu_layers == wanted


def test_chats_in_memory_leave_room_for_the_model(
    header: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def budget(mib: int) -> int:
        monkeypatch.setattr("llmchat_engine.preflight.memory_free", lambda: Free(mib * MIB, "the test"))
        return check_model(ModelSpec(header.parts[0], n_ctx=2048), _places(tmp_path)).memory_budget

    least = memory_needed(header, 2048).least // MIB + 1
    assert budget(least + 1) <= 2 * MIB
    assert budget(100_000) == 2 << 30
