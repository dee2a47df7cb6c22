"""What was written and not sent: kept per chat, over switching, leaving and failures, and never sent or shown twice."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.stored import add_turn

from llmchat_engine import EngineDied, Event, Finished, Request
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.history import History
from llmchat_tui.talk import Talk

HANGS = Script("a b c d", hang_after=2)


@pytest.fixture
def two(home: Path) -> Sequence[str]:
    """The ids of two chats."""
    with History.open(home / "chats.db") as history:
        return [add_turn(history, f"question {name}", "answer") for name in ("one", "two")]


async def open_chat(run: Chatting, conversation_id: str) -> None:
    await run.chat.show_talk(run.chat.talks.open(run.history.conversation(conversation_id)))
    await run.settle()


async def on_disk(run: Chatting, conversation_id: str, text: str) -> None:
    await run.until(lambda: run.history.draft(conversation_id) == text, f"the draft {text!r}")


def draft_of(home: Path, conversation_id: str) -> str:
    with History.open(home / "chats.db") as history:
        return history.draft(conversation_id)


def test_every_chat_has_a_draft_of_its_own(home: Path, two: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await run.write("new chat's")
            for name, chat in zip(("one's", "two's"), two, strict=True):
                await open_chat(run, chat)
                assert run.draft == ""
                await run.write(name)
            await open_chat(run, two[0])
            assert run.draft == "one's"
            await run.chat.show_new()
            assert run.draft == "new chat's"
            await open_chat(run, two[1])
            assert run.draft == "two's"

    play(scene)
    assert [draft_of(home, key) for key in (*two, "")] == ["one's", "two's", "new chat's"]


def test_a_draft_is_on_disk_a_moment_after_it_was_typed(home: Path, two: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, start=two[0]) as run:
            await run.press(*"abc")
            await on_disk(run, two[0], "abc")
            await run.press(*["backspace"] * 3)
            await on_disk(run, two[0], "")

    play(scene)


def test_a_draft_is_kept_at_the_end_and_there_again(home: Path, two: Sequence[str]) -> None:
    text = "line one\n\n  line two\twith 字 and [/x]\n" + "long line\n" * 40

    async def leaving() -> None:
        async with chatting(home, start=two[0]) as run:
            await run.write(text)

    async def coming_back() -> None:
        async with chatting(home, start=two[0]) as run:
            assert run.draft == text

    play(leaving)
    play(coming_back)


def test_the_draft_of_a_chat_that_was_never_begun_is_there_again(home: Path, two: Sequence[str]) -> None:
    async def leaving() -> None:
        async with chatting(home) as run:
            await run.write("a new one")

    async def looking_elsewhere() -> None:
        async with chatting(home, start=two[0]) as run:
            assert run.draft == ""

    async def coming_back() -> None:
        async with chatting(home) as run:
            assert run.draft == "a new one"

    play(leaving)
    play(looking_elsewhere)
    play(coming_back)


def test_a_key_right_before_another_chat_is_shown_is_for_the_first_one(home: Path, two: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, start=two[0]) as run:
            for number in range(5):
                await run.write(f"for one {number}")
                run.chat.run_worker(run.chat.show_new())
                await run.settle()
                assert run.draft == ""
                await open_chat(run, two[0])
                assert run.draft == f"for one {number}"

    play(scene)


def test_a_chat_that_goes_on_with_its_queued_message_in_the_background_is_shown_growing(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", Script("a b c d e", hang_after=3)) as run:
            engine = run.engine
            assert isinstance(engine, FakeEngine)
            engine.tokens_per_second = 4
            await run.send("first")
            talk = run.chat.talk
            await run.send("second")
            await run.chat.show_new()
            await run.until(lambda: len(engine.requests) == 2, "the queued message to go out")
            engine.tokens_per_second = 0
            await run.chat.show_talk(talk)
            await run.until(lambda: "a b c" in run.text(), "what comes")
            assert "another llmchat" not in run.text()

    play(scene)


def test_an_emptied_draft_stays_empty(home: Path, two: Sequence[str]) -> None:
    async def leaving() -> None:
        async with chatting(home, start=two[0]) as run:
            await run.write("old")
            await on_disk(run, two[0], "old")
            await run.write("")

    async def coming_back() -> None:
        async with chatting(home, start=two[0]) as run:
            assert run.draft == ""

    play(leaving)
    play(coming_back)


def test_what_was_sent_is_no_draft_any_more(home: Path, two: Sequence[str]) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            await run.write("sent in a new chat")
            await on_disk(run, "", "sent in a new chat")
            await run.press("enter")
            await run.until(lambda: len(run.replies()) == 1, "the reply")
            await on_disk(run, "", "")
            assert run.history.draft(run.chat.talk.conversation_id) == ""
            await run.say("and once more")
            await on_disk(run, run.chat.talk.conversation_id, "")

    play(scene)
    assert draft_of(home, "") == ""


def test_what_is_typed_while_a_reply_comes_stays(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("a b c", hang_after=1), "Fine.") as run:
            await run.send("first")
            await run.press(*"next")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert run.draft == "next"
            await on_disk(run, run.chat.talk.conversation_id, "next")

    play(scene)


def test_a_queued_message_is_a_draft_after_the_program_was_left(home: Path) -> None:
    chats: list[str] = []

    async def leaving() -> None:
        async with chatting(home, HANGS) as run:
            await run.send("first")
            await run.until(lambda: bool(run.chat.talk.conversation_id), "the question on disk")
            chats.append(run.chat.talk.conversation_id)
            await run.send("second")
            await run.write("third")

    async def coming_back() -> None:
        async with chatting(home, "Fine.", start=chats[0]) as run:
            assert run.draft == "second\n\nthird"
            assert run.chat.talk.queued == ""
            assert [reply.status for reply in run.replies()] == ["stopped"]

    play(leaving)
    play(coming_back)


async def queued_in_the_background(run: Chatting) -> Talk:
    """Leaves a chat in which a reply streams, a message is queued and another one is being written."""
    await run.send("first")
    talk = run.chat.talk
    await run.until(lambda: bool(talk.conversation_id), "the question on disk")
    await run.send("second")
    await run.until(lambda: talk.queued == "second", "the queue")
    await run.write("third")
    await run.chat.show_new()
    return talk


def test_a_queued_message_is_shown_once_when_its_chat_is_shown_again(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, HANGS) as run:
            talk = await queued_in_the_background(run)
            assert run.draft == ""
            await run.chat.show_talk(talk)
            assert (talk.queued, run.draft) == ("second", "third")
            await run.press("escape")
            await run.until(lambda: run.draft == "second\n\nthird", "the message back")
            assert talk.running
            await run.press("escape")
            await run.until(lambda: not talk.running, "the end")
            assert run.draft == "second\n\nthird"

    play(scene)


def test_a_draft_behind_a_queued_message_is_kept_when_the_program_is_left_from_another_chat(home: Path) -> None:
    chats: list[str] = []

    async def scene() -> None:
        async with chatting(home, HANGS) as run:
            chats.append((await queued_in_the_background(run)).conversation_id)

    play(scene)
    assert draft_of(home, chats[0]) == "second\n\nthird"


def test_a_queued_message_that_goes_out_in_the_background_leaves_the_draft(home: Path) -> None:
    async def scene() -> None:
        words = " ".join(f"word{number}" for number in range(60))
        async with chatting(home, words, "Two.", speed=150) as run:
            talk = await queued_in_the_background(run)
            chat = talk.conversation_id
            await run.until(lambda: len(run.history.messages(chat)) == 4 and not talk.running, "both replies")
            await run.settle()
            await run.chat.show_talk(talk)
            assert run.draft == "third" and talk.queued == ""
            assert [message.text for message in run.stored() if message.role == "user"] == ["first", "second"]

    play(scene)


def test_a_queued_message_of_a_reply_that_fails_in_the_background_is_a_draft(home: Path) -> None:
    async def scene() -> None:
        engine = Dies()
        async with chatting(home, engine=engine) as run:
            talk = await queued_in_the_background(run)
            engine.cancel(engine.requests[0].id)
            await run.until(lambda: not talk.running, "the end")
            await run.settle()
            await run.chat.show_talk(talk)
            assert (talk.queued, run.draft) == ("", "second\n\nthird")
            assert not run.chat.composer.query_one("#queued").has_class("-some")

    play(scene)


class Dies(FakeEngine):
    """An engine whose replies wait, and fail when they are stopped."""

    def __init__(self) -> None:
        super().__init__([Script("a b c", hang_after=1)])

    def generate(self, request: Request) -> Generator[Event, None, None]:
        for event in super().generate(request):
            if isinstance(event, Finished):
                raise EngineDied("the engine stopped (SIGKILL)")
            yield event


def test_a_failure_of_the_disk_is_told_and_the_draft_stays_in_the_prompt(
    home: Path, two: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageUnwritable("cannot write chats.db", "the disk is full")

    async def scene() -> None:
        async with chatting(home, start=two[0]) as run:
            keep = run.history.keep_draft
            monkeypatch.setattr(run.history, "keep_draft", refuse)
            await run.write("precious")
            await run.until(lambda: "the disk is full" in run.notices(), "the notice")
            assert run.draft == "precious"
            monkeypatch.setattr(run.history, "keep_draft", keep)
            await run.write("precious words")
            await on_disk(run, two[0], "precious words")

    play(scene)


def test_a_question_that_fails_in_the_background_is_a_draft_of_its_chat(
    home: Path, two: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was written there is lost: neither the question nor what was being written behind it."""

    async def scene() -> None:
        engine = Late()
        async with chatting(home, engine=engine, start=two[0]) as run:
            talk = run.chat.talk
            await run.send("precious")
            await run.write("behind it")
            await open_chat(run, two[1])
            await run.write("another")
            engine.may_fail()
            await run.until(lambda: not talk.running, "the failure")
            await run.settle()
            assert run.draft == "another"
            await open_chat(run, two[0])
            assert run.draft == "precious\n\nbehind it"

    play(scene)


