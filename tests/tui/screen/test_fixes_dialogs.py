"""Keys that are pressed faster than a page closes, Ctrl+C on a page, and what threads find when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tui.screen.model_stage import StockDouble
from tests.tui.screen.screen_stage import Hand, Stage, play, press
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input, TextArea

from llmchat_engine import Sampling
from llmchat_engine.models.library import LocalModel
from llmchat_tui.errors import ModelChoiceError
from llmchat_tui.pulls import Pulls
from llmchat_tui.screens.chat_settings import ChatSettings, ChatSettingsScreen
from llmchat_tui.screens.dialogs import TextScreen
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.model_checks import FactsRead
from llmchat_tui.screens.model_facts import ModelFacts
from llmchat_tui.screens.models import ModelChosen, ModelsScreen
from llmchat_tui.screens.settings import SettingsScreen
from llmchat_tui.screens.themes import ThemesScreen
from llmchat_tui.screens.welcome import ModelsFound, WelcomeScreen
from llmchat_tui.themes import DARK

MODEL = LocalModel("small", Path("/nowhere/small.gguf"), "package", 1 << 20)


@pytest.fixture(autouse=True)
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_tui.screens.model_checks.read_facts", lambda *_: ModelFacts())


def models() -> ModelsScreen:
    stock = StockDouble(Path("/nowhere"))
    return ModelsScreen([MODEL], "", stock, Pulls(stock))


def welcome() -> WelcomeScreen:
    stock = StockDouble(Path("/nowhere"))
    return WelcomeScreen(ModelChoiceError("there is no model"), stock, Pulls(stock), lambda: [MODEL])


def settings() -> SettingsScreen:
    return SettingsScreen(Path("/nowhere/config.toml"), {})


PAGES: list[tuple[Callable[[], Screen[Any]], str, Any]] = [
    (lambda: TextScreen("Title", "old"), "enter", "old"),
    (models, "enter", ModelChosen(str(MODEL.path), make_default=False)),
    (models, "escape", None),
    (lambda: ThemesScreen([DARK], DARK), "enter", DARK),
    (settings, "escape", frozenset()),
    (lambda: ChatSettingsScreen("chat", "", {}, Sampling()), "ctrl+s", ChatSettings("", {})),
    (lambda: InfoScreen("Title", "text"), "escape", None),
    (welcome, "q", None),
    (welcome, "b", str(MODEL.path)),
]


@pytest.mark.parametrize(("page", "key", "result"), PAGES)
def test_a_key_pressed_twice_closes_one_page(page: Callable[[], Screen[Any]], key: str, result: Any) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.settle()
        for _ in range(3):  # all three are there before the first is handled
            app.post_message(Key(key, key if len(key) == 1 else None))
        await hand.settle()
        assert len(app.screen_stack) == 1

    assert play(page(), steps).results == [result]


@pytest.mark.parametrize("make", [models, welcome])
def test_what_a_thread_finds_for_a_page_that_is_gone_is_dropped(make: Callable[[], Screen[Any]]) -> None:
    page = make()

    async def steps(hand: Hand, app: Stage) -> None:
        await hand.settle()
        app.post_message(Key("escape", None))
        page.dismiss(None)
        for facts in (ModelFacts(problem="broken"), ModelFacts()):
            page.post_message(FactsRead(MODEL.path, facts, typed=True))
        if isinstance(page, WelcomeScreen):
            page.post_message(ModelsFound([MODEL]))
        await hand.settle()
        assert len(app.screen_stack) == 1

    assert play(page, steps).results == [None]


def test_what_was_found_late_does_not_touch_widgets_that_are_gone() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        for page in (first, second):
            if app.screen is not page:
                await app.push_screen(page)
            await hand.settle()
            await page.dismiss(None)
        first.on_facts_read(FactsRead(MODEL.path, ModelFacts(problem="broken"), typed=True))
        second.on_facts_read(FactsRead(MODEL.path, ModelFacts(problem="broken"), typed=True))
        second.on_models_found(ModelsFound([]))

    first, second = models(), welcome()
    play(first, steps)


@pytest.mark.parametrize(("page", "key", "result"), PAGES)
def test_ctrl_c_leaves_as_esc_does(page: Callable[[], Screen[Any]], key: str, result: Any) -> None:
    found = play(page(), press("ctrl+c")).results
    assert found == play(page(), press("escape")).results
    assert len(found) == 1


@pytest.mark.parametrize(
    ("page", "text"), [(lambda: TextScreen("Title", "old"), "new"), (lambda: InfoScreen("Title", "old"), "old")]
)
def test_ctrl_c_copies_what_is_selected(page: Callable[[], Screen[Any]], text: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        field = app.screen.query_one("Input, TextArea")
        assert isinstance(field, Input | TextArea)
        field.focus()
        if isinstance(field, Input):
            field.value = "new"
        field.action_select_all()
        await hand.press("ctrl+c")
        assert len(app.screen_stack) == 2

    stage = play(page(), steps)
    assert [(copied.text, copied.what) for copied in stage.copied] == [(text, "selection")]
    assert stage.results == []
