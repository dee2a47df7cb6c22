"""Asking in a long chat of which another part is mounted, and a transcript that grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.long_chats import (
    CHAT,
    MOUNTED,
    focused,
    id_of,
    long_chat,
    rest,
    roomy,
)
from tests.tui.stored import add_turn

from llmchat_engine.testing import Script
from llmchat_tui.history import History
from llmchat_tui.messages import OpenChat
from llmchat_tui.widgets.question import QuestionView
from llmchat_tui.widgets.reply import ReplyView


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
            assert [message.text.partition("\n")[0] for message in reply] == [
                "message 397",
                "message 398",
                "A new answer.",
            ]
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
            if key == "e":
                await run.until(lambda: run.draft.startswith("message 40"), "the question")
                await run.press("enter")
            await run.until(lambda: run.chat.talk.leaf_id != id_of(99) and not run.chat.talk.running, "the reply")
            await rest(run)
            assert [view.text.partition("\n")[0] for view in run.transcript.views[-2:]] == [
                "message 40",
                "A new answer.",
            ]
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


def test_80_turns_leave_no_more_widgets_than_40(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("the first question")
            path = list(run.transcript._path)
            counts = []
            for number in range(80):
                ids = (f"q{number}", f"r{number}")
                await run.transcript.add(
                    QuestionView(f"question {number}", ids[0]), ReplyView(f"answer {number}", ids[1])
                )
                run.transcript.record(*ids)
                path += ids
                if number % 10 == 9:
                    await run.pilot.pause()
                    counts.append(len(list(run.app.screen.walk_children())))
            assert run.transcript._path == path
            assert len(run.transcript.views) <= MOUNTED
            assert max(counts[4:]) <= max(counts[:4])
            assert "answer 79" in run.text()

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
