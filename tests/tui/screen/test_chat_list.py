"""The list of chats in the whole chat: days, pages, search as one types, renaming, deleting, marks, hostile titles."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.list_hand import WIDE, highlighted, in_list, lines, options, plain, search
from tests.tui.stored import add_turn

from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.history import Conversation, History, Hit, StoredMessage
from llmchat_tui.widgets.chat_list import PAGE, day_of


@pytest.fixture
def three(home: Path) -> Sequence[str]:
    """Three chats: their ids, the one written last first."""
    with History.open(home / "chats.db") as history:
        made = [add_turn(history, f"{name} question", f"{name} answer") for name in ("alpha", "beta", "gamma")]
    return list(reversed(made))


DAY = 86_400


def chat_at(history: History, seconds: float, title: str) -> str:
    """Adds a chat that was written last at a time."""
    question = StoredMessage("q", "", "", "user", f"about {title}", "complete", seconds)
    reply = StoredMessage("r", "", "q", "assistant", "an answer", "complete", seconds)
    return history.add(Conversation("c", title, "", seconds, seconds), [question, reply])


def many_chats(home: Path, count: int) -> None:
    """Adds chats without a flush of the disk for each."""
    with History.open(home / "chats.db"):
        pass
    now = time.time()
    rows = [(f"{number:026d}", f"chat {number}", now - DAY * number / 50) for number in range(count)]
    with sqlite3.connect(home / "chats.db") as db:
        db.executemany(
            "INSERT INTO conversations (id, title, system, sampling, created_at, updated_at)"
            " VALUES (?, ?, '', '{}', ?, ?)",
            [(key, title, at, at) for key, title, at in rows],
        )
        db.executemany(
            "INSERT INTO messages (id, conversation_id, role, text, status, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            [(f"q{key}", key, "user", f"about {title}", "complete", at) for key, title, at in rows],
        )
    db.close()


def test_chats_stand_under_their_day_the_newest_first(home: Path) -> None:
    now = time.time()
    ages = {"newest": 0.0, "older": 1.0, "old": 40.0, "ancient": 400.0}
    with History.open(home / "chats.db") as history:
        for title, days in reversed(ages.items()):
            chat_at(history, now - days * DAY, title)

    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            assert [line for line in lines(run) if line in ages] == list(ages)
            days = [day_of(now - age * DAY, now) for age in ages.values()]
            assert lines(run) == [part for pair in zip(days, ages, strict=True) for part in pair]
            assert {plain(option) for option in options(run).options if option.disabled} == set(days)

    play(scene)


@pytest.mark.parametrize(
    ("days", "heading"), [(0.0, "Today"), (0.6, "Yesterday"), (1.6, "This week"), (-3.0, "Today"), (40.0, "May 2026")]
)
def test_days(days: float, heading: str) -> None:
    noon = time.mktime((2026, 6, 20, 12, 0, 0, 0, 0, -1))
    assert day_of(noon - days * DAY, noon) == heading


@pytest.mark.parametrize("seconds", [1e300, -1e300, float("inf"), float("nan")])
def test_a_clock_that_jumped_has_a_heading_too(seconds: float) -> None:
    assert day_of(seconds)


def test_an_empty_list_and_a_search_without_a_hit_say_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            assert lines(run) == ["no chats yet"]
            await search(run, "zzz")
            assert lines(run) == ["nothing found"]
            await run.press("enter")
            await run.settle()
            assert run.chat.talk.conversation_id == ""

    play(scene)


def test_a_search_finds_titles_and_messages_by_beginnings_of_words(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            await search(run, "bet")
            assert lines(run)[0] == "beta question" and not any("gamma" in line for line in lines(run))
            assert any("beta answer" in line for line in lines(run))
            await run.press(*"a ans")
            await run.until(lambda: len(lines(run)) == 1 and "beta answer" in lines(run)[0], "the one message")
            await run.press(*["backspace"] * 8)
            await run.until(lambda: len(lines(run)) == 4, "the whole list")

    play(scene)


def test_enter_opens_the_chat_at_the_message_that_was_found(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = ""
        for number in range(30):
            word = "needle" if number == 11 else "hay"
            chat = add_turn(history, f"question {number}", f"{word} {number}\n\n" + "more\n\n" * 8, chat)

    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            await search(run, "needl")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == chat, "the chat")
            await run.settle()
            found = next(view for view in run.transcript.views if view.text.startswith("needle"))
            await run.until(lambda: run.app.focused is found, "the focus")
            assert "needle 11" in run.text()
            assert run.chat.chat_list.query_text == ""
            await run.until(lambda: len(lines(run)) == 2, "the whole list")

    play(scene)


def test_enter_that_comes_before_the_results_opens_the_first_of_them(
    home: Path, three: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            may_look, look = threading.Event(), run.chat.keeper.look

            def slow(query: str, limit: int) -> tuple[list[Conversation], list[Hit]]:
                assert may_look.wait(15)
                return look(query, limit)

            await run.press("ctrl+r")
            monkeypatch.setattr(run.chat.keeper, "look", slow)
            await run.press(*"alph", "enter")
            await asyncio.sleep(0.05)
            assert run.chat.talk.conversation_id == ""
            may_look.set()
            await run.until(lambda: run.chat.talk.conversation_id == three[2], "the chat")

    play(scene)


def test_a_search_that_fails_once_does_not_end_the_searching(
    home: Path, three: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            look = run.chat.keeper.look

            def refuse(query: str, limit: int) -> tuple[list[Conversation], list[Hit]]:
                raise StorageUnwritable("chats.db cannot be read", "the disk is gone")

            monkeypatch.setattr(run.chat.keeper, "look", refuse)
            await run.press("ctrl+r", "a")
            await run.settle()
            monkeypatch.setattr(run.chat.keeper, "look", look)
            await run.press(*"lpha")
            await run.until(lambda: highlighted(run) == "alpha question", "the chat")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == three[2], "the chat")

    play(scene)


def test_the_cursor_stays_where_the_user_put_it_when_the_list_is_read_anew(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE, start=three[0]) as run:
            await in_list(run, "alpha")
            run.chat.refresh_lines()
            await run.settle()
            assert highlighted(run) == "alpha question"
            await search(run, "question")
            await run.press("down", "down", "down")
            await run.until(lambda: options(run).has_focus and options(run).highlighted not in (None, 0), "another one")
            at = options(run).highlighted
            run.chat.refresh_lines()
            await run.settle()
            assert options(run).highlighted == at

    play(scene)


def test_a_new_search_starts_at_its_first_result(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=WIDE, start=three[2]) as run:
            await search(run, "question")
            assert highlighted(run) == lines(run)[0]

    play(scene)


def test_three_thousand_chats_come_page_by_page(home: Path) -> None:
    many_chats(home, 3000)

    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            assert options(run).option_count < PAGE * 2
            options(run).focus()
            seen = 0
            while not any(line == "chat 2999" for line in lines(run)):
                seen = options(run).option_count
                await run.press("end")
                await run.until(lambda seen=seen: options(run).option_count > seen, "the next page")  # type: ignore[misc]
            chats = [line for line in lines(run) if line.startswith("chat ")]
            assert len(chats) == len(set(chats)) == 3000
            await run.settle()
            assert highlighted(run) != lines(run)[1]
            await search(run, "2998")
            assert any("chat 2998" in line for line in lines(run))

    play(scene)


def test_a_page_with_deletions_in_it_reads_on(home: Path) -> None:
    many_chats(home, PAGE + 50)

    async def scene() -> None:
        async with chatting(home, size=WIDE) as run:
            for number in range(5, 25):
                run.chat.keeper.doom(f"{number:026d}")
            run.chat.refresh_lines()
            await run.settle()
            options(run).focus()
            await run.press("end")
            await run.until(lambda: f"chat {PAGE + 49}" in lines(run), "the rest")

    play(scene)


def test_folded_away_it_lies_over_the_messages_while_it_is_needed(home: Path, three: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, size=(80, 24)) as run:
            chat_list = run.chat.chat_list
            assert not chat_list.display
            await run.press("ctrl+r")
            await run.until(lambda: chat_list.display, "the list")
            await run.press("escape")
            await run.until(lambda: not chat_list.display and run.chat.composer.prompt.has_focus, "the prompt")
            await search(run, "alpha")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == three[2], "the chat")
            await run.until(lambda: not chat_list.display and run.chat.composer.prompt.has_focus, "the prompt")
            await run.press("f4")
            await run.until(lambda: chat_list.display, "the list to stay")
            await run.press("ctrl+r")
            await run.until(lambda: chat_list.has_focus_within, "the field")
            await run.press("f4")
            await run.until(lambda: not chat_list.display, "the list to go")
            await run.until(lambda: run.chat.composer.prompt.has_focus, "the prompt")

    play(scene)


def test_a_resize_that_hides_the_list_brings_the_keys_to_the_prompt(home: Path, three: Sequence[str]) -> None:
    """Else a `d` that was meant for the message would delete a chat that is not in sight."""

    async def scene() -> None:
        async with chatting(home, size=(80, 24)) as run:
            await run.press("ctrl+r", "x")
            await run.pilot.resize_terminal(60, 20)
            await run.until(lambda: not run.chat.chat_list.display, "the list to go")
            await run.settle()
            assert run.app.focused is run.chat.composer.prompt

    play(scene)
