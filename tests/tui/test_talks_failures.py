"""What fails in a turn, before and after its question is on disk, and how the chats are closed."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest
from tests.tui.talk_stage import LONG, PATIENCE, Stage, gated

from llmchat_engine import Engine, EngineDied, Event, Request, Sampling
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.errors import NotFound, StorageUnwritable, UserError
from llmchat_tui.events import Ended, Started
from llmchat_tui.history import History
from llmchat_tui.talk import Failed
from llmchat_tui.talks import Talks


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    assert made.talks.close(PATIENCE)


def test_a_stop_does_not_wait_for_an_engine_that_blocks(stage: Stage) -> None:
    """A host that is stopped (SIGSTOP) takes nothing from its socket."""
    engine, entered, leave = gated(Script(LONG, hang_after=0)), threading.Event(), threading.Event()
    cancel = engine.cancel

    def block(request_id: str, answer: int | None = None) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        cancel(request_id, answer)

    engine.cancel = block  # type: ignore[method-assign]
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    stage.talks.stop(talk)
    assert entered.wait(PATIENCE) and talk.running
    leave.set()
    stage.take_until(Ended)


class Unprepared(FakeEngine):
    def prepare(self) -> None:
        raise EngineDied("no host", "scripted", "try again")


def test_a_failure_before_the_question_is_recorded_leaves_nothing(stage: Stage) -> None:
    stage.engines.append(Unprepared())
    talk = stage.talks.begin()
    stage.talks.ask(talk, "precious")
    assert talk.running and talk.running.question == "precious"
    (news,), queued = stage.take_until(Failed)
    assert isinstance(news.event, Failed) and news.event.begun is None and queued == ""
    assert stage.talks.running() == [] and (talk.conversation_id, talk.leaf_id) == ("", "")
    assert stage.history.conversations() == []


def test_a_disk_that_is_full_is_told_before_anything_is_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageUnwritable("cannot write chats.db", "the disk is full")

    monkeypatch.setattr(stage.history, "begin", refuse)
    engine = gated("never")
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "precious")
    (news,), _ = stage.take_until(Failed)
    assert isinstance(news.event, Failed) and isinstance(news.event.error, StorageUnwritable)
    assert (engine.requests, engine.closed) == ([], 1)


def test_a_chat_that_was_deleted_elsewhere_is_told(stage: Stage) -> None:
    talk = stage.asked("one")
    stage.history.delete(talk.conversation_id)
    stage.engines.append(gated("never"))
    stage.talks.ask(talk, "two")
    (news,), _ = stage.take_until(Failed)
    assert isinstance(news.event, Failed) and isinstance(news.event.error, NotFound) and news.event.begun is None


def test_a_failure_on_the_way_keeps_what_came(stage: Stage) -> None:
    stage.engines.append(gated(Script("a b c d", crash_after=2)))
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    seen, _ = stage.take_until(Failed)
    failed = seen[-1].event
    assert isinstance(failed, Failed) and failed.begun is not None
    reply = stage.stored(talk)[1]
    assert (reply.id, reply.status, reply.text) == (failed.begun.reply_id, "failed", "a b")
    assert talk.leaf_id == reply.id
    stage.asked("two", talk=talk)
    assert [message.status for message in stage.stored(talk)] == ["complete", "failed", "complete", "complete"]


def test_an_engine_that_cannot_be_made_raises_and_nothing_runs(history: History) -> None:
    def refuse() -> Engine:
        raise UserError("there is no model yet")

    talks = Talks(history, refuse, Sampling, lambda news: None)
    talk = talks.begin()
    with pytest.raises(UserError, match="no model"):
        talks.ask(talk, "one")
    assert talk.running is None and talks.running() == []


def test_close_stops_every_turn_and_waits_for_the_disk(history: History) -> None:
    stage = Stage(history, [gated(Script(LONG, hang_after=2)), gated(Script(LONG, hang_after=5))])
    talks = [stage.talks.begin(), stage.talks.begin()]
    for number, talk in enumerate(talks):
        stage.talks.ask(talk, f"question {number}")
        stage.take_until(Started)
    assert stage.talks.close(PATIENCE)
    replies = [stage.stored(talk)[1] for talk in talks]
    assert [reply.status for reply in replies] == ["stopped", "stopped"]
    assert all(LONG.startswith(reply.text) for reply in replies)


def test_close_does_not_wait_for_ever_for_an_engine_that_is_deaf(history: History) -> None:
    engine = gated(Script(LONG, hang_after=0), deaf=True)
    stage = Stage(history, [engine])
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    stage.take_until(Started)
    assert not stage.talks.close(0.05)
    FakeEngine.cancel(engine, engine.cancelled[0])
    assert stage.talks.close(PATIENCE)


def test_close_with_nothing_running_is_at_once_and_can_be_repeated(history: History) -> None:
    talks = Stage(history).talks
    assert talks.close(0) and talks.close(0)


class Hostile(FakeEngine):
    """Fails with words that a terminal would obey."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        yield from ()
        raise EngineDied("\x1b]0;x\x07 [/x]")


def test_the_words_of_a_failure_come_as_they_are(stage: Stage) -> None:
    stage.engines.append(Hostile())
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    seen, _ = stage.take_until(Failed)
    assert isinstance(seen[-1].event, Failed)
    assert seen[-1].event.error.what == "\x1b]0;x\x07 [/x]"
    assert stage.stored(talk)[1].error
