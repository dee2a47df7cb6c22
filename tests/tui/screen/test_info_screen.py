"""The page of plain text: long texts open at once, are copied exactly, and do nothing to the terminal."""

from __future__ import annotations

import time

import pytest
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, painted, play, words

from llmchat_tui.screens.info import InfoScreen

LONG = "".join(f"line {number} of a prompt with some words in it\n" for number in range(4_700))


def test_a_text_is_read_copied_and_closed() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("y", "escape")

    app = play(InfoScreen("The exact prompt", f"{EVIL}\r\n"), steps)
    assert [(copied.text, copied.what) for copied in app.copied] == [(f"{EVIL}\r\n", "The exact prompt")]
    assert app.results == [None]


def test_the_arrows_scroll_at_once() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert "line 0 " in painted(app)
        await hand.press("down", "down")
        assert "line 0 " not in painted(app)
        assert "line 2 " in painted(app)
        await hand.press("end")

    play(InfoScreen("Prompt", LONG), steps)


def test_a_long_text_opens_without_a_wait() -> None:
    assert len(LONG) > 200_000

    async def steps(hand: Hand, app: Stage) -> None:
        begun = time.perf_counter()
        await app.push_screen(InfoScreen("Prompt", LONG))
        await hand.pause()
        assert time.perf_counter() - begun < 1.0

    play(InfoScreen("Prompt", "short"), steps)


@pytest.mark.parametrize("size", SIZES)
def test_text_from_data_is_harmless(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "[@click=app.quit]" in words(app)
        assert "y copy all" in words(app)

    play(InfoScreen(EVIL, EVIL * 20), steps, size)
