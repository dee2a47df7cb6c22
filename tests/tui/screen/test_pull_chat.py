"""Downloads beside the chat: /pull begins one or searches, its end is told, and leaving says what goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import command
from tests.tui.screen.model_stage import GB, REPO, SMALL, StockDouble

from llmchat_engine import HubUnreachable
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.trials import Trial
from llmchat_tui.commands import COMMANDS
from llmchat_tui.desk import Desk
from llmchat_tui.screens.hub_search import HubScreen
from llmchat_tui.screens.models import ModelsScreen

HALF = Progress("downloading", 6 * GB // 5, SMALL.size, "bytes", 38e6, SMALL.path)


@pytest.fixture
def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StockDouble:
    """The stock of the chat's desk."""
    made = StockDouble(tmp_path / "models")
    made.steps = [HALF]
    monkeypatch.setattr(Desk, "stock", property(lambda _desk: made))
    return made


async def noticed(run: Chatting, words: str) -> None:
    await run.until(lambda: words in " ".join(run.notices().split()), words)


def test_a_model_is_pulled_beside_the_chat(home: Path, stock: StockDouble) -> None:
    async def scene() -> None:
        async with chatting(home, "Hello.", "And again.") as run:
            stock.gate.clear()
            await command(run, f"/pull {REPO.name}:Q4_K_M")
            await noticed(run, "pulling gemma-3-4b-it Q4_K_M; ^O shows how far it is")
            stock.gate.set()
            await run.say("Hi")
            await noticed(run, "gemma-3-4b-it Q4_K_M is here · ^O uses it")
            await run.say("Hi again")

    play(scene)


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (Trial(False, "llama.cpp crashes on it"), "it came whole, but does not load: llama.cpp crashes on it"),
        (Trial(False, "memory ran out", lasting=False), "is here, but memory ran out"),
    ],
)
def test_what_cannot_be_used_is_told(home: Path, stock: StockDouble, trial: Trial, said: str) -> None:
    stock.trials[SMALL.path] = trial

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, f"/pull {REPO.name}")
            await noticed(run, said)

    play(scene)


def test_a_failure_of_the_hub_is_told(home: Path, stock: StockDouble) -> None:
    stock.fault = HubUnreachable("huggingface.co cannot be reached", "there is no route to it")

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, f"/pull {REPO.name}")
            await noticed(run, "huggingface.co cannot be reached — there is no route to it")

    play(scene)


def test_words_are_searched_for(home: Path, stock: StockDouble) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/pull gemma 3")
            await run.until(lambda: isinstance(run.app.screen, HubScreen) and "1 found" in run.text(), "the search")
            await run.press("enter")
            await run.until(lambda: "best for this machine" in run.text(), "the variants")
            await run.press("enter")
            await noticed(run, "pulling gemma-3-4b-it Q4_K_M")

    play(scene)
    assert "search gemma 3" in stock.asked


def test_every_way_to_models_has_a_key_a_command_and_a_line_of_the_palette(home: Path, stock: StockDouble) -> None:
    names = {command.name: command for command in COMMANDS}
    assert names["pull"].action == "search_hub" and "models" in names["model"].aliases

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/models")
            await run.until(lambda: isinstance(run.app.screen, ModelsScreen), "the page")
            await run.press("escape")
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            await command(run, "/pull")
            await run.until(lambda: isinstance(run.app.screen, HubScreen), "the hub")

    play(scene)


def test_leaving_keeps_the_part_and_says_what_goes_on(home: Path, stock: StockDouble) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            stock.gate.clear()
            await command(run, f"/pull {REPO.name}:Q4_K_M")
            app = run.app
            await run.until(lambda: bool(app.desk.pulls.unfinished), "the download")
            app.leave(0)
            await run.until(lambda: app._exit, "the end")
            assert [job.key for job in app.unfinished] == [f"{REPO.name}:Q4_K_M"]

    try:
        play(scene)
    finally:
        stock.gate.set()
