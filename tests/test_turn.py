"""One turn, headless: what is on disk when, whatever ends it. Engines that play scripts, and a database on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from llmchat_engine import EngineDied, Event, Finished, Loaded, Message, Notice, Request, Sampling, Token, Waiting
from llmchat_engine.connection import TICK
from llmchat_engine.events import nothing_generated
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.errors import StorageError
from llmchat_tui.events import Ended, Started
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.turn import Turn, compose, run

MAY_BE_BEHIND = 0.5


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@pytest.fixture
def history(database: Path) -> Iterator[History]:
    with History.open(database) as history:
        yield history


def on_disk(database: Path) -> list[StoredMessage]:
    """Reads the newest chat with a connection of its own, as another process would."""
    with History.open(database) as other:
        newest = other.latest()
        return other.messages(newest.id) if newest else []


@dataclass
class Looking(FakeEngine):
    """Looks into the database when it is asked."""

    database: Path = Path()
    seen: list[StoredMessage] = field(default_factory=list)

    def generate(self, request: Request) -> Generator[Event, None, None]:
        self.seen = on_disk(self.database)
        yield from super().generate(request)


@dataclass
class Given(FakeEngine):
    """Yields the events it was given; a number waits so many seconds."""

    events: tuple[Event | float, ...] = ()

    def generate(self, request: Request) -> Generator[Event, None, None]:
        for event in self.events:
            if isinstance(event, float):
                time.sleep(event)
            else:
                yield event


def test_the_question_is_on_disk_before_the_engine_is_asked(history: History, database: Path) -> None:
    engine = Looking(database=database)
    events = run(Turn("Where is the tower?"), engine, history)
    assert isinstance(next(events), Started)
    assert engine.requests == []
    assert [message.text for message in on_disk(database)] == ["Where is the tower?", ""]
    list(events)
    assert [(message.text, message.status) for message in engine.seen] == [
        ("Where is the tower?", "complete"),
        ("", "streaming"),
    ]


def test_a_question_that_cannot_be_kept_is_not_asked(database: Path) -> None:
    engine = FakeEngine()
    with History.open(database) as history:
        pass
    with pytest.raises(StorageError):
        list(run(Turn("hi"), engine, history))
    assert engine.requests == []


def test_a_complete_reply_can_be_played_again(history: History) -> None:
    sampling = Sampling(temperature=0.5, seed=7, stop=("END",))
    *_, last = run(Turn("hi", sampling=sampling), FakeEngine([Script("One two.")]), history)
    assert isinstance(last, Ended)
    question, reply = history.path(last.begun.reply_id)
    assert (question.text, reply.text, reply.status, reply.error) == ("hi", "One two.", "complete", "")
    assert (reply.token_ids, reply.model_key) == ((0, 1), FAKE_MODEL.key)
    kept = reply.settings
    assert kept["sampling"]["seed"] == 7
    assert msgspec.convert(kept["sampling"], Sampling) == sampling
    assert {"model", "model_key", "template_key", "n_ctx", "sampling", "build", "system", "raw"} == kept.keys()
    assert (kept["model_key"], kept["template_key"], kept["n_ctx"]) == (FAKE_MODEL.key, FAKE_MODEL.template_key, 2048)
    assert (reply.stats["reason"], reply.stats["reply_tokens"]) == ("eog", 2)


def test_the_events_of_the_engine_are_passed_on_in_order(history: History) -> None:
    events = list(run(Turn("hi"), FakeEngine([Script("a b", notice="no template")]), history))
    assert [type(event).__name__ for event in events] == [
        "Started", "Loading", "Loaded", "Notice", "Prefill", "Token", "Token", "Ended",
    ]  # fmt: skip
    assert Notice("no template") in events
    assert not any(isinstance(event, Finished) for event in events)


def test_text_that_came_before_a_hang_is_on_disk_within_half_a_second(history: History, database: Path) -> None:
    events = run(Turn("hi"), FakeEngine([Script("one two three", hang_after=2)]), history)
    while not isinstance(event := next(events), Token) or event.text != " two":
        pass
    deadline = time.monotonic() + MAY_BE_BEHIND
    while time.monotonic() < deadline:
        next(events)
    assert [(message.text, message.status) for message in on_disk(database)][1:] == [("one two", "streaming")]
    events.close()


@pytest.mark.parametrize("before", [0.01, 0.05, 0.3], ids="after {} s".format)
def test_the_ticks_of_the_real_engine_are_enough(history: History, database: Path, before: float) -> None:
    """Whenever a token falls between two ticks, it is on disk within half a second."""
    ticks: tuple[Event | float, ...] = (TICK, Waiting()) * 6
    engine = Given(events=(Loaded(FAKE_MODEL, 0.0), before, Token("one"), *ticks))
    events = run(Turn("hi"), engine, history)
    while not isinstance(next(events), Token):
        pass
    came = time.monotonic()
    while on_disk(database)[1].text != "one":
        next(events)
    assert time.monotonic() - came < MAY_BE_BEHIND
    events.close()


def test_a_crash_keeps_the_text_and_is_raised(history: History, database: Path) -> None:
    with pytest.raises(EngineDied):
        list(run(Turn("hi"), FakeEngine([Script("one two three", crash_after=2)]), history))
    _, reply = on_disk(database)
    assert (reply.text, reply.status) == ("one two", "failed")
    assert "SIGSEGV" in reply.error


def test_the_turn_after_a_crash_works(history: History) -> None:
    engine = FakeEngine([Script("one", crash_after=0), Script("two")])
    with pytest.raises(EngineDied):
        list(run(Turn("hi"), engine, history))
    *_, last = run(Turn("again"), engine, history)
    assert isinstance(last, Ended)
    assert history.path(last.begun.reply_id)[-1].text == "two"


def test_closing_the_turn_stops_it(history: History, database: Path) -> None:
    engine = FakeEngine([Script("one two three")])
    events = run(Turn("hi"), engine, history)
    while not isinstance(next(events), Token):
        pass
    events.close()
    _, reply = on_disk(database)
    assert (reply.text, reply.status) == ("one", "stopped")


def test_closing_the_turn_closes_the_engines_generator(history: History) -> None:
    closed = threading.Event()

    class Watched(FakeEngine):
        def generate(self, request: Request) -> Generator[Event, None, None]:
            try:
                yield from super().generate(request)
            finally:
                closed.set()

    events = run(Turn("hi"), Watched(), history)
    while not isinstance(next(events), Token):
        pass
    assert not closed.is_set()
    events.close()
    assert closed.is_set()


def test_cancel_stops_it(history: History) -> None:
    engine = FakeEngine([Script("one two three", hang_after=2)])
    turn = Turn("hi")
    reply_id = ""
    for event in run(turn, engine, history):
        if isinstance(event, Waiting):
            engine.cancel(turn.request_id)
        if isinstance(event, Ended):
            reply_id = event.begun.reply_id
            assert event.finished.reason == "cancelled"
    reply = history.path(reply_id)[-1]
    assert (reply.text, reply.status, reply.token_ids) == ("one two", "stopped", (0, 1))


def test_a_turn_that_is_stopped_while_the_model_loads_ends_too(history: History) -> None:
    turn = Turn("hi")
    engine = Given(events=(nothing_generated(Request((Message("user", "hi"),))),))
    *_, last = run(turn, engine, history)
    assert isinstance(last, Ended)
    assert last.model is None
    reply = history.path(last.begun.reply_id)[-1]
    assert (reply.text, reply.status, reply.model_key) == ("", "stopped", "")


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()], ids=repr)
def test_an_exception_of_the_consumer_is_recorded(history: History, database: Path, error: BaseException) -> None:
    events = run(Turn("hi"), FakeEngine([Script("one two three")]), history)
    while not isinstance(next(events), Token):
        pass
    with pytest.raises(type(error)):
        events.throw(error)
    _, reply = on_disk(database)
    assert (reply.text, reply.status) == ("one", "stopped")


def test_a_second_turn_follows_the_first(history: History) -> None:
    engine = FakeEngine([Script("Paris."), Script("330 m.")])
    *_, first = run(Turn("Where?", system="Be brief."), engine, history)
    assert isinstance(first, Ended)
    path = history.path(first.begun.reply_id)
    chat = first.begun.conversation_id
    *_, second = run(Turn("How high?", path, chat, system="Be brief."), engine, history)
    assert isinstance(second, Ended)
    assert second.begun.conversation_id == chat
    assert [m.text for m in history.path(second.begun.reply_id)] == ["Where?", "Paris.", "How high?", "330 m."]
    assert engine.requests[1].messages == (
        Message("system", "Be brief."),
        Message("user", "Where?"),
        Message("assistant", "Paris.", (0,), FAKE_MODEL.key),
        Message("user", "How high?"),
    )
    assert history.conversation(chat).system == "Be brief."


def test_the_request_says_what_the_turn_says(history: History) -> None:
    engine = FakeEngine()
    turn = Turn("hi", raw=True, private=True, sampling=Sampling(top_k=3))
    list(run(turn, engine, history))
    (request,) = engine.requests
    assert (request.raw, request.private, request.sampling.top_k, request.id) == (True, True, 3, turn.request_id)


def test_compose_leaves_out_replies_without_a_word(history: History) -> None:
    with pytest.raises(EngineDied):
        list(run(Turn("first"), FakeEngine([Script("x", crash_after=0)]), history))
    newest = history.latest()
    assert newest is not None
    earlier = history.path(newest.leaf_id)
    assert [message.role for message in earlier] == ["user", "assistant"]
    assert compose("", earlier, "second") == (Message("user", "first"), Message("user", "second"))
    assert compose("s", (), "q") == (Message("system", "s"), Message("user", "q"))


def test_an_empty_reply_is_complete(history: History) -> None:
    *_, last = run(Turn("hi"), FakeEngine([Script("")]), history)
    assert isinstance(last, Ended)
    assert history.path(last.begun.reply_id)[-1].status == "complete"
