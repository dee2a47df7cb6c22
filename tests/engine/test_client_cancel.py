"""Stopping: in decode, in prefill, while waiting, before it began; and two clients that cannot stop each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask, end_of, lasting_question, question

from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Event, Finished, Loaded, Prefill, Queued, Token, Waiting
from llmchat_engine.types import Request

Events = Generator[Event, None, None]


@pytest.fixture
def slow(start: StartEngine, slow_chat: Path) -> LocalEngine:
    """An engine whose reply takes more than a second, loaded."""
    engine = start(slow_chat)
    for _ in engine.load():
        pass
    return engine


def up_to(events: Events, kind: type[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))


def long_prompt() -> Request:
    """Returns a request whose prefill alone takes seconds."""
    return question("a b " * 1500)


def stopped_within(engine: LocalEngine, request: Request, events: Events) -> tuple[float, Finished]:
    """Cancels from another thread; returns how long the end took to come, and the end."""
    began = time.monotonic()
    thread = threading.Thread(target=engine.cancel, args=(request.id,))
    thread.start()
    *_, last = events
    thread.join()
    assert isinstance(last, Finished)
    return time.monotonic() - began, last


def test_stop_in_decode(slow: LocalEngine) -> None:
    request = lasting_question(None)
    events = slow.generate(request)
    said = up_to(events, Token)
    assert isinstance(said, Token)
    seconds, last = stopped_within(slow, request, events)
    assert seconds < 0.2
    assert last.reason == "cancelled"
    assert last.text.startswith(said.text)
    assert 0 < last.reply_tokens < 500


def test_stop_in_prefill(slow: LocalEngine) -> None:
    request = long_prompt()
    events = slow.generate(request)
    up_to(events, Prefill)
    seconds, last = stopped_within(slow, request, events)
    assert seconds < 1.0
    assert (last.reason, last.text, last.reply_tokens) == ("cancelled", "", 0)
    assert last.prefilled_tokens < last.prompt_tokens
    assert ask(slow).reply_tokens > 0


def test_what_a_stopped_prefill_computed_is_not_lost(slow: LocalEngine) -> None:
    request = long_prompt()
    events = slow.generate(request)
    assert any(isinstance(event, Prefill) and event.done >= 512 for event in events)
    stopped_within(slow, request, events)
    events = slow.generate(long_prompt())
    again = up_to(events, Prefill)
    assert isinstance(again, Prefill)
    assert again.cached >= 512
    events.close()


def test_stop_before_it_began(slow: LocalEngine) -> None:
    request = lasting_question()
    slow.cancel(request.id)
    last = end_of(slow.generate(request))
    assert (last.reason, last.prompt_tokens) == ("cancelled", 0)
    assert end_of(slow.generate(question("hello"))).reason != "cancelled"


def test_stop_while_the_model_loads(start: StartEngine, slow_chat: Path) -> None:
    engine, request = start(slow_chat), lasting_question()
    events = engine.generate(request)
    next(events)
    engine.cancel(request.id)
    last = end_of([Waiting(), *events])
    assert last.reason == "cancelled"
    assert ask(engine).reply_tokens > 0


def test_closing_the_generator_stops_the_model(slow: LocalEngine) -> None:
    events = slow.generate(lasting_question(None))
    up_to(events, Token)
    events.close()
    began = time.monotonic()
    assert ask(slow, max_tokens=1).reply_tokens == 1
    assert time.monotonic() - began < 0.3


def test_stopping_a_request_that_is_over_stops_no_other(slow: LocalEngine) -> None:
    first, second = question("hello"), lasting_question(100)
    end_of(slow.generate(first))
    events = slow.generate(second)
    up_to(events, Token)
    slow.cancel(first.id)
    slow.cancel("unheard of")
    *_, last = events
    assert isinstance(last, Finished)
    assert last.reason == "max_tokens"


def test_two_clients_are_served_in_order_and_told_so(slow: LocalEngine, start: StartEngine, slow_chat: Path) -> None:
    other = start(slow_chat)
    for _ in other.load():
        pass
    running = slow.generate(lasting_question(300))
    up_to(running, Token)
    waiting = other.generate(question("hello"))
    assert up_to(waiting, Queued) == Queued(1)
    first = list(running)[-1]
    second = list(waiting)[-1]
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert (first.reason, second.reason) == ("max_tokens", "max_tokens")
    assert first.reply_tokens == 300


def test_a_client_that_stops_its_waiting_request_leaves_the_running_one(
    slow: LocalEngine, start: StartEngine, slow_chat: Path
) -> None:
    other, request = start(slow_chat), question("hello")
    running = slow.generate(lasting_question(300))
    up_to(running, Token)
    waiting = other.generate(request)
    up_to(waiting, Queued)
    seconds, last = stopped_within(other, request, waiting)
    assert seconds < 0.2
    assert last.reason == "cancelled"
    *_, end = running
    assert isinstance(end, Finished)
    assert (end.reason, end.reply_tokens) == ("max_tokens", 300)


def test_a_client_cannot_stop_anothers_request(slow: LocalEngine, start: StartEngine, slow_chat: Path) -> None:
    other, request = start(slow_chat), lasting_question(300)
    for _ in other.load():
        pass
    running = slow.generate(request)
    up_to(running, Token)
    other.cancel(request.id)
    other.close()
    *_, end = running
    assert isinstance(end, Finished)
    assert end.reason == "max_tokens"


def test_a_cancel_at_any_moment_ends_the_request(start: StartEngine) -> None:
    engine = start()
    ask(engine)
    for delay in range(60):
        request = question("hello there", max_tokens=None, seed=delay)
        timer = threading.Timer(delay * 0.0002, engine.cancel, (request.id,))
        timer.start()
        last = end_of(engine.generate(request))
        timer.join()
        assert last.reason in ("cancelled", "eog", "context")
    assert end_of(engine.generate(question("hello", max_tokens=2))).reason == "max_tokens"


def test_a_joined_host_says_loaded_first(slow: LocalEngine, start: StartEngine, slow_chat: Path) -> None:
    first = next(iter(start(slow_chat).generate(question("hello"))))
    assert isinstance(first, Loaded)
    assert first.seconds == 0.0


def test_a_cancel_that_comes_before_anything_was_sent_still_holds(engine: LocalEngine) -> None:
    asked = question("hello")
    events = engine.generate(asked)
    assert any(isinstance(event, Loaded) for event in events)
    engine.cancel(asked.id)
    events.close()
    assert end_of(engine.generate(asked)).reason == "cancelled"
    assert end_of(engine.generate(asked)).reason != "cancelled"


def test_a_cancel_that_comes_too_late_holds_for_the_next_pass(engine: LocalEngine) -> None:
    asked = question("hello")
    for event in engine.generate(asked):
        if isinstance(event, Finished):
            engine.cancel(asked.id)
    assert end_of(engine.generate(asked)).reason == "cancelled"
    assert end_of(engine.generate(asked)).reason != "cancelled"
