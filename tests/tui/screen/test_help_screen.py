"""The help page lists every key and command, with the user's own keys, at every width."""

from __future__ import annotations

import pytest
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, play, words
from textual.containers import VerticalScroll

from llmchat_tui.commands import COMMANDS
from llmchat_tui.keymap import ACTIONS
from llmchat_tui.screens.help import HelpScreen, command_entries, key_entries, laid_out


def test_every_action_and_every_command_is_there() -> None:
    entries = list(key_entries({}))
    assert [entry.note for entry in entries if entry.term] != []
    assert {entry.note for entry in entries if entry.term} == {action.id for action in ACTIONS}
    commands = [entry.term.split()[0] for entry in command_entries() if entry.term]
    assert commands == [f"/{command.name}" for command in COMMANDS]


def test_the_users_own_keys_are_laid_over() -> None:
    entries = {entry.note: entry.term for entry in key_entries({"new_chat": "ctrl+b,f9"})}
    assert entries["new_chat"] == "^B  F9"
    assert entries["quit"] == "^Q"


@pytest.mark.parametrize("width", [20, 37, 59, 60, 80, 180])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    for entries in (list(key_entries({})), list(command_entries())):
        lines = laid_out(entries, width).plain.split("\n")
        assert max(map(len, lines)) <= max(width, 31)  # the longest command cannot be broken


@pytest.mark.parametrize("size", SIZES)
def test_it_opens_scrolls_and_closes(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        assert "Keys and commands" in words(app)
        assert "Esc close" in words(app)
        page, seen = app.screen.query_one(VerticalScroll), words(app)
        while page.scroll_offset.y < page.max_scroll_y:
            await hand.press("down")
            seen += words(app)
        assert "/exit" in seen and "^Q" in seen
        await hand.press("escape")

    assert play(HelpScreen({"send": EVIL}), steps, size).results == [None]


@pytest.mark.parametrize(("size", "together"), [((80, 24), False), ((200, 60), True)])
def test_wide_screens_have_two_columns(size: tuple[int, int], together: bool) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert ("Prompt Commands" in words(app)) is together

    play(HelpScreen({}), steps, size)
