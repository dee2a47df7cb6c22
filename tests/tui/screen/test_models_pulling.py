"""Downloads in the list of models: typed, shown, stopped, gone on with, dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.model_stage import GB, REPO, SMALL, StockDouble
from tests.tui.screen.models_page import page, read, two_models
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, play, until, words
from textual.widgets import Input

from llmchat_engine import HubForbidden
from llmchat_engine.models.hub.types import Reference, Variant
from llmchat_engine.models.progress import Progress
from llmchat_tui.pulls import Job
from llmchat_tui.screens.model_entries import Download
from llmchat_tui.screens.model_list import ModelFilter, ModelList
from llmchat_tui.screens.pull_rows import pull_row

HALF = Progress("downloading", 6 * GB // 5, SMALL.size, "bytes", 38e6, SMALL.path)
REFERENCE = Reference(REPO.name, "Q4_K_M")


@pytest.fixture
def stock(tmp_path: Path) -> StockDouble:
    return two_models(tmp_path)


def test_a_reference_that_is_typed_is_pulled_and_appears_as_a_model(stock: StockDouble) -> None:
    stock.steps = [HALF]
    stock.gate.clear()
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.query_one(ModelFilter).focus()
        screen.query_one(Input).value = f"{REPO.name}:q4_k_m"
        await hand.pause()
        assert f"pull {REPO.name}:q4_k_m" in words(app)
        await hand.press("enter")
        stock.gate.set()
        await until(hand, lambda: any(model.repo == REPO.name for model in screen.models))
        await until(hand, lambda: "pulling" not in words(app))

    app = play(screen, steps)
    assert f"pull {REPO.name} Q4_K_M" in stock.asked
    assert app.results == []


def test_a_download_is_shown_stopped_gone_on_with_and_dropped(stock: StockDouble) -> None:
    stock.steps = [HALF]
    screen = page(stock)
    pulls = screen.pulls

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        stock.gate.clear()
        pulls.add(REFERENCE, REPO, Variant("Q4_K_M", (SMALL,)))
        await until(hand, lambda: "1.2 of 2.5 GB · 38 MB/s · 34 s left" in words(app))
        screen.query_one(ModelList).highlighted = screen._entries.index(Download(Job(REFERENCE).key))
        await until(hand, lambda: "x stop" in words(app) and "x remove" not in words(app))
        await hand.press("x")
        await until(hand, lambda: "1.2 of 2.5 GB · r goes on" in words(app))
        await until(hand, lambda: "x remove" in words(app) and "x stop" not in words(app))
        await hand.press("r")
        await until(hand, lambda: "pulling" in words(app))
        await hand.press("x")
        await until(hand, lambda: "stopped" in words(app))
        await hand.press("x")
        await until(hand, lambda: "gemma" not in words(app))

    play(screen, steps)
    stock.gate.set()
    pulls.close(20)


def test_a_download_goes_on_when_the_page_is_closed(stock: StockDouble) -> None:
    stock.gate.clear()
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.add(REFERENCE)
        stock_asked = stock.gate
        await hand.press("escape")
        stock_asked.set()
        await until(hand, lambda: not screen.pulls.unfinished)

    assert play(screen, steps).results == [None]
    assert [job.state for job in screen.pulls.jobs] == ["done"]
    screen.pulls.close(20)


def test_keys_are_quick_while_a_download_tells_all_the_time(stock: StockDouble) -> None:
    """The page hears of it four times a second, however often the hub tells."""
    stock.steps = [HALF] * 20_000
    screen = page(stock)
    told: list[int] = []

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.follow(lambda: told.append(1))
        screen.pulls.add(REFERENCE, REPO, Variant("Q4_K_M", (SMALL,)))
        await hand.press(*["down", "up"] * 5)
        await until(hand, lambda: not screen.pulls.unfinished)

    play(screen, steps)
    assert len(told) < 200
    screen.pulls.close(20)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_hub_says_of_a_download_is_harmless(stock: StockDouble, size: tuple[int, int]) -> None:
    stock.fault = HubForbidden(EVIL, EVIL, EVIL)
    screen = page(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await read(hand, app)
        screen.pulls.add(Reference("user/evil", "Q4_0"))
        await until(hand, lambda: not screen.pulls.unfinished)
        await hand.press("end", "up")
        await until(hand, lambda: "failed" in words(app))
        assert_harmless(app)
        assert "[red]d[/red]" in words(app)

    play(screen, steps, size)
    screen.pulls.close(20)


def test_rows_of_downloads_in_every_state() -> None:
    told = {
        "waits": "waiting",
        "runs": "asking the hub",
        "tries": "loading it once",
        "failed": "it broke",
        "stopped": "r goes on",
    }
    for state, part in told.items():
        job = Job(REFERENCE, state, problem="it broke")  # type: ignore[arg-type]
        for width in (30, 72, 110):
            row = pull_row(job, width, "r").plain
            assert part in row.replace("\n ", "")
            assert max(map(len, row.split("\n"))) <= width
