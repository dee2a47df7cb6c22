"""What a host answers on its socket: hello, ping, status; and that nobody's garbage disturbs the others."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import SEED, ask, end_of, lasting_question, only_host, until

from llmchat_engine import protocol
from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import GenerationFailed
from llmchat_engine.events import Token
from llmchat_engine.host import server
from llmchat_engine.host.jobs import JobQueue
from llmchat_engine.launch import Places
from llmchat_engine.protocol import LineBuffer, News, Order
from llmchat_engine.types import Message, Request


class RawClient:
    """A client that says whatever it likes."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Without a time limit yet: with one, connecting to a full queue fails instead of waiting.
        self.socket.connect(os.fspath(path))
        self.socket.settimeout(10)
        self._lines = LineBuffer(protocol.MAX_LINE)
        self._news: list[tuple[str, News]] = []

    def say(self, order: Order, request_id: str = "") -> None:
        self.socket.sendall(protocol.encode(order, request_id))

    def hear(self) -> tuple[str, News] | None:
        """Returns the next news, None where the host hung up."""
        while not self._news:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self._news += map(protocol.decode_news, self._lines.feed(data))
        return self._news.pop(0)


@pytest.fixture
def host(start: StartEngine, places: Places) -> LocalEngine:
    """A host with a client that stays."""
    engine = start()
    ask(engine)
    return engine


@contextlib.contextmanager
def raw_client(places: Places) -> Iterator[RawClient]:
    client = RawClient(next(places.runtime.glob("*.sock")))
    with client.socket:
        yield client


def test_hello_is_answered_with_version_pid_and_model(host: LocalEngine, places: Places) -> None:
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION, 0.0))
        heard = client.hear()
        assert heard is not None
        assert isinstance(heard[1], protocol.Welcome)
        assert (heard[1].version, heard[1].pid) == (protocol.VERSION, host.pid)
        assert heard[1].model is not None


def test_a_client_of_another_version_is_told_ours(host: LocalEngine, places: Places) -> None:
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION + 1, 0.0))
        heard = client.hear()
        assert heard is not None
        assert isinstance(heard[1], protocol.Welcome)
        assert heard[1].version == protocol.VERSION


def test_ping_and_status_need_no_hello(host: LocalEngine, places: Places) -> None:
    assert until(lambda: (status := only_host(places.runtime).status) is not None and not status.busy)
    with raw_client(places) as client:
        client.say(protocol.Ping(), "p")
        assert client.hear() == ("p", protocol.Pong())
        client.say(protocol.AskStatus(), "s")
        heard = client.hear()
        assert heard is not None
        status = heard[1]
        assert isinstance(status, protocol.HostStatus)
        assert (status.pid, status.clients, status.busy, status.queued) == (host.pid, 1, False, 0)
        assert status.leaves_in < 0
        assert status.resident > 1 << 20


def test_ping_is_answered_while_the_model_works(start: StartEngine, places: Places, slow_chat: Path) -> None:
    engine = start(slow_chat)
    events = engine.generate(lasting_question())
    assert any(isinstance(event, Token) for event in events)
    with raw_client(places) as client:
        began = time.monotonic()
        client.say(protocol.Ping(), "p")
        assert client.hear() == ("p", protocol.Pong())
        assert time.monotonic() - began < 0.5
        status = only_host(places.runtime).status
        assert status is not None
        assert status.busy
    events.close()


@pytest.mark.parametrize("order", [protocol.Tokenize("a"), protocol.Generate(Request((Message("user", "a"),)))])
def test_work_before_a_hello_is_hung_up_on(host: LocalEngine, places: Places, order: Order) -> None:
    with raw_client(places) as client:
        client.say(order, "1")
        assert client.hear() is None
    assert ask(host).reply_tokens > 0


def test_work_before_a_load_is_refused(start: StartEngine, places: Places) -> None:
    start().prepare()
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION, 0.0))
        client.hear()
        client.say(protocol.Tokenize("a"), "1")
        heard = client.hear()
        assert heard is not None
        failure = heard[1]
        assert isinstance(failure, protocol.Failure)
        assert type(protocol.to_error(failure)) is GenerationFailed


def garbage(count: int) -> Iterator[bytes]:
    """Yields lines that are none: noise, half messages, messages of the wrong kind."""
    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    whole = [protocol.encode(protocol.Ping()), protocol.encode(protocol.Tokenize("hello there"), "1")]
    for number in range(count):
        line = bytearray(dice.choice(whole)[:-1])
        match number % 4:
            case 0:
                yield dice.randbytes(dice.randint(1, 80))
            case 1:
                yield bytes(line[: dice.randrange(1, len(line))])
            case 2:
                line[dice.randrange(len(line))] = dice.randrange(256)
                yield bytes(line)
            case _:
                yield protocol.encode(protocol.Pong())[:-1]


def test_two_thousand_lines_of_garbage_disturb_nobody(host: LocalEngine, places: Places, slow_chat: Path) -> None:
    before = ask(host, "the same", max_tokens=30)
    events = host.generate(lasting_question(max_tokens=400))
    next(events)
    path = next(places.runtime.glob("*.sock"))
    for line in garbage(2000):
        with contextlib.closing(RawClient(path).socket) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(line + b"\n")
    end_of([Token(""), *events])
    assert ask(host, "the same", max_tokens=30).token_ids == before.token_ids
    assert until(lambda: (status := only_host(places.runtime).status) is not None and status.clients == 1)


def test_garbage_behind_good_lines_stops_that_clients_work(host: LocalEngine, places: Places) -> None:
    with raw_client(places) as client:
        client.say(protocol.Hello(protocol.VERSION, 0.0))
        client.say(protocol.Generate(lasting_question(None)), "1")
        client.socket.sendall(b"}{\n")
        while client.hear() is not None:
            pass
    status = only_host(places.runtime).status
    assert status is not None
    assert status.clients == 1
    assert until(lambda: (status := only_host(places.runtime).status) is not None and not status.busy)


def test_a_line_without_end_is_hung_up_on(host: LocalEngine, places: Places) -> None:
    with raw_client(places) as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                client.socket.sendall(b"x" * (1 << 20))
        with contextlib.suppress(ConnectionError):
            assert client.hear() is None
    assert ask(host).reply_tokens > 0


def _lonely_server(directory: Path, keepalive: float) -> tuple[server.Server, socket.socket]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(directory / "s.sock"))
    listener.listen(4)
    return server.Server(listener, lambda: None, lambda _: None, lambda _: None), listener


def queues() -> tuple[JobQueue, JobQueue]:
    return JobQueue(lambda _: None), JobQueue(lambda _: None)


def test_a_host_that_nobody_comes_to_leaves_after_its_grace(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_START_GRACE", 0.05)
    places.runtime.mkdir(mode=0o700)
    lonely, listener = _lonely_server(places.runtime, 0.05)
    with listener:
        began = time.monotonic()
        assert lonely.serve(*queues()) == "no client for 0.05 s"
        assert 0.04 < time.monotonic() - began < 2


def test_a_host_whose_first_client_never_said_hello_leaves_with_it(places: Places) -> None:
    places.runtime.mkdir(mode=0o700)
    lonely, listener = _lonely_server(places.runtime, 0.05)
    with listener:
        RawClient(places.runtime / "s.sock").socket.close()
        began = time.monotonic()
        lonely.serve(*queues())
        assert time.monotonic() - began < 2
