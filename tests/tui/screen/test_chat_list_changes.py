"""Renaming, deleting and marking chats in the list, and chats that are gone from the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.list_hand import WIDE, in_list, lines, search
from tests.tui.stored import add_turn
from textual.widgets import Input

from llmchat_engine.testing import Script
from llmchat_tui.history import History
from llmchat_tui.screens.dialogs import TextScreen


@pytest.fixture
def three(home: Path) -> Sequence[str]:
    """Three chats: their ids, the one written last first."""
    with History.open(home / "chats.db") as history:
        made = [add_turn(history, f"{name} question", f"{name} answer") for name in ("alpha", "beta", "gamma")]
    return list(reversed(made))


EVIL = "\x1b]0;owned\x07[/x] [@click=app.quit]x[/] \u202eback [red]red %1b"


def test_renaming(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE, start=three[0]) as run:
            await in_list(run, "gamma")
            await run.press("r")
            await run.until(lambda: isinstance(run.app.screen, TextScreen), "the dialog")
            run.app.screen.query_one(Input).value = "Another [/x] title"
            await run.press("enter")
            await run.until(lambda: any(line.startswith("Another [/x]") for line in lines(run)), "the new title")
            assert run.history.conversation(three[0]).title == "Another [/x] title"
            assert run.chat.talk.title == "Another [/x] title"
            assert "Another [/x] title" in run.text().splitlines()[0]
            await in_list(run, "beta")
            await run.press("r")
            await run.until(lambda: isinstance(run.app.screen, TextScreen), "the dialog")
            await run.press("escape")
            await run.until(lambda: not isinstance(run.app.screen, TextScreen), "the end of it")
            assert run.history.conversation(three[1]).title == "beta question"

    play(scene)


def test_deleting_and_taking_it_back(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            await in_list(run, "beta")
            await run.press("d")
            await run.until(lambda: not any(line.startswith("beta") for line in lines(run)), "the deletion")
            assert len(run.history.conversations()) == 3
            await search(run, "beta")
            assert lines(run) == ["nothing found"]
            await run.press(*["backspace"] * 4)
            await run.until(lambda: len(lines(run)) > 2, "the list")
            await in_list(run, "alpha")
            await run.press("u")
            await run.until(lambda: any(line.startswith("beta") for line in lines(run)), "the chat")
            await run.press("u")
            await run.until(lambda: "no deletion to take back" in run.notices(), "the notice")

    play(scene)
    with History.open(home / "chats.db") as history:
        assert len(history.conversations()) == 3


def test_a_deletion_that_was_not_taken_back_is_done_at_the_end(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            await in_list(run, "beta")
            await run.press("delete")
            await run.until(lambda: not any(line.startswith("beta") for line in lines(run)), "the deletion")

    play(scene)
    with History.open(home / "chats.db") as history:
        assert [chat.id for chat in history.conversations()] == [three[0], three[2]]


def test_deleting_the_shown_chat_shows_an_empty_one(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.", size=WIDE, start=three[1]) as run:
            await run.write("a draft")
            await in_list(run, "beta")
            await run.press("d")
            await run.until(lambda: run.chat.talk.conversation_id == "", "an empty chat")
            await run.settle()
            assert not run.transcript.views and run.draft == ""
            await in_list(run, "gamma")
            await run.press("u")
            await run.until(lambda: any(line.startswith("beta") for line in lines(run)), "the chat")
            await in_list(run, "beta")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == three[1], "the chat")
            await run.until(lambda: run.draft == "a draft", "its draft")
            await run.say("go on")
            assert len(run.replies()) == 2

    play(scene)


def test_a_chat_that_is_being_written_cannot_be_deleted(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("a b c", hang_after=1), size=WIDE) as run:
            await run.send("wait")
            await run.until(lambda: any(line.startswith("wait") for line in lines(run)), "the chat")
            await in_list(run, "wait")
            await run.press("d")
            await run.until(lambda: "stop it first" in run.notices(), "the refusal")
            assert any(line.startswith("wait") for line in lines(run))

    play(scene)


def test_a_chat_that_is_gone_from_the_disk_is_told(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            run.history.delete(three[1])
            await in_list(run, "beta")
            await run.press("enter")
            await run.until(lambda: "no chat" in run.notices(), "the notice")
            await run.until(lambda: not any(line.startswith("beta") for line in lines(run)), "the list")

    play(scene)


def test_marks_tell_of_what_goes_on_and_of_what_is_new(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, Script("a b c", hang_after=2), "done", size=WIDE, start=three[0]) as run:
            await run.send("wait")
            first = run.chat.talk
            await run.press("ctrl+n")
            await run.until(lambda: "◌ gamma question" in lines(run), "the mark")
            run.chat.talks.stop(first)
            await run.until(lambda: "● gamma question" in lines(run), "the other mark")
            await in_list(run, "● gamma")
            await run.press("enter")
            await run.until(lambda: run.chat.talk is first, "the chat")
            await run.until(lambda: "gamma question" in lines(run), "no mark")

    play(scene)


@pytest.mark.parametrize("size", [WIDE, (40, 10)])
def test_hostile_titles_and_messages_are_only_text(home: Path, size: tuple[int, int]) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, f"needle {EVIL}", f"answer {EVIL}")
        history.rename(chat, f"title {EVIL}")
        history.rename(add_turn(history, "x" * 5000, "y"), "w" * 500)

    async def scene() -> None:
        async with chatting(home, size=size) as run:
            await search(run, "needle")
            shown = "".join(lines(run)) + run.text()
            assert "[/x] [@click=app.quit]" in "".join(lines(run))
            assert not set(shown) & set("\x1b\x07\u202e")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == chat, "the chat")
            await run.settle()
            assert not set(run.text()) & set("\x1b\x07\u202e")

    play(scene)
