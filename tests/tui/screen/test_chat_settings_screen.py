"""What one chat has of its own: values in and out exactly, what is refused, and every row in sight."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tui.screen.screen_stage import (
    EVIL,
    SIZES,
    THEMES,
    Hand,
    Stage,
    answers,
    assert_harmless,
    assert_walk,
    in_sight,
    play,
    press,
    until,
    words,
)
from textual.widgets import Input, TextArea

from llmchat_engine import Sampling
from llmchat_tui.screens.chat_settings import ChatSettings, ChatSettingsScreen
from llmchat_tui.screens.setting_row import Row
from llmchat_tui.settings import SAMPLING_KEYS

OWN: dict[str, Any] = {"temperature": 0.2, "stop": ["a", "\x1b\x9b"]}


def saved(system: str, sampling: dict[str, Any], name: str = "", *keys: str) -> list[ChatSettings | None]:
    """Returns what was saved after keys in the control of one value, or in the system prompt."""

    async def steps(hand: Hand, app: Stage) -> None:
        if name:
            row_of(app, name).control.focus()
        else:
            app.screen.query_one(TextArea).focus()
        await hand.press(*keys, "ctrl+s")

    return play(ChatSettingsScreen("Rome", system, sampling, Sampling(top_k=40)), steps).results


def row_of(app: Stage, name: str) -> Row:
    return next(row for row in app.screen.query(Row) if row.field == name)


def test_what_is_left_alone_comes_back_exactly() -> None:
    prompts = ["", "You are kind.", EVIL, "a\r\nb\rc\n\n", "\ttab \u2028 \U000e0041"]
    found = answers((ChatSettingsScreen("Rome", system, OWN, Sampling()), ["ctrl+s"]) for system in prompts)
    assert found == [[ChatSettings(system, OWN)] for system in prompts]


def test_an_edited_system_prompt_is_taken_as_it_is_shown() -> None:
    assert saved("Be kind\x1b", {}, "", "end", *"er") == [ChatSettings("Be kind\u241ber", {})]


def test_values_are_set_changed_and_emptied() -> None:
    assert saved("", {}, "top_p", *"0.5") == [ChatSettings("", {"top_p": 0.5})]
    assert saved("", OWN, "temperature", "backspace", "1", "enter") == [ChatSettings("", {**OWN, "temperature": 1.0})]
    assert saved("", OWN, "temperature", "backspace") == [ChatSettings("", {"stop": OWN["stop"]})]
    assert saved("", {}, "stop", *"###") == [ChatSettings("", {"stop": ["###"]})]
    assert saved("", {"top_k": 1, "odd": 2}, "top_k", "backspace", "0") == [ChatSettings("", {"odd": 2, "top_k": 0})]


def test_the_chat_that_was_handed_in_is_not_changed() -> None:
    own = dict(OWN)
    saved("", own, "temperature", "backspace", "1")
    assert own == OWN


def test_empty_rows_show_what_is_inherited() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        shown = {row.field: row.control for row in app.screen.query(Row)}
        assert set(shown) == SAMPLING_KEYS
        top_k, top_p = shown["top_k"], shown["top_p"]
        assert isinstance(top_k, Input)
        assert isinstance(top_p, Input)
        assert (top_k.value, top_k.placeholder) == ("", "40")
        assert (top_p.value, top_p.placeholder) == ("", "the model decides")

    play(ChatSettingsScreen("Rome", "", {}, Sampling(top_k=40)), steps)


def test_a_wrong_value_is_told_in_its_row_and_keeps_the_page_open() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        row = row_of(app, "top_k")
        row.control.focus()
        await hand.press("x", "tab")
        assert row.is_refused
        assert "top_k cannot be 'x'" in words(app)
        await hand.press("ctrl+s")
        assert app.results == []
        assert app.focused is row.control
        await hand.press("backspace", "5", "ctrl+s")

    app = play(ChatSettingsScreen("Rome", "", {}, Sampling()), steps)
    assert app.results == [ChatSettings("", {"top_k": 5})]


def test_what_is_refused_does_not_push_the_focus_out_of_sight() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("tab", "tab", "x", "tab")
        await hand.settle()
        assert row_of(app, "top_k").is_refused
        assert app.focused is row_of(app, "top_p").control
        await until(hand, lambda: in_sight(app, row_of(app, "top_p").control))

    play(ChatSettingsScreen("Rome", "", {}, Sampling()), steps, (40, 10))


def test_esc_discards() -> None:
    assert play(ChatSettingsScreen("Rome", "", {}, Sampling()), press(*"new", "escape")).results == [None]


def test_it_says_what_a_changed_system_prompt_costs() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        shown = words(app)
        assert "the whole chat is then read again" in shown
        assert "^S save" in shown
        assert "Esc discard" in shown

    play(ChatSettingsScreen("Rome", "", {}, Sampling()), steps)


@pytest.mark.parametrize(("size", "theme"), [(SIZES[0], THEMES[0]), (SIZES[1], THEMES[1])])
def test_every_row_can_be_reached_at_every_size(size: tuple[int, int], theme: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "^S save" in words(app)
        await assert_walk(hand, app)
        assert_harmless(app)

    play(ChatSettingsScreen(EVIL, EVIL * 9, {"stop": [EVIL]}, Sampling(stop=(EVIL,))), steps, size, theme)
