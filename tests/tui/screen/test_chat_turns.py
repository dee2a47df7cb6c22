"""Asking in the chat: what is painted, what is on disk, and what can be done with a reply."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play

from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.history import History, ReplyEnd, ReplyStatus
from llmchat_tui.widgets.ending import statistics_of

LONG = " ".join(f"word{number}" for number in range(400))


def engine_of(run: Chatting) -> FakeEngine:
    assert isinstance(run.engine, FakeEngine)
    return run.engine


def test_a_reply_is_painted_recorded_and_measured(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Rome was **founded** in 753 BC.") as run:
            await run.say("When was Rome founded?")
            shown = run.text()
            assert "When was Rome founded?" in shown
            assert "Rome was founded in 753 BC." in shown
            assert "6 tokens" in shown and "first token" in shown and "cached" in shown
            (reply,) = run.replies()
            assert reply.text == "Rome was **founded** in 753 BC."
            assert reply.status == "complete"
            assert statistics_of(reply.stats) in " ".join(shown.split())
            assert run.chat.talk.leaf_id == reply.id

    play(scene)


def test_the_next_question_follows_the_reply(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            await run.say("second")
            said = [message.text for message in engine_of(run).requests[-1].messages]
            assert said == ["first", "One.", "second"]
            assert len({message.conversation_id for message in run.stored()}) == 1

    play(scene)


def test_escape_stops_and_keeps_what_came(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, LONG, speed=200) as run:
            await run.send("tell me")
            await run.until(lambda: "word" in run.text(), "some words")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            (reply,) = run.replies()
            assert reply.status == "stopped"
            assert reply.text and LONG.startswith(reply.text)
            assert "stopped" in run.text() and "r again" in run.text()

    play(scene)


def test_again_keeps_the_old_reply_on_disk(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            run.transcript.focus_last()
            await run.press("r")
            await run.until(lambda: len(run.replies()) == 2, "another reply")
            await run.settle()
            assert [reply.text for reply in run.replies()] == ["One.", "Two."]
            assert len({reply.parent_id for reply in run.replies()}) == 1
            assert "Two." in run.text() and "One." not in run.text()
            assert run.chat.talk.leaf_id == run.replies()[1].id

    play(scene)


def test_editing_asks_beside_the_old_question(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", "Three.") as run:
            await run.say("first")
            await run.say("second")
            run.transcript.focus_last()
            await run.press("k", "e")
            await run.until(lambda: run.draft == "second", "the question in the prompt")
            await run.say("second, better")
            questions = [message for message in run.stored() if message.role == "user"]
            assert [question.text for question in questions] == ["first", "second", "second, better"]
            assert questions[1].parent_id == questions[2].parent_id
            said = [message.text for message in engine_of(run).requests[-1].messages]
            assert said == ["first", "One.", "second, better"]
            assert "Three." in run.text() and "Two." not in run.text()

    play(scene)


def test_escape_leaves_an_edit_and_the_question_alone(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first")
            await run.write("/edit")
            await run.press("enter")
            await run.until(lambda: run.draft == "first", "the question")
            await run.press("escape")
            assert run.draft == ""
            await run.say("second")
            assert [m.text for m in engine_of(run).requests[-1].messages] == ["first", "One.", "second"]

    play(scene)


def test_one_message_is_queued_and_goes_out_when_the_reply_has_ended(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, LONG, "Two.", speed=1000) as run:
            await run.send("first")
            await run.send("second")
            await run.until(lambda: run.chat.talk.queued == "second" and "second" in run.text(), "the queue")
            await run.write("third")
            await run.press("enter")
            assert run.draft == "third"
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "both replies")
            await run.settle()
            assert [m.text for m in run.stored() if m.role == "user"] == ["first", "second"]
            assert run.draft == "third"
            assert run.chat.talk.queued == ""

    play(scene)


def test_a_stop_gives_the_queued_message_back(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, LONG, speed=200) as run:
            await run.send("first")
            await run.send("second")
            await run.write("third")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert run.draft == "second\n\nthird"
            assert [m.text for m in run.stored() if m.role == "user"] == ["first"]

    play(scene)


def test_a_reply_goes_on_while_another_chat_is_shown(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, LONG, "Two.", speed=800, size=(120, 30)) as run:
            await run.send("first")
            first = run.chat.talk
            await run.until(lambda: bool(first.conversation_id), "the question on disk")
            await run.press("ctrl+n")
            await run.until(lambda: run.chat.talk is not first, "a new chat")
            await run.until(lambda: "◌" in run.text(), "the mark")
            await run.say("second")
            await run.until(lambda: not first.running, "the end of the first")
            await run.until(lambda: first.unread and "●" in run.text(), "the other mark")
            assert [m.text for m in run.history.messages(first.conversation_id)] == ["first", LONG]
            await run.chat.show_talk(first)
            await run.settle()
            assert "word399" in run.text() and not first.unread

    play(scene)


def test_a_crash_of_the_engine_is_told_and_the_prompt_works_on(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("a b c d e", crash_after=3), "Fine.") as run:
            await run.say("first")
            assert run.replies()[0].status == "failed" and run.replies()[0].text == "a b c"
            shown = " ".join(run.text().split())
            assert "a b c" in shown and "the engine stopped (SIGSEGV)" in shown and "everything is saved" in shown
            await run.say("second")
            assert "Fine." in run.text()

    play(scene)


@pytest.mark.parametrize(
    ("status", "said"), [("interrupted", "was killed"), ("failed", "it broke"), ("stopped", "stopped")]
)
def test_partial_replies_are_shown_as_such_when_reopened(home: Path, status: ReplyStatus, said: str) -> None:
    with History.open(home / "chats.db") as history:
        begun = history.begin("hello")
        history.finish(begun.reply_id, ReplyEnd("half an ans", status, error="it broke"))

    async def scene() -> None:
        async with chatting(home, start=begun.conversation_id) as run:
            shown = " ".join(run.text().split())
            assert "half an ans" in shown and said in shown and "r again" in shown

    play(scene)


def test_a_question_that_cannot_be_recorded_stays_in_the_prompt(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageUnwritable("cannot write chats.db", "the disk is full", "make room")

    async def scene() -> None:
        async with chatting(home, "never") as run:
            monkeypatch.setattr(run.history, "begin", refuse)
            await run.write("precious words")
            await run.press("enter")
            await run.until(lambda: run.draft == "precious words" and not run.chat.talk.running, "the words back")
            await run.until(lambda: "the disk is full" in run.notices(), "the reason")
            assert not run.transcript.views
            assert engine_of(run).requests == []

    play(scene)


def test_long_replies_follow_the_bottom_only_while_the_user_is_there(home: Path) -> None:
    lines = "\n\n".join(f"line {number}" for number in range(120))

    async def scene() -> None:
        async with chatting(home, lines, speed=200) as run:
            await run.send("go")
            await run.until(lambda: run.transcript.max_scroll_y > 30, "some lines")
            assert run.transcript.is_vertical_scroll_end
            await run.press("pageup")
            await run.until(lambda: not run.transcript.is_vertical_scroll_end, "a page up")
            at = run.transcript.scroll_y
            before = run.transcript.max_scroll_y
            await run.until(lambda: run.transcript.max_scroll_y > before + 10, "more lines")
            assert run.transcript.scroll_y == at
            while not run.transcript.is_vertical_scroll_end:
                await run.press("pagedown")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert run.transcript.is_vertical_scroll_end

    play(scene)
