"""The small question: which key gives which answer, and text from data in it."""

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

from llmchat_tui.screens.dialogs import TextScreen


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
    async def text(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "Enter ok" in words(app)
        await assert_walk(hand, app)

    play(TextScreen(EVIL, EVIL, EVIL), text, size, theme)
