"""A reply of a server in time: waiting, stopping at any moment and from any thread, slow readers, several threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.engine.remote_rig import Stage, notices, question, said, stage
from tests.engine.rig import until
from tests.engine.scripted_server import DONE, Connection, Play, chunk, hanging, saying, streaming, usage, words

from llmchat_engine import RemoteUnreachable
from llmchat_engine.events import Answered, Event, Finished, Loaded, Notice, Token, Waiting
from llmchat_engine.remote import RemoteEngine
from llmchat_engine.remote.chunks import Piece
from llmchat_engine.remote.greeting import Greeting
from llmchat_engine.remote.http import Http
from llmchat_engine.remote.replies import Replies
from llmchat_engine.types import RemoteSpec, Request, Sampling


def stopped_at(on: Stage, request: Request, kind: type[Event], answer: int | None = None) -> Finished:
    """Runs a request, stops it from another thread at the first event of a kind, and returns its end."""
    for event in on.engine.generate(request):
        if isinstance(event, kind):
            thread = threading.Thread(target=on.engine.cancel, args=(request.id, answer))
            thread.start()
            thread.join()
        if isinstance(event, Finished):
            return event
    raise AssertionError("it had no end")


def test_waiting_is_told_while_nothing_comes() -> None:
    with stage(hanging()) as on:
        request = question()
        events = on.engine.generate(request)
        waited = [event for event, _ in zip(events, range(4), strict=False)]
        assert sum(isinstance(event, Waiting) for event in waited) >= 2
        events.close()


def test_a_stop_before_the_first_word() -> None:
    with stage(hanging()) as on:
        last = stopped_at(on, question(), Waiting)
        assert (last.reason, last.text) == ("cancelled", "")
        assert on.server.ended.wait(10)


def test_a_stop_while_it_writes_keeps_the_text_and_cuts_the_line() -> None:
    with stage(hanging(chunk("half "), chunk("of it"))) as on:
        last = stopped_at(on, question(), Token)
        assert last.reason == "cancelled"
        assert "half of it".startswith(last.text)
        assert last.text
        assert on.server.ended.wait(10)  # the server sees that nobody listens


def test_a_stop_before_it_began() -> None:
    with stage(saying("x")) as on:
        request = question()
        on.engine.cancel(request.id)
        events = list(on.engine.generate(request))
        assert isinstance(events[-1], Finished)
        assert (events[-1].reason, on.server.heard) == ("cancelled", [])


def test_a_stop_that_comes_too_late_holds_for_the_next_pass() -> None:
    with stage(saying("x"), hanging()) as on:
        request = question()
        assert stopped_at(on, request, Finished).reason == "eog"
        assert on.end(request).reason == "cancelled"
        assert len(on.server.heard) == 1


def test_closing_the_generator_cuts_the_line() -> None:
    with stage(hanging(chunk("a"))) as on:
        events = on.engine.generate(question())
        next(event for event in events if isinstance(event, Token))
        events.close()
        assert on.server.ended.wait(10)


def test_closed_at_loaded_nothing_was_asked() -> None:
    with stage(saying("x")) as on:
        request = question()
        events = on.engine.generate(request)
        next(event for event in events if isinstance(event, Loaded))
        events.close()
        assert on.server.heard == []
        assert on.end(request).text == "x"


def test_a_stop_while_a_busy_server_is_waited_for() -> None:
    def busy(connection: Connection) -> None:
        connection.head(503, "application/json", Retry_After="20")
        connection.send("{}")

    with stage(busy) as on:
        last = stopped_at(on, question(), Notice)
        assert (last.reason, len(on.server.heard)) == ("cancelled", 1)


def test_a_stop_while_the_greeting_waits() -> None:
    with stage(saying("x"), list_plays=[hanging()]) as on:
        assert stopped_at(on, question(), Waiting).reason == "cancelled"


def test_one_of_several_answers_is_stopped_and_the_others_go_on() -> None:
    gate = threading.Event()

    def play(connection: Connection) -> None:
        connection.head()
        connection.send(chunk("a", index=0) + chunk("b", index=1))
        gate.wait(10)
        connection.send(chunk("a", index=0) + chunk("b", index=1))
        connection.send(chunk(index=0, reason="stop") + chunk(index=1, reason="stop") + DONE)

    with stage(play) as on:
        request = question(answers=2)
        events = []
        for event in on.engine.generate(request):
            events.append(event)
            if isinstance(event, Token) and event.answer == 1:
                on.engine.cancel(request.id, 1)
            if isinstance(event, Answered) and event.index == 1:
                gate.set()
        last = events[-1]
        assert isinstance(last, Finished)
        assert [(one.text, one.reason) for one in last.answers] == [("aa", "eog"), ("b", "cancelled")]


def test_told_to_answer_ends_reasoning_that_is_no_thought() -> None:
    with stage(hanging(chunk("step one"))) as on:
        request = question(concludes=True)
        for event in on.engine.generate(request):
            if isinstance(event, Token):
                on.engine.conclude(request.id)
        assert isinstance(event, Finished)
        assert (event.reason, event.text) == ("concluded", "step one")


def test_told_to_answer_leaves_a_thought_and_says_so() -> None:
    gate = threading.Event()

    def play(connection: Connection) -> None:
        connection.head()
        connection.send(chunk(reasoning_content="hm"))
        gate.wait(10)
        connection.send(chunk("4") + chunk(reason="stop") + DONE)

    with stage(play) as on:
        request = question(concludes=True)
        events = []
        for event in on.engine.generate(request):
            events.append(event)
            if isinstance(event, Token) and event.thought:
                on.engine.conclude(request.id)
            if isinstance(event, Notice):
                gate.set()
        assert said(events) == "4"
        assert len(notices(events)) == 1


def test_a_slow_reader_gets_every_word() -> None:
    told = "".join(words(2000))
    with stage(streaming(*(chunk(word) for word in words(2000)), chunk(reason="stop"), usage(1, 2000), DONE)) as on:
        events = on.engine.generate(question())
        first = next(event for event in events if isinstance(event, Token))
        assert until(lambda: on.server.heard)
        rest = list(events)
        assert first.text + said(rest) == told


def test_words_that_came_together_are_one_event() -> None:
    replies = Replies(question())
    [event] = replies.take(Piece(0, word) for word in ("a ", "b ", "c"))
    assert isinstance(event, Token)
    assert (event.text, event.count) == ("a b c", 3)


def test_a_measure_is_answered_while_a_reply_streams() -> None:
    with stage(hanging(chunk("a")), ways={"/tokenize": {"count": 7}}) as on:
        events = on.engine.generate(question())
        next(event for event in events if isinstance(event, Token))
        assert on.engine.measure(question()).total == 7
        events.close()


def test_many_requests_at_once_each_get_their_own() -> None:
    def echo(connection: Connection) -> None:
        connection.head()
        connection.send(chunk(connection.heard.body["messages"][0]["content"]) + chunk(reason="stop") + DONE)

    with stage(echo) as on:
        found: dict[str, str] = {}

        def ask(text: str) -> None:
            found[text] = on.end(question(text)).text

        threads = [threading.Thread(target=ask, args=(f"number {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {f"number {number}": f"number {number}" for number in range(8)}


def test_an_engine_that_was_closed_can_be_asked_again() -> None:
    with stage(saying("x")) as on:
        on.end()
        on.engine.close()
        assert on.end().text == "x"


def test_prepare_asks_the_server_who_it_is_and_nothing_else() -> None:
    with stage(saying("x"), list_plays=[_models("one")]) as on:
        on.engine.prepare()
        loaded = next(event for event in on.engine.load() if isinstance(event, Loaded))
        assert (loaded.model.name, on.server.heard) == ("one", [])


def test_a_repeated_seed_counts_up_with_the_answers() -> None:
    with stage(saying("x")) as on:
        on.end(question(sampling=Sampling(seed=3), answers=3))
        assert [heard.body.get("seed") for heard in on.server.heard] == [3, 4, 5]


def test_a_list_of_models_is_waited_for_as_long_as_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    ask = Http.ask

    def noting(self: Http, url: str, body: Mapping[str, Any] | None = None, seconds: float = 0.0) -> Any:
        asked.append(seconds)
        return ask(self, url, body, seconds)

    monkeypatch.setattr(Http, "ask", noting)
    with stage(saying("x"), timeout=33.0) as on:
        on.end()
    assert asked == [33.0]


def _models(name: str) -> Play:
    def play(connection: Connection) -> None:
        connection.head(200, "application/json")
        connection.send(f'{{"data": [{{"id": "{name}"}}]}}')

    return play


def leaves(threads: Iterator[threading.Thread]) -> bool:
    """Returns whether no thread that reads a server is left."""
    return not any(thread.name == "remote" for thread in threads)


def test_no_thread_is_left() -> None:
    with stage(hanging(chunk("a"))) as on:
        stopped_at(on, question(), Token)
    assert until(lambda: leaves(iter(threading.enumerate())))


def test_a_stop_of_one_answer_says_nothing_of_the_next_pass() -> None:
    with stage(hanging(chunk("a", index=0) + chunk("b", index=1)), saying("second")) as on:
        request = question(answers=2)
        for event in on.engine.generate(request):
            if isinstance(event, Token):
                on.engine.cancel(request.id, 0)
                on.engine.cancel(request.id, 1)
        assert on.end(question(id=request.id)).text == "second"


def test_a_server_that_is_known_is_not_asked_who_it_is_until_it_fails() -> None:
    known: dict[RemoteSpec, Greeting] = {}
    with stage(saying("x"), streaming(), saying("y"), list_plays=[_models("one"), _models("two")]) as on:
        spec = RemoteSpec(on.server.url)
        for _ in range(2):
            with contextlib.suppress(RemoteUnreachable):
                list(RemoteEngine(spec, {}, known).generate(question()))
        assert [heard.body["model"] for heard in on.server.heard] == ["one", "one"]
        list(RemoteEngine(spec, {}, known).generate(question()))
        assert on.body["model"] == "two"
