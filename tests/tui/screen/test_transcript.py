"""The messages of a chat: long ones open at once, every message can be reached, and few are mounted at a time."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.chatting import MODEL, PATIENCE, Chatting, chatting, play
from tests.tui.stored import add_turn

from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History
from llmchat_tui.messages import OpenChat
from llmchat_tui.screens.dialogs import ConfirmScreen
from llmchat_tui.widgets.message import MessageView, QuestionView, ReplyView
from llmchat_tui.widgets.transcript import MOST, STEP

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
MOUNTED = MOST + 2 * STEP
"""Views at most: those that are kept, and what is loaded before the others go."""
CHAT = "C" * 26


def long_chat(home: Path, count: int, lines: int = 3) -> None:
    """Makes a chat of so many messages, `message 0` first, without a flush of the disk for each."""
    with History.open(home / "chats.db"):
        pass
    rows = [
        (f"m{number:025d}", CHAT, f"m{number - 1:025d}" if number else None, ("user", "assistant")[number % 2],
         f"message {number}\n\n" + "\n\n".join(f"line {line} of {number}" for line in range(lines)), time.time())
        for number in range(count)
    ]  # fmt: skip
    with sqlite3.connect(home / "chats.db") as db:
        db.execute(
            "INSERT INTO conversations (id, title, system, sampling, created_at, updated_at)"
            " VALUES (?, 'long', '', '{}', 0, 0)",
            (CHAT,),
        )
        db.executemany(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
            " VALUES (?, ?, ?, ?, ?, 'complete', ?)",
            rows,
        )
    db.close()


def roomy(script: Script | str) -> FakeEngine:
    """Returns an engine whose context holds every chat of these tests."""
    made = Script(script) if isinstance(script, str) else script
    return FakeEngine([made], 0.0, replace(MODEL, n_ctx=10**6, n_ctx_train=10**6))


def id_of(number: int) -> str:
    return f"m{number:025d}"


def numbers(run: Chatting) -> list[int]:
    """Returns which messages are mounted."""
    return [int(view.message_id[1:]) for view in run.transcript.views]


def focused(run: Chatting) -> int:
    """Returns the message that has the focus, or -1."""
    view = run.app.focused
    return int(view.message_id[1:]) if isinstance(view, MessageView) else -1


def is_whole(run: Chatting) -> bool:
    """Returns whether what is mounted is a piece of the path without a gap, as the transcript thinks."""
    transcript, mounted = run.transcript, numbers(run)
    return mounted == list(range(transcript._start, transcript._end))


async def rest(run: Chatting) -> None:
    """Waits until no message is on its way: nothing was for three paints one after the other."""
    quiet = 0
    while quiet < 3:
        painted = asyncio.Event()
        run.transcript.call_after_refresh(painted.set)
        await asyncio.wait_for(painted.wait(), PATIENCE)
        is_busy = run.transcript._moving or any(worker.is_running for worker in run.app.workers)
        quiet = 0 if is_busy else quiet + 1


def test_a_chat_of_2000_messages_opens_at_once_at_its_end(home: Path) -> None:
    long_chat(home, 2000)

    async def scene() -> None:
        async with chatting(home) as run:
            conversation = run.history.conversation(CHAT)
            began = time.perf_counter()
            await run.chat.show_talk(run.chat.talks.open(conversation))
            await run.pilot.pause()
            took = time.perf_counter() - began
            assert "message 1999" in run.text() or "line 2 of 1999" in run.text()
            assert took < 1.5
            await rest(run)
            assert len(run.transcript.views) <= MOUNTED and is_whole(run)
            assert run.transcript.is_vertical_scroll_end

    play(scene)


def test_every_message_can_be_reached_page_by_page_and_few_are_mounted(home: Path) -> None:
    long_chat(home, 64)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            seen: set[int] = set()
            await rest(run)
            seen |= in_sight(run)
            while 0 not in seen or run.transcript.scroll_y > 0:
                await page(run, "pageup", seen)
            assert seen == set(range(64))
            assert "message 0" in run.text()
            seen = in_sight(run)
            while 63 not in seen or not run.transcript.is_vertical_scroll_end:
                await page(run, "pagedown", seen)
            assert seen == set(range(64))
            assert "line 2 of 63" in run.text()

    play(scene)


def in_sight(run: Chatting) -> set[int]:
    """Returns the messages of which something is in sight."""
    sight = run.transcript.region
    return {int(view.message_id[1:]) for view in run.transcript.views if view.region.overlaps(sight)}


async def page(run: Chatting, key: str, seen: set[int]) -> None:
    """Goes on by a page and notes which messages are in sight."""
    before = run.transcript.scroll_y, numbers(run)
    await run.press(key)
    await rest(run)
    assert len(run.transcript.views) <= MOUNTED and is_whole(run)
    seen |= in_sight(run)
    assert (run.transcript.scroll_y, numbers(run)) != before, f"stuck at {numbers(run)[:1]}"


def test_the_line_at_the_top_stays_when_older_messages_come(home: Path) -> None:
    long_chat(home, 200)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            for _ in range(8):
                transcript = run.transcript
                first, start = transcript.views[0], transcript._start
                transcript.scroll_to(y=first.virtual_region.y + 3, animate=False, immediate=True)
                at = first.virtual_region.y - transcript.scroll_y
                await run.until(lambda start=start: transcript._start < start, "older messages")  # type: ignore[misc]
                await rest(run)
                assert first.virtual_region.y - transcript.scroll_y == at

    play(scene)


def test_first_last_up_and_down(home: Path) -> None:
    long_chat(home, 120)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            await run.press("up")
            await run.until(lambda: focused(run) == 119, "the last")
            for wanted in (118, 117):
                await run.press("k")
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
            await run.press("g")
            await run.until(lambda: focused(run) == 0, "the first")
            await rest(run)
            assert "message 0" in run.text() and is_whole(run)
            await run.press("k")
            await rest(run)
            assert focused(run) == 0
            for wanted in range(1, 30):
                await run.press("j")
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
            await rest(run)
            assert "message 29" in run.text()
            await run.press("G")
            await run.until(lambda: focused(run) == 119, "the last")
            await run.press("j")
            await run.until(lambda: run.app.focused is run.chat.composer.prompt, "the prompt")

    play(scene)


def test_walking_up_reaches_every_message(home: Path) -> None:
    long_chat(home, 46)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            await run.press("up")
            for wanted in range(45, -1, -1):
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
                await rest(run)
                await run.press("k")
            assert len(run.transcript.views) <= MOUNTED

    play(scene)


@pytest.mark.parametrize("number", [0, 1, 500, 501, 999])
def test_it_opens_at_a_message_anywhere(home: Path, number: int) -> None:
    long_chat(home, 1000)

    async def scene() -> None:
        async with chatting(home) as run:
            run.chat.post_message(OpenChat(CHAT, id_of(number)))
            await run.until(lambda: focused(run) == number, "the message")
            await rest(run)
            assert f"message {number}" in run.text() and is_whole(run)
            assert len(run.transcript.views) <= MOUNTED
            run.chat.post_message(OpenChat(CHAT, id_of(700)))
            await run.until(lambda: focused(run) == 700, "another message of the same chat")

    play(scene)


def test_asking_from_the_middle_goes_to_the_end(home: Path) -> None:
    long_chat(home, 400)

    async def scene() -> None:
        async with chatting(home, engine=roomy("A new answer.")) as run:
            run.chat.post_message(OpenChat(CHAT, id_of(100)))
            await run.until(lambda: focused(run) == 100, "the message")
            await rest(run)
            await run.press("escape")
            await run.say("a new question")
            shown = run.text()
            assert "a new question" in shown and "A new answer." in shown and "line 2 of 399" in shown
            assert run.transcript.is_vertical_scroll_end
            await run.press("up", "g")
            await run.until(lambda: focused(run) == 0, "the first")

    play(scene)


@pytest.mark.parametrize("text", ["/again", "/edit", "/copy"])
def test_commands_about_the_last_message_are_about_the_last_of_the_chat(
    home: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another part of a long chat is mounted."""
    copied: list[str] = []
    monkeypatch.setattr("llmchat_tui.app.ChatApp.copy_to_clipboard", lambda _app, text: copied.append(text))
    long_chat(home, 400)

    async def scene() -> None:
        async with chatting(home, engine=roomy("A new answer.")) as run:
            run.chat.post_message(OpenChat(CHAT, id_of(101)))
            await run.until(lambda: focused(run) == 101, "the message")
            await rest(run)
            await run.press("escape")
            await run.send(text)
            if text == "/copy":
                await run.until(lambda: bool(copied), "the copy")
                assert copied[0].startswith("message 399\n")
                return
            if text == "/edit":
                await run.until(lambda: run.draft.startswith("message 398"), "the question")
                await run.press("enter")
            await run.until(lambda: run.chat.talk.leaf_id != id_of(399) and not run.chat.talk.running, "the reply")
            await rest(run)
            reply = run.history.tail(run.chat.talk.leaf_id, 3)
            assert [message.text.partition("\n")[0] for message in reply] == ["message 397", "message 398", "A new answer."]
            assert [view.text.partition("\n")[0] for view in run.transcript.views[-3:]] == [
                "message 397", "message 398", "A new answer.",
            ]  # fmt: skip

    play(scene)


