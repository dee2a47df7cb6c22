"""What must never go wrong in the chat: words that vanish, replies under a wrong question, two programs on one chat."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play

from llmchat_engine import Event, Request
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.widgets.bars import ContextGauge, KeyBar


def questions(run: Chatting) -> list[str]:
    return [message.text for message in run.stored() if message.role == "user"]


def history_in_gauge(run: Chatting) -> int:
    """Returns what the gauge says of the history: words of the messages, and one more for each."""
    gauge = run.chat.query_one(ContextGauge).gauge
    return gauge.history if gauge else 0


def with_turns(home: Path, count: int) -> str:
    with History.open(home / "chats.db") as history:
        conversation_id = parent = ""
        for number in range(count):
            begun = history.begin(f"question {number}", conversation_id=conversation_id, parent_id=parent)
            conversation_id, parent = begun.conversation_id, begun.reply_id
            history.finish(parent, ReplyEnd(f"answer {number}", "complete"))
    return conversation_id


def test_enter_twice_asks_once(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.write("say hi")
            await run.press("enter", "enter")
            await run.until(lambda: len(run.replies()) == 1 and not run.chat.talk.running, "the reply")
            await run.settle()
            assert questions(run) == ["say hi"]
            assert run.draft == ""

    play(scene)


def test_what_was_refused_can_be_sent_again(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            for _ in range(2):
                before = len(run.notices())
                await run.write("/nonsense here")
                await run.press("enter")
                await run.until(lambda: len(run.notices()) > before or bool(before), "the reason")  # noqa: B023
            assert run.draft == "/nonsense here"
            await run.write("@/dev what is this")
            await run.press("enter", "enter")
            await run.until(lambda: run.draft == "@/dev what is this", "the words")
            assert not run.chat.talk.running

    play(scene)


def test_enter_and_a_new_chat_at_once_lose_no_draft(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            first = run.chat.talk
            await run.chat.show_new()
            await run.write("draft of the new chat")
            await run.chat.show_talk(first)
            await run.write("second")
            await run.press("enter", "ctrl+n")
            await run.until(lambda: run.chat.talk is not first and not first.running, "the new chat and the reply")
            await run.settle()
            assert run.draft == "draft of the new chat"
            await run.until(lambda: run.chat.keeper.draft(first.conversation_id) == "", "nothing left of what was sent")
            assert [m.text for m in run.history.messages(first.conversation_id) if m.role == "user"] == [
                "first",
                "second",
            ]

    play(scene)


@pytest.mark.parametrize("leave", ["escape", "enter", "switch"])
def test_an_edit_gives_the_draft_back(home: Path, leave: str) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            talk = run.chat.talk
            await run.write("my precious draft")
            run.transcript.focus_last()
            await run.press("k", "e")
            await run.until(lambda: run.draft == "first", "the question")
            if leave == "escape":
                await run.press("escape")
            elif leave == "enter":
                await run.press("enter")
            else:
                await run.chat.show_new()
                await run.chat.show_talk(talk)
            await run.until(lambda: run.draft == "my precious draft" and not talk.running, "the draft")
            assert run.chat.keeper.draft(talk.conversation_id) == "my precious draft"

    play(scene)


def test_an_older_question_is_answered_again_at_once(home: Path) -> None:
    chat = with_turns(home, 4)

    async def scene() -> None:
        async with chatting(home, "Another.", start=chat) as run:
            run.transcript.focus_last()
            for _ in range(3):
                await run.press("k")
            await run.press("r")
            await run.until(lambda: len(run.replies()) == 5, "the reply")
            await run.settle()
            path = [message.text for message in run.history.path(run.chat.talk.leaf_id)]
            assert path == ["question 0", "answer 0", "question 1", "answer 1", "question 2", "Another."]
            assert "answer 3" not in run.text()

    play(scene)


@pytest.mark.parametrize("text", ["/new idea: write a poem", "/exit strategy for my startup?", "/open nope", "/copy"])
def test_a_command_that_cannot_be_done_keeps_its_words(home: Path, text: str) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.write(text)
            await run.press("enter")
            await run.until(lambda: bool(run.notices()), "the reason")
            await asyncio.sleep(0.05)
            assert run.draft == text or text == "/copy"
            assert not run.app._exit

    play(scene)


def test_what_another_program_wrote_is_shown_before_a_question_follows_it(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            talk = run.chat.talk
            with History.open(home / "chats.db") as other:
                begun = other.begin("elsewhere", conversation_id=talk.conversation_id, parent_id=talk.leaf_id)
                other.finish(begun.reply_id, ReplyEnd("from elsewhere", "complete"))
            await run.write("second")
            await run.press("enter")
            await run.until(lambda: "from elsewhere" in run.text(), "the other's reply")
            assert run.draft == "second"
            await run.until(lambda: history_in_gauge(run) == 9, "a gauge that counts it")
            await run.press("enter")
            await run.until(lambda: questions(run) == ["first", "elsewhere", "second"], "the question")
            await run.until(lambda: not talk.running, "the reply")
            path = [message.text for message in run.history.path(talk.leaf_id)]
            assert path == ["first", "One.", "elsewhere", "from elsewhere", "second", "Two."]

    play(scene)


def test_a_chat_that_was_to_be_deleted_stays_when_it_is_opened(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.say("first")
            conversation_id = run.chat.talk.conversation_id
            await run.write("/delete")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == "", "a new chat")
            await run.write("/open first")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.conversation_id == conversation_id, "the chat")
            run.chat.keeper.close()
            assert run.history.conversation(conversation_id).title == "first"

    play(scene)


def test_an_attached_file_is_counted_and_the_title_is_the_users_words(home: Path) -> None:
    home.mkdir(parents=True)
    note = home / "note.txt"
    note.write_text("word " * 500)

    async def scene() -> None:
        async with chatting(home, "One.", size=(120, 30)) as run:
            await run.write(f"summarise @{note}")
            gauge = run.chat.query_one(ContextGauge)
            await run.until(lambda: gauge.gauge is not None and gauge.gauge.draft > 500, "the file in the gauge")
            await run.press("enter")
            await run.until(lambda: len(run.replies()) == 1, "the reply")
            assert run.history.conversation(run.chat.talk.conversation_id).title.startswith("summarise @")

    play(scene)


def test_a_failure_that_nobody_foresaw_ends_the_turn(home: Path) -> None:
    class Broken(FakeEngine):
        def generate(self, request: Request) -> Generator[Event, None, None]:
            raise ValueError("nobody foresaw this")
            yield

    async def scene() -> None:
        async with chatting(home, engine=Broken([Script()])) as run:
            await run.send("first")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.until(lambda: "the turn failed" in " ".join(run.text().split()), "the reason")
            assert questions(run) == ["first"]

    play(scene)


def test_escape_takes_the_queue_back_first_and_says_what_it_does(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("a b c d", hang_after=2), size=(80, 24)) as run:
            await run.send("first")
            await run.until(lambda: run.chat.query_one(KeyBar).stops, "the key")
            assert "Esc stop" in run.text()
            await run.send("second")
            await run.press("escape")
            await run.until(lambda: run.draft == "second", "the message back")
            assert run.chat.talk.running
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.until(lambda: "Esc back" in run.text(), "the other word")

    play(scene)


def test_chats_may_be_changed_faster_than_they_are_shown(home: Path) -> None:
    chat = with_turns(home, 6)

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            other = run.chat.talk
            new = [run.chat.talks.begin() for _ in range(3)]
            await asyncio.gather(*(run.chat.show_talk(talk) for talk in (new[0], other, new[1], other, new[2], other)))
            await run.settle()
            assert "answer 5" in run.text()

    play(scene)


def test_what_comes_while_the_chat_is_closed_finds_no_widget_and_needs_none(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.say("first")
        run.chat.refresh_lines()

    play(scene)