class Late(FakeEngine):
    """An engine that takes its time to fail before a question is recorded; it loads for the presence."""

    def __init__(self) -> None:
        import threading

        super().__init__()
        self._gate = threading.Event()

    def may_fail(self) -> None:
        self._gate.set()

    def prepare(self) -> None:
        assert self._gate.wait(15)
        raise EngineDied("no host could be started")


def test_a_failure_before_an_edited_question_is_recorded_changes_nothing(home: Path, two: Sequence[str]) -> None:
    """The old question and its answer are still there, and the next message follows what is shown."""

    async def scene() -> None:
        engine = Late()
        async with chatting(home, engine=engine, start=two[0]) as run:
            before = [view.text for view in run.transcript.views]
            await run.write("/edit")
            await run.press("enter")
            await run.until(lambda: run.draft == "question one", "the question")
            await run.write("question one, better")
            await run.press("enter")
            engine.may_fail()
            await run.until(lambda: not run.chat.talk.running and run.draft != "", "the failure")
            await run.settle()
            assert run.draft == "question one, better"
            assert [view.text for view in run.transcript.views] == before
            assert [message.text for message in run.stored()] == before

    play(scene)


def test_a_failure_before_another_answer_is_begun_changes_nothing(home: Path, two: Sequence[str]) -> None:
    async def scene() -> None:
        engine = Late()
        async with chatting(home, engine=engine, start=two[0]) as run:
            before = [view.text for view in run.transcript.views]
            run.transcript.focus_last()
            await run.press("r")
            await run.until(lambda: run.chat.talk.running is not None, "the turn")
            engine.may_fail()
            await run.until(lambda: not run.chat.talk.running, "the failure")
            await run.settle()
            assert run.draft == ""
            assert [view.text for view in run.transcript.views] == before

    play(scene)


def test_an_attachment_that_cannot_be_read_leaves_the_message_in_the_prompt(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "never") as run:
            binary = home / "image.bin"
            binary.write_bytes(bytes(range(256)) * 64)
            await run.write(f"what is @{binary}")
            await run.press("enter")
            await run.until(lambda: bool(run.notices()), "the reason")
            assert run.draft == f"what is @{binary}"
            assert isinstance(run.engine, FakeEngine) and run.engine.requests == []

    play(scene)