@pytest.mark.parametrize("key", ["r", "e"])
def test_a_message_in_the_middle_can_be_asked_again_or_edited(home: Path, key: str) -> None:
    """What stood behind it goes from the screen, and stays on disk."""
    long_chat(home, 100, lines=30)

    async def scene() -> None:
        async with chatting(home, engine=roomy("A new answer.")) as run:
            number = 41 if key == "r" else 40
            run.chat.post_message(OpenChat(CHAT, id_of(number)))
            await run.until(lambda: focused(run) == number, "the message")
            await rest(run)
            await run.press(key)
            await run.until(lambda: isinstance(run.app.screen, ConfirmScreen), "the warning")
            await run.press("y")
            if key == "e":
                await run.until(lambda: run.draft.startswith("message 40"), "the question")
                await run.press("enter")
            await run.until(lambda: run.chat.talk.leaf_id != id_of(99) and not run.chat.talk.running, "the reply")
            await rest(run)
            assert [view.text.partition("\n")[0] for view in run.transcript.views[-2:]] == ["message 40", "A new answer."]
            assert len(run.history.messages(CHAT)) == (101 if key == "r" else 102)
            assert len(run.transcript._path) == 42

    play(scene)


def test_a_growing_reply_keeps_its_place_while_the_user_reads_elsewhere(home: Path) -> None:
    long_chat(home, 200)
    words = " ".join(f"word{number}" for number in range(40))

    async def scene() -> None:
        async with chatting(home, engine=roomy(Script(words, hang_after=20)), start=CHAT) as run:
            await rest(run)
            await run.send("go on")
            await run.until(lambda: "word19" in run.text(), "some words")
            old = {view: view.text for view in run.transcript.views if isinstance(view, ReplyView) and not view.growing}
            run.transcript.focus_last()
            await run.press("g", "g")
            await run.pilot.pause()
            run.chat.post_message(OpenChat(CHAT, id_of(10)))
            await run.pilot.pause()
            run.chat.talks.stop(run.chat.talk)
            await run.until(lambda: not run.chat.talk.running, "the end")
            await rest(run)
            assert {view: view.text for view in old} == old
            await run.press("G")
            await rest(run)
            assert run.transcript.views[-1].text.startswith("word0 word1")
            assert "stopped" in run.text()

    play(scene)


