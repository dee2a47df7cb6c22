"""The page of the hub and that of a repository: suggestions, a search, variants, refusals; any text harmless."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.model_stage import ENTRY, FOUND, GB, LARGE, MACHINE, OTHER, REPO, SMALL, StockDouble
from tests.tui.screen.screen_stage import (
    EVIL,
    SIZES,
    THEMES,
    Hand,
    Stage,
    assert_harmless,
    assert_walk,
    play,
    until,
    words,
)
from textual.widgets import Input, OptionList

from llmchat_engine import HubMissing, HubUnreachable
from llmchat_engine.models.hub.types import Found, HubFile, HubRepo, Reference, Variant
from llmchat_tui.screens.hub_rows import count_text, entry_row, found_row, repo_line, variant_row
from llmchat_tui.screens.hub_search import HubList, HubScreen, Picked
from llmchat_tui.screens.hub_variants import VariantsScreen

OFFLINE = HubUnreachable("the hub is not asked", "HF_HUB_OFFLINE is 1", "unset HF_HUB_OFFLINE")


def hub_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hub"]


@pytest.fixture
def stock(tmp_path: Path) -> StockDouble:
    return StockDouble(tmp_path)


def test_suggestions_are_there_before_the_hub_answers(stock: StockDouble) -> None:
    stock.hub_gate.clear()

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Gemma 3 4B" in words(app))
        assert words(app).count("size not checked") == 2
        assert "huggingface.co is asked" in words(app)
        stock.hub_gate.set()
        await until(hand, lambda: "Q4_K_M · 2.5 GB · fits · about " in words(app))
        await hand.press("down", "enter")

    picked = Picked(Reference(REPO.name, "Q4_K_M"), REPO, Variant("Q4_K_M", (SMALL,)))
    assert play(HubScreen(stock), steps).results == [picked]


def test_a_suggestion_can_be_taken_before_the_hub_answers(stock: StockDouble) -> None:
    stock.hub_gate.clear()

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Qwen3 1.7B" in words(app))
        await hand.press("down", "enter")
        stock.hub_gate.set()

    assert play(HubScreen(stock, at_list=True), steps).results == [Picked(Reference(OTHER.repo))]


def test_offline_is_told_once_and_the_suggestions_stay(stock: StockDouble) -> None:
    stock.fault = OFFLINE

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "HF_HUB_OFFLINE is 1" in words(app))
        assert words(app).count("size not checked") == 2
        assert [asked for asked in stock.asked if asked.startswith("repo")] == [f"repo {ENTRY.repo}"]

    play(HubScreen(stock), steps)


def test_a_model_that_the_hub_has_no_more_does_not_end_the_others(
    stock: StockDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chosen(repo: object, reference: Reference) -> Variant:
        if reference.repo == ENTRY.repo:
            raise HubMissing("there is none")
        return Variant("Q8_0", (LARGE,))

    monkeypatch.setattr(stock, "chosen", chosen)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Q8_0 · 4.0 GB" in words(app))
        assert words(app).count("size not checked") == 1

    play(HubScreen(stock), steps)


def test_a_search_is_opened_and_a_variant_picked(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(*"gemma", "enter")
        await until(hand, lambda: "1 found for “gemma”" in words(app))
        assert "2 of 2 about fit" in words(app)
        assert isinstance(app.focused, HubList)
        await hand.press("enter")
        await until(hand, lambda: "best for this machine" in words(app))
        await hand.press("up", "enter")

    picked = Picked(Reference(REPO.name, "Q8_0"), REPO, Variant("Q8_0", (LARGE,)))
    assert play(HubScreen(stock), steps).results == [picked]


def test_leaving_the_variants_goes_back_to_what_was_found(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "1 found" in words(app))
        await hand.press("enter")
        await until(hand, lambda: isinstance(app.screen, VariantsScreen))
        await hand.press("escape")
        await until(hand, lambda: "1 found" in words(app))
        await hand.press("slash")
        assert isinstance(app.focused, Input)
        await hand.press("escape")

    assert play(HubScreen(stock, "gemma"), steps).results == [None]


@pytest.mark.parametrize("named", [False, True])
def test_a_hub_that_says_nothing_keeps_nobody(stock: StockDouble, named: bool) -> None:
    stock.hub_gate.clear()
    screen = VariantsScreen(stock, Reference(REPO.name)) if named else HubScreen(stock, "gemma")

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: bool(stock.asked))
        await hand.press("escape")

    assert play(screen, steps).results == [None]
    (waiting,) = hub_threads()
    assert not stock.hub_gate.is_set()
    stock.hub_gate.set()
    waiting.join(20)


def test_what_an_older_question_finds_out_later_is_not_told(
    stock: StockDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = threading.Event()

    def repo(_reference: Reference) -> HubRepo:
        assert silent.wait(20)
        raise OFFLINE

    monkeypatch.setattr(stock, "repo", repo)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Gemma 3 4B" in words(app))
        (older,) = hub_threads()
        app.screen.query_one(Input).value = "gemma"
        await hand.press("enter")
        await until(hand, lambda: "1 found" in words(app))
        silent.set()
        older.join(20)
        await hand.pause()
        assert "1 found" in words(app)
        assert "HF_HUB_OFFLINE" not in words(app)

    play(HubScreen(stock), steps)


def test_the_newest_search_counts(stock: StockDouble) -> None:
    stock.hub_gate.clear()

    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(*"one", "enter")
        await hand.press("end", *" two", "enter")
        await until(hand, lambda: "search one" in stock.asked and "search one two" in stock.asked)
        assert "for “one two” …" in words(app)
        stock.hub_gate.set()
        await until(hand, lambda: "1 found for “one two”" in words(app))

    play(HubScreen(stock), steps)


@pytest.mark.parametrize(("found", "told"), [((), "nothing was found for “zzz”"), (None, "HF_HUB_OFFLINE is 1")])
def test_what_is_not_found_is_told(stock: StockDouble, found: tuple[Found, ...] | None, told: str) -> None:
    stock.found, stock.fault = found or (), OFFLINE if found is None else None

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: told in words(app))

    play(HubScreen(stock, "zzz"), steps)


def test_a_repository_that_is_named_is_opened_without_a_search(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        app.screen.query_one(Input).value = f"https://huggingface.co/{REPO.name}"
        await hand.press("enter")
        await until(hand, lambda: isinstance(app.screen, VariantsScreen))
        await until(hand, lambda: "licence gemma" in words(app))

    play(HubScreen(stock), steps)
    assert not [asked for asked in stock.asked if asked.startswith("search")]


def test_a_quantisation_that_was_named_is_under_the_cursor(stock: StockDouble) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "best for this machine" in words(app))
        await hand.press("enter")

    (picked,) = play(VariantsScreen(stock, Reference(REPO.name, "Q8_0")), steps).results
    assert picked.variant == Variant("Q8_0", (LARGE,))


def test_files_of_one_name_are_picked_by_their_paths(stock: StockDouble) -> None:
    files = (HubFile("a/model-Q8_0.gguf", GB), HubFile("b/model-Q8_0.gguf", GB), HubFile("strange.gguf", GB // 2))
    stock.repos[REPO.name] = replace(REPO, files=files)
    keys: dict[str, list[str]] = {"a/model-Q8_0.gguf": ["home"], "strange.gguf": ["end"]}
    for path, pressed in keys.items():

        async def steps(hand: Hand, app: Stage, pressed: list[str] = pressed) -> None:
            await until(hand, lambda: app.screen.query_one(OptionList).option_count == 3)
            await hand.press(*pressed, "enter")

        (picked,) = play(VariantsScreen(stock, Reference(REPO.name)), steps).results
        assert picked.reference == Reference(REPO.name, file=path)


def test_an_embedding_model_is_one_row(stock: StockDouble) -> None:
    files = tuple(HubFile(name, GB // 100) for name in ("config.json", "tokenizer.json", "model.safetensors"))
    stock.repos[REPO.name] = replace(REPO, kind="embedder", files=files)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "3 files" in words(app))
        await hand.press("enter")

    (picked,) = play(VariantsScreen(stock, Reference(REPO.name)), steps).results
    assert picked.variant is not None and len(picked.variant.files) == 3
    assert picked.reference == Reference(REPO.name)


def test_a_gated_repository_says_so(stock: StockDouble) -> None:
    stock.repos[REPO.name] = replace(REPO, gated=True, licence="")
    assert repo_line(stock.repos[REPO.name]).startswith("gated: its terms are to be accepted")
    assert "no licence is told" in repo_line(stock.repos[REPO.name])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_what_the_hub_says_is_harmless_at_every_size(stock: StockDouble, size: tuple[int, int], theme: str) -> None:
    evil = HubFile("strange.gguf", GB)
    stock.found = (Found(EVIL, 5, 5, EVIL, True, (Variant(EVIL, (evil,)),)), FOUND)
    stock.entries = (replace(ENTRY, name=EVIL, good_for=EVIL, licence=EVIL),)
    stock.repos[EVIL] = replace(
        REPO, name=EVIL, licence=EVIL, base_model=EVIL, files=(replace(evil, path=EVIL + ".gguf"),)
    )

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: app.screen.query_one(OptionList).option_count == 1)
        assert_harmless(app)
        await assert_walk(hand, app)
        app.screen.query_one(Input).value = "evil"
        app.screen.query_one(Input).focus()
        await hand.press("enter")
        await until(hand, lambda: "2 found" in words(app))
        assert_harmless(app)
        await hand.press("enter")
        await until(hand, lambda: "licence a" in words(app))
        assert_harmless(app)
        assert "[red]d[/red]" in words(app)

    play(HubScreen(stock), steps, size, theme)


@pytest.mark.parametrize("width", [34, 38, 66, 108])
def test_no_row_is_wider_than_the_list(width: int) -> None:
    long = replace(FOUND, repo=f"user/{'long-' * 30}", variants=FOUND.variants * 5)
    for row in (
        found_row(long, MACHINE, width),
        entry_row(replace(ENTRY, name="long " * 30, good_for="many " * 30), None, None, MACHINE, width),
        entry_row(ENTRY, REPO, None, MACHINE, width),
    ):
        assert max(map(len, row.plain.split("\n"))) <= width
    assert len(variant_row(Variant("Q4_K_M", (SMALL,)), MACHINE, True, 66).plain) <= 78


def test_counts() -> None:
    assert [count_text(count) for count in (0, 9_999, 12_300, 999_949, 1_234_567)] == [
        "0", "9,999", "12K", "1000K", "1.2M",
    ]  # fmt: skip
