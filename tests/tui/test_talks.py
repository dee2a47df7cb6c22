"""The open chats and their turns, each in its thread: what is told, what is on disk, what is handed back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmchat_engine import Engine, EngineDied, Event, Request, Sampling
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.errors import NotFound, StorageUnwritable, UserError
from llmchat_tui.events import Ended, Started
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.talks import Failed, News, Talk, Talks

LONG = " ".join(f"word{number}" for number in range(300))
PATIENCE = 20.0


@dataclass
class Gated(FakeEngine):
    """An engine that begins when it is let, may hear no cancel, and counts how often it was closed."""

    may_begin: threading.Event = field(default_factory=threading.Event)
    deaf: bool = False
    cancelled: list[str] = field(default_factory=list)
    closed: int = 0

    def prepare(self) -> None:
        assert self.may_begin.wait(PATIENCE)

    def cancel(self, request_id: str) -> None:
        self.cancelled.append(request_id)
        if not self.deaf:
            FakeEngine.cancel(self, request_id)

    def close(self) -> None:
        self.closed += 1


def gated(*scripts: Script | str, speed: float = 0.0, begins: bool = True, deaf: bool = False) -> Gated:
    made = Gated([Script(part) if isinstance(part, str) else part for part in scripts], speed, deaf=deaf)
    if begins:
        made.may_begin.set()
    return made


@dataclass
class Stage:
    """The talks of a test, the engines that they get in turn, and the news that nobody took yet."""

    history: History
    engines: list[Engine] = field(default_factory=list)
    settings: Sampling = field(default_factory=Sampling)
    news: queue.SimpleQueue[News] = field(default_factory=queue.SimpleQueue)
    talks: Talks = field(init=False)

    def __post_init__(self) -> None:
        self.talks = Talks(self.history, lambda: self.engines.pop(0), lambda: self.settings, self.news.put)

    def take(self) -> tuple[News, str]:
        """Settles the next news; returns them with the message that shall go out."""
        news = self.news.get(timeout=PATIENCE)
        return news, self.talks.settle(news)

    def take_until(self, kind: type) -> tuple[list[News], str]:
        """Settles up to the first news of a kind, in whichever chat."""
        seen = []
        while True:
            news, queued = self.take()
            seen.append(news)
            if isinstance(news.event, kind):
                return seen, queued

    def asked(self, question: str, *, talk: Talk | None = None, engine: Engine | None = None) -> Talk:
        """Asks and waits for the end."""
        talk = talk or self.talks.begin()
        self.engines.append(engine or gated(f"answer to {question}"))
        self.talks.ask(talk, question)
        self.take_until(Ended)
        return talk

    def stored(self, talk: Talk) -> list[StoredMessage]:
        return self.history.messages(talk.conversation_id)


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    assert made.talks.close(PATIENCE)


def test_a_turn_is_told_settled_and_on_disk(stage: Stage) -> None:
    engine = gated("Hello there.")
    stage.engines.append(engine)
    talk = stage.talks.begin("Be brief.", {"temperature": 0.25})
    stage.talks.ask(talk, "Hi")
    assert stage.talks.running() == [talk] and talk.conversation_id == ""
    seen, queued = stage.take_until(Ended)
    assert (type(seen[0].event), type(seen[-1].event), queued) == (Started, Ended, "")
    assert {news.key for news in seen} == {talk.key}
    question, reply = stage.stored(talk)
    assert (question.text, reply.text, reply.status) == ("Hi", "Hello there.", "complete")
    assert (talk.leaf_id, talk.running) == (reply.id, None)
    assert stage.history.conversation(talk.conversation_id).sampling == {"temperature": 0.25}
    assert stage.history.conversation(talk.conversation_id).system == "Be brief."
    assert engine.closed == 1


def test_the_next_question_follows_with_the_whole_path(stage: Stage) -> None:
    talk = stage.asked("one")
    engine = gated("two it is")
    stage.asked("two", talk=talk, engine=engine)
    assert [message.text for message in engine.requests[0].messages] == ["one", "answer to one", "two"]
    assert [message.parent_id == "" for message in stage.stored(talk)] == [True, False, False, False]


def test_again_puts_another_reply_beside_the_first(stage: Stage) -> None:
    talk = stage.asked("one")
    question, first = stage.stored(talk)
    stage.engines.append(gated("another"))
    stage.talks.again(talk, question)
    stage.take_until(Ended)
    *_, second = stage.stored(talk)
    assert (second.parent_id, second.text) == (first.parent_id, "another")
    assert talk.leaf_id == second.id and len(stage.stored(talk)) == 3


def test_an_edit_puts_another_question_beside_the_first(stage: Stage) -> None:
    talk = stage.asked("one")
    stage.asked("two", talk=talk)
    second = stage.stored(talk)[2]
    engine = gated("better")
    stage.engines.append(engine)
    stage.talks.edit(talk, second, "two, better")
    stage.take_until(Ended)
    edited = stage.stored(talk)[4]
    assert (edited.text, edited.parent_id) == ("two, better", second.parent_id)
    assert [message.text for message in engine.requests[0].messages] == ["one", "answer to one", "two, better"]


def test_the_first_question_can_be_edited(stage: Stage) -> None:
    talk = stage.asked("one")
    stage.engines.append(gated("fine"))
    stage.talks.edit(talk, stage.stored(talk)[0], "one, better")
    stage.take_until(Ended)
    assert [message.parent_id for message in stage.stored(talk) if message.role == "user"] == ["", ""]
    assert len(stage.history.conversations()) == 1


def test_one_turn_at_a_time_in_a_chat(stage: Stage) -> None:
    stage.engines += [gated("a", begins=False), gated("b")]
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    engine = talk.running and talk.running.engine
    with pytest.raises(RuntimeError, match="a turn runs"):
        stage.talks.ask(talk, "two")
    assert isinstance(engine, Gated)
    engine.may_begin.set()
    stage.take_until(Ended)


def test_two_chats_run_at_once_and_keep_apart(stage: Stage) -> None:
    first, second = stage.talks.begin(), stage.talks.begin()
    slow, quick = gated(LONG, begins=False), gated("quick")
    stage.engines += [slow, quick]
    stage.talks.ask(first, "slow?")
    stage.talks.ask(second, "quick?")
    seen, _ = stage.take_until(Ended)
    assert {news.key for news in seen} == {second.key}
    assert stage.talks.running() == [first]
    slow.may_begin.set()
    seen, _ = stage.take_until(Ended)
    assert {news.key for news in seen} == {first.key}
    assert [[m.text for m in stage.stored(talk)] for talk in (first, second)] == [["slow?", LONG], ["quick?", "quick"]]


@pytest.mark.parametrize(
    ("script", "end", "goes_out"),
    [
        (Script("fine"), Ended, True),
        (Script(LONG), Ended, True),
        (Script("a b c", crash_after=1), Failed, False),
        (Script(error=EngineDied("it died")), Failed, False),
    ],
    ids=["complete", "long", "crash", "refused"],
)
def test_a_queued_message_goes_out_only_after_a_whole_reply(
    stage: Stage, script: Script, end: type, goes_out: bool
) -> None:
    engine = gated(script, begins=False)
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    talk.queued = "two"
    engine.may_begin.set()
    _, queued = stage.take_until(end)
    assert (queued, talk.queued) == (("two", "") if goes_out else ("", "two"))


def test_a_stop_keeps_the_queued_message_and_what_came(stage: Stage) -> None:
    stage.engines.append(gated(Script(LONG, hang_after=3)))
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    talk.queued = "two"
    stage.take_until(Started)
    while stage.take()[0].event.__class__.__name__ != "Waiting":
        pass
    stage.talks.stop(talk)
    seen, queued = stage.take_until(Ended)
    assert isinstance(seen[-1].event, Ended) and seen[-1].event.finished.reason == "cancelled"
    assert (queued, talk.queued) == ("", "two")
    assert (stage.stored(talk)[1].status, stage.stored(talk)[1].text) == ("stopped", "word0 word1 word2")


def test_a_stop_before_the_thread_has_begun_is_heard(stage: Stage) -> None:
    engine = gated(LONG, begins=False)
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    stage.talks.stop(talk)
    wait_until(lambda: bool(engine.cancelled))
    engine.may_begin.set()
    seen, _ = stage.take_until(Ended)
    assert isinstance(seen[0].event, Started)
    assert (stage.stored(talk)[0].text, stage.stored(talk)[1].status) == ("one", "stopped")


def test_a_stop_does_not_wait_for_an_engine_that_blocks(stage: Stage) -> None:
    """A host that is stopped (SIGSTOP) takes nothing from its socket."""
    engine, entered, leave = gated(Script(LONG, hang_after=0)), threading.Event(), threading.Event()
    cancel = engine.cancel

    def block(request_id: str) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        cancel(request_id)

    engine.cancel = block  # type: ignore[method-assign]
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    stage.talks.stop(talk)
    assert entered.wait(PATIENCE) and talk.running
    leave.set()
    stage.take_until(Ended)


def test_a_stop_of_a_chat_that_rests_does_nothing(stage: Stage) -> None:
    stage.talks.stop(stage.asked("one"))
    assert stage.news.empty()


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


def test_news_of_a_chat_that_was_left_or_rests_change_nothing(stage: Stage) -> None:
    talk = stage.asked("one")
    before = (talk.leaf_id, talk.conversation_id)
    assert stage.talks.settle(News("nobody", Failed(UserError("x"), None))) == ""
    assert stage.talks.settle(News(talk.key, Failed(UserError("x"), None))) == ""
    assert (talk.leaf_id, talk.conversation_id) == before


def test_a_chat_is_open_once_and_left_only_when_it_rests(stage: Stage) -> None:
    talk = stage.asked("one")
    conversation = stage.history.conversation(talk.conversation_id)
    assert stage.talks.open(conversation) is talk
    stage.talks.leave(talk)
    assert stage.talks.get(talk.key) is None
    again = stage.talks.open(conversation)
    assert again is not talk
    assert (again.title, again.leaf_id) == (conversation.title, conversation.leaf_id)
    engine = gated("a", begins=False)
    stage.engines.append(engine)
    stage.talks.ask(again, "two")
    stage.talks.leave(again)
    assert stage.talks.of_conversation(conversation.id) is again
    engine.may_begin.set()
    stage.take_until(Ended)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({}, Sampling(temperature=0.5, top_k=7, stop=("x",))),
        ({"temperature": 0.0}, Sampling(temperature=0.0, top_k=7, stop=("x",))),
        ({"stop": ["a", "b"]}, Sampling(temperature=0.5, top_k=7, stop=("a", "b"))),
        ({"stop": []}, Sampling(temperature=0.5, top_k=7)),
        ({"top_k": None, "colour": "red"}, Sampling(temperature=0.5, stop=("x",))),
    ],
    ids=repr,
)
def test_a_chats_own_sampling_goes_over_the_settings(stage: Stage, own: dict[str, Any], wanted: Sampling) -> None:
    stage.settings = Sampling(temperature=0.5, top_k=7, stop=("x",))
    assert stage.talks.sampling_of(stage.talks.begin(sampling=own)) == wanted


def test_the_request_carries_the_chats_sampling_and_system(stage: Stage) -> None:
    engine = gated("fine")
    talk = stage.talks.begin("Be brief.", {"temperature": 0.25})
    stage.asked("one", talk=talk, engine=engine)
    (request,) = engine.requests
    assert request.sampling.temperature == 0.25
    assert [(message.role, message.text) for message in request.messages] == [("system", "Be brief."), ("user", "one")]


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


def wait_until(true: Callable[[], bool]) -> None:
    turn = threading.Event()
    for _ in range(2000):
        if true():
            return
        turn.wait(0.01)
    raise AssertionError("it did not come")


def test_a_history_in_memory_works_too(tmp_path: Path) -> None:
    with History.in_memory() as history:
        stage = Stage(history)
        talk = stage.asked("one")
        assert [message.text for message in stage.stored(talk)] == ["one", "answer to one"]
