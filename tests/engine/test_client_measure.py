"""Measuring while the model works: answered at once, right to the token, and in nobody's way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import ask, end_of, freeze, lasting_question, only_host, question, until
from tests.engine.test_host_server import raw_client
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine import protocol
from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import ContextFull, EngineDied, TemplateError
from llmchat_engine.events import Event, Finished, Loaded, Measured, Prefill, Token
from llmchat_engine.launch import Places
from llmchat_engine.types import Message, Request, Sampling


@pytest.fixture
def slow(start: StartEngine, slow_chat: Path) -> LocalEngine:
    """An engine whose reply takes seconds, loaded."""
    engine = start(slow_chat)
    for _ in engine.load():
        pass
    return engine


def streaming(engine: LocalEngine, request: Request) -> Generator[Event, None, None]:
    """Returns the events of a reply from its second token on."""
    events = engine.generate(request)
    assert any(isinstance(event, Token) for event in events)
    return events


def chat(engine: LocalEngine, draft: str) -> Request:
    """Returns a chat of a few turns and a draft."""
    *_, loaded = engine.load()
    assert isinstance(loaded, Loaded)
    path = [Message("system", "be brief")]
    for number in range(3):
        path.append(Message("user", f"question {number}"))
        finished = end_of(engine.generate(Request(tuple(path), Sampling(temperature=0.0, max_tokens=5))))
        path.append(Message("assistant", finished.text, finished.token_ids, loaded.model.key))
    return Request((*path, Message("user", draft)), Sampling(temperature=0.0, max_tokens=1))


def test_measure_render_and_generate_agree(engine: LocalEngine) -> None:
    request = chat(engine, "and <|im_end|> then?")
    measured = engine.measure(request)
    assert measured.total == len(engine.render(request).token_ids)
    assert measured.total == end_of(engine.generate(request)).prompt_tokens
    assert measured.n_ctx == 2048


def test_a_prompt_that_does_not_fit_is_measured(engine: LocalEngine) -> None:
    request = question("a b " * 3000)
    with pytest.raises(ContextFull) as caught:
        list(engine.generate(request))
    assert engine.measure(request).total == caught.value.prompt_tokens


def test_measures_are_answered_while_a_reply_streams(slow: LocalEngine) -> None:
    alone = slow.measure(question("hello"))
    events = streaming(slow, lasting_question(600))
    began = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        found = [beside.submit(slow.measure, question("hello")).result() for _ in range(20)]
        slowest = (time.monotonic() - began) / 20
    assert found == [alone] * 20
    assert sum(isinstance(event, Token) for event in events) > 5
    assert time.monotonic() - began > 5 * slowest
    assert slowest < 0.1


def test_a_measure_is_answered_during_a_prefill(slow: LocalEngine) -> None:
    events = slow.generate(question("a b " * 1500))
    assert any(isinstance(event, Prefill) for event in events)
    began = time.monotonic()
    assert slow.measure(question("hello")).total > 0
    assert slow.tokenize("hello")
    assert slow.render(question("hello")).text
    assert time.monotonic() - began < 0.5
    assert any(isinstance(event, Prefill) for event in events)
    events.close()


def test_a_stop_is_not_delayed_by_measures(slow: LocalEngine) -> None:
    request, ended = lasting_question(None), threading.Event()
    events = streaming(slow, request)
    draft = question("a b " * 1500)

    def measure_on() -> int:
        return sum(slow.measure(draft).total > 0 for _ in iter(ended.is_set, True))

    with ThreadPoolExecutor(1) as beside:
        counted = beside.submit(measure_on)
        next(events)
        began = time.monotonic()
        slow.cancel(request.id)
        *_, last = events
        seconds = time.monotonic() - began
        ended.set()
        assert counted.result() > 0
    assert isinstance(last, Finished)
    assert last.reason == "cancelled"
    assert seconds < 0.2


def test_fifty_measures_at_once_are_all_answered(slow: LocalEngine) -> None:
    drafts = ["word " * count for count in range(1, 51)]
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda draft: slow.measure(question(draft)), drafts))
    counts = [measured.messages[0] for measured in found]
    assert counts == sorted(set(counts))


def test_many_threads_load_one_host_by_measuring(start: StartEngine, places: Places) -> None:
    engine = start()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(engine.measure, [question("hello")] * 8))
    assert len(found) == 1
    status = only_host(places.runtime).status
    assert status is not None
    assert status.clients == 1


def test_a_measure_that_came_before_the_model_waits_for_it(start: StartEngine, places: Places, slow_chat: Path) -> None:
    engine = start(slow_chat)
    engine.prepare()
    load = engine._checked
    assert load is not None
    with raw_client(places) as client:
        client.say(protocol.Measure(question("hello")), "too soon")
        assert client.hear() is None  # it had not said hello
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION, 0.0))
        client.say(protocol.Measure(question("hello")), "too soon")
        client.say(load, "load")
        client.say(protocol.Measure(question("hello")), "in time")
        heard: list[tuple[str, protocol.News]] = []
        while not any(request_id == "in time" and isinstance(news, Measured) for request_id, news in heard):
            said = client.hear()
            assert said is not None
            heard.append(said)
    kinds = {(request_id, type(news)) for request_id, news in heard}
    assert ("too soon", protocol.Failure) in kinds
    assert ("load", Loaded) in kinds


def test_a_client_that_leaves_takes_its_measures_along(slow: LocalEngine, places: Places) -> None:
    events = streaming(slow, lasting_question(None))
    for _ in range(5):
        with raw_client(places) as client:
            client.say(protocol.Hello(protocol.VERSION, 0.0))
            for number in range(20):
                client.say(protocol.Measure(question("a b " * 1500)), str(number))
    assert slow.measure(question("hello")).total > 0
    assert isinstance(next(events), Token)


def test_a_host_that_dies_while_measuring(slow: LocalEngine) -> None:
    events = streaming(slow, lasting_question(None))
    connection = slow._connection
    assert connection is not None
    freeze(slow.pid)  # so that no answer can come first
    with ThreadPoolExecutor(1) as beside:
        measuring = beside.submit(slow.measure, question("hello"))
        assert until(lambda: len(connection._streams) == 3)  # the hello, the reply and the measure
        os.kill(slow.pid, signal.SIGKILL)
        for waiting in (lambda: list(events), lambda: measuring.result(10)):
            with pytest.raises(EngineDied, match="SIGKILL"):
                waiting()
    assert ask(slow).reply_tokens > 0


def test_a_host_that_is_stopped_while_it_counts_leaves_at_once(slow: LocalEngine, places: Places) -> None:
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION, 0.0))
        for number in range(20):
            client.say(protocol.Measure(question("a b " * 30_000)), str(number))
        client.say(protocol.Quit())
        slow.close()
        assert until(lambda: not list(places.runtime.glob("*.sock")), 2.0)


def test_a_template_that_hangs_stops_neither_the_count_nor_the_model(start: StartEngine, tmp_path: Path) -> None:
    source = (
        "{% if messages | length > 1 %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
        "{% endif %}{{ messages[0].content }}"
    )
    engine = start(tiny_llama(tmp_path / "hostile.gguf", template=source))
    with pytest.raises(TemplateError, match="more than 2 s"):
        engine.measure(Request((Message("user", "a"), Message("assistant", "b"), Message("user", "c"))))
    assert engine.measure(question("hello")).total == len(engine.tokenize("hello"))
    assert ask(engine).reply_tokens > 0
