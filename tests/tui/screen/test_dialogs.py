"""The two small questions: which key gives which answer, and text from data in them."""

from __future__ import annotations

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
    play,
    press,
    words,
)
from textual.widgets import Button

from llmchat_tui.screens.dialogs import ConfirmScreen, TextScreen


def test_a_question_is_no_unless_the_user_says_yes() -> None:
    cases = {
        "enter": False,
        "y": True,
        "n": False,
        "escape": False,
        "left enter": True,
        "tab enter": True,
        "left right enter": False,
    }
    found = answers((ConfirmScreen("Delete it?"), keys.split()) for keys in cases)
    assert dict(zip(cases, found, strict=True)) == {keys: [answer] for keys, answer in cases.items()}


def test_a_line_of_text() -> None:
    cases = {
        "enter": "old",
        "n e w enter": "new",
        "end ! enter": "old!",
        "backspace enter": "",
        "x escape": None,
    }
    found = answers((TextScreen("Title", "old"), keys.split()) for keys in cases)
    assert dict(zip(cases, found, strict=True)) == {keys: [answer] for keys, answer in cases.items()}


def test_a_text_that_was_left_alone_comes_back_exactly() -> None:
    assert play(TextScreen("Title", EVIL), press("end", "enter")).results == [EVIL]


def test_an_edited_text_has_no_escapes_left() -> None:
    (answer,) = play(TextScreen("Title", EVIL), press("end", "!", "enter")).results
    assert answer.endswith("[/!")
    assert "\x1b" not in answer


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_everything_is_in_sight_and_harmless(size: tuple[int, int], theme: str) -> None:
    async def confirm(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert {"Delete", "Keep"} == {str(button.label).strip() for button in app.screen.query(Button)}
        shown = words(app)
        assert "Delete Keep" in shown
        assert "[@click=app.quit]e[/]" in shown
        assert "y yes" in shown
        await assert_walk(hand, app)

    async def text(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "Enter ok" in words(app)
        await assert_walk(hand, app)

    play(ConfirmScreen(f"Delete {EVIL}?", "Delete", "Keep"), confirm, size, theme)
    play(TextScreen(EVIL, EVIL, EVIL), text, size, theme)


def test_a_very_long_question_leaves_the_answers_in_sight() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await assert_walk(hand, app)
        assert "Yes No" in words(app)

    play(ConfirmScreen("word " * 500), steps, (40, 10))