def test_120_turns_leave_no_more_widgets_than_30(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("the first question")
            path = list(run.transcript._path)
            counts = []
            for number in range(120):
                ids = (f"q{number}", f"r{number}")
                await run.transcript.add(QuestionView(f"question {number}", ids[0]), ReplyView(f"answer {number}", ids[1]))
                run.transcript.record(*ids)
                path += ids
                if number % 10 == 9:
                    await run.pilot.pause()
                    counts.append(len(list(run.app.screen.walk_children())))
            assert run.transcript._path == path
            assert len(run.transcript.views) <= MOUNTED
            assert max(counts[4:]) <= max(counts[:4])
            assert "answer 119" in run.text()

    play(scene)


@pytest.mark.parametrize("round_", range(2))
def test_any_keys_in_any_order_leave_a_piece_of_the_chat_in_sight(home: Path, round_: int) -> None:
    """Keys faster than messages can be loaded, some of them for what is just being replaced."""
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED + round_)
    long_chat(home, 150, lines=chance.randint(1, 12))
    keys = ["pageup", "pageup", "pagedown", "g", "G", "k", "j", "home", "end", "up", "down", "escape"]

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            for _ in range(6):
                for key in chance.choices(keys, k=8):
                    await run.press(key)
                    if chance.random() < 0.2:
                        run.chat.post_message(OpenChat(CHAT, id_of(chance.randrange(150))))
                await rest(run)
                assert is_whole(run), (run.transcript._start, run.transcript._end, numbers(run))
                assert 0 < len(run.transcript.views) <= MOUNTED
                assert any(view.region.overlaps(run.transcript.region) for view in run.transcript.views)
            run.transcript.focus_last()
            await run.press("G")
            await run.until(lambda: focused(run) == 149, "the last")

    play(scene)


def test_a_new_chat_says_what_to_do_until_something_was_asked(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            assert "press Enter" in run.text()
            await run.press("up", "g", "G", "k", "j", "pageup", "pagedown")
            await run.press("escape")
            await run.say("hello")
            assert "press Enter" not in run.text()
            await asyncio.sleep(0)

    play(scene)


def test_a_chat_of_one_turn_has_no_more_to_load(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, "question", "answer")

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            await run.press("up", "k", "k", "g", "G")
            await rest(run)
            assert [view.text for view in run.transcript.views] == ["question", "answer"]

    play(scene)
