"""The client against a host that is played: garbage, wrong versions, silence. Only drawn errors may come out."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest
from tests.engine.rig import SEED, question

from llmchat_engine import protocol
from llmchat_engine.answers import TokenPiece
from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import ContextFull, EngineDied, EngineError, HostUnreachable, RequestInvalid
from llmchat_engine.events import Finished, Token, nothing_generated
from llmchat_engine.launch import Places, socket_name
from llmchat_engine.protocol import LineBuffer, News, Order
from llmchat_engine.testing import FAKE_MODEL
from llmchat_engine.types import Message, ModelSpec, Request

Answer = Callable[[str, Order], bytes]
WELCOME = protocol.Welcome(protocol.VERSION, 0, FAKE_MODEL)


@dataclass
class PlayedHost:
    """Listens in the place of a host and answers each order with the bytes of a script."""

    path: Path
    answer: Answer = lambda _id, _order: b""
    heard: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(os.fspath(self.path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        lines = LineBuffer(protocol.MAX_LINE)
        while data := connection.recv(1 << 16):
            for line in lines.feed(data):
                request_id, order = protocol.decode_order(line)
                self.heard.append(order)
                connection.sendall(self.answer(request_id, order))

    def close(self) -> None:
        # shutdown wakes the thread out of accept; close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()


@pytest.fixture
def played(places: Places, tiny_chat: Path) -> Iterator[PlayedHost]:
    places.runtime.mkdir(mode=0o700)
    host = PlayedHost(places.runtime / f"{socket_name(ModelSpec(tiny_chat, threads=1))}.sock")
    yield host
    host.close()


@pytest.fixture
def client(places: Places, tiny_chat: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(ModelSpec(tiny_chat, threads=1), places, keepalive=0.0, give_up_after=0.4)
    yield engine
    engine.close()


def scripted(*news: News) -> Answer:
    """Greets, then answers every generation with these news."""

    def answer(request_id: str, order: Order) -> bytes:
        if isinstance(order, protocol.Hello):
            return protocol.encode(WELCOME)
        lines = [protocol.encode(each, request_id) for each in news]
        return b"".join(lines) if isinstance(order, protocol.Generate) else b""

    return answer


def test_a_played_reply_arrives(played: PlayedHost, client: LocalEngine) -> None:
    request = question("hello")
    end = replace(nothing_generated(request), reason="eog", text="hi")
    played.answer = scripted(Token("hi"), end)
    assert list(client.generate(request))[-2:] == [Token("hi"), end]
    assert played.heard == [protocol.Hello(protocol.VERSION, 0.0), protocol.Generate(request)]


def test_a_host_of_another_version_is_named(played: PlayedHost, client: LocalEngine) -> None:
    played.answer = lambda _id, _order: protocol.encode(msgspec.structs.replace(WELCOME, version=99))
    with pytest.raises(HostUnreachable, match="version 99") as caught:
        list(client.generate(question("hello")))
    assert caught.value.hint == "llmchat stop"


def test_a_host_that_greets_with_something_else(played: PlayedHost, client: LocalEngine) -> None:
    played.answer = lambda _id, _order: protocol.encode(protocol.Pong())
    with pytest.raises(HostUnreachable, match="version none"):
        list(client.generate(question("hello")))


@pytest.mark.parametrize("news", [protocol.Pong(), WELCOME, protocol.Ids((1,))], ids=lambda news: type(news).__name__)
def test_news_out_of_turn_is_a_drawn_error(played: PlayedHost, client: LocalEngine, news: News) -> None:
    played.answer = scripted(news)
    with pytest.raises(HostUnreachable, match="out of turn"):
        list(client.generate(question("hello")))


def test_an_error_of_the_host_comes_out_as_it_was(played: PlayedHost, client: LocalEngine) -> None:
    played.answer = scripted(protocol.to_failure(ContextFull(9000, 512)))
    with pytest.raises(ContextFull) as caught:
        list(client.generate(question("hello")))
    assert (caught.value.prompt_tokens, caught.value.n_ctx) == (9000, 512)


def test_the_wrong_answer_to_a_question_is_a_drawn_error(played: PlayedHost, client: LocalEngine) -> None:
    def answer(request_id: str, order: Order) -> bytes:
        return protocol.encode(WELCOME if isinstance(order, protocol.Hello) else protocol.Pong(), request_id)

    played.answer = answer
    with pytest.raises(HostUnreachable, match="Pong in place of Ids"):
        client.tokenize("hello")
    with pytest.raises(HostUnreachable, match="Pong in place of Rendered"):
        client.render(question("hello"))
    with pytest.raises(HostUnreachable, match="Pong in place of Measured"):
        client.measure(question("hello"))


def test_pieces_that_are_not_all_there_are_a_drawn_error(played: PlayedHost, client: LocalEngine) -> None:
    lacking = protocol.PieceList((1, 2), (TokenPiece(1, "a", b"a"),))

    def answer(request_id: str, order: Order) -> bytes:
        return protocol.encode(WELCOME if isinstance(order, protocol.Hello) else lacking, request_id)

    played.answer = answer
    with pytest.raises(HostUnreachable, match="no piece of 2"):
        client.pieces("ab")


def test_a_silent_host_is_pinged_and_given_up(played: PlayedHost, client: LocalEngine) -> None:
    played.answer = scripted(Token("hi"))
    began = time.monotonic()
    with pytest.raises(EngineDied, match=r"hangs.*silent for 0\.4 s"):
        list(client.generate(question("hello")))
    assert 0.3 < time.monotonic() - began < 3
    assert protocol.Ping() in played.heard


def test_a_slow_host_that_answers_pings_is_not_given_up(played: PlayedHost, client: LocalEngine) -> None:
    request = question("hello")
    pings: list[str] = []

    def answer(request_id: str, order: Order) -> bytes:
        if isinstance(order, protocol.Ping):
            pings.append(request_id)
            end = protocol.encode(nothing_generated(request), request.id)
            return protocol.encode(protocol.Pong()) + (end if len(pings) == 3 else b"")
        return scripted()(request_id, order)

    played.answer = answer
    *_, last = client.generate(request)
    assert isinstance(last, Finished)
    assert len(pings) == 3


def test_text_that_is_not_unicode_never_leaves(played: PlayedHost, client: LocalEngine) -> None:
    played.answer = scripted()
    with pytest.raises(RequestInvalid, match="surrogate"):
        list(client.generate(Request((Message("user", "\ud800"),))))
    assert not any(isinstance(order, protocol.Generate) for order in played.heard)


def test_a_request_over_the_limit_never_leaves(
    played: PlayedHost, client: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.answer = scripted()
    monkeypatch.setattr(protocol, "MAX_LINE", 4096)
    with pytest.raises(RequestInvalid, match="too large"):
        list(client.generate(question("x" * 5000)))


def damaged(dice: random.Random, request: Request) -> bytes:
    """Returns an answer that is cut, overwritten, of the wrong kind, or noise."""
    whole: list[News] = [
        Token("hi"),
        nothing_generated(request),
        protocol.Failure("ContextFull", "w", "y", "h", 1, 2),
        WELCOME,
    ]
    line = bytearray(protocol.encode(dice.choice(whole), dice.choice((request.id, "", "other"))))
    match dice.randrange(4):
        case 0:
            return dice.randbytes(dice.randint(1, 200)) + b"\n"
        case 1:
            return bytes(line[: dice.randrange(1, len(line))]) + b"\n"
        case 2:
            line[dice.randrange(len(line) - 1)] = dice.randrange(256)
            return bytes(line)
        case _:
            return bytes(line).replace(b'"', b"'", 1)


def test_two_thousand_lines_of_garbage_raise_nothing_undrawn(places: Places) -> None:
    """Straight at the connection, where every line is a new one; the rest of the client is tried above."""
    from llmchat_engine.connection import Connection
    from llmchat_engine.launch import Link

    print(f"LLMCHAT_TEST_SEED={SEED}")
    dice, request = random.Random(SEED), question("hello")
    for _ in range(2000):
        ours, theirs = socket.socketpair()
        theirs.sendall(damaged(dice, request))
        connection = Connection(Link(ours, 0, False, places.logs / "none.log"), give_up_after=10.0)
        connection.open(request.id)
        theirs.close()
        with contextlib.suppress(EngineError):
            while (news := connection.next(request.id)) is not None:
                assert type(news).__name__ in protocol.NEWS
        connection.close()


def test_garbage_in_a_reply_ends_it_with_a_drawn_error(played: PlayedHost, client: LocalEngine) -> None:
    dice = random.Random(SEED)
    for _ in range(60):
        request = question("hello")

        def answer(request_id: str, order: Order, request: Request = request) -> bytes:
            if isinstance(order, protocol.Hello):
                return protocol.encode(WELCOME)
            return damaged(dice, request) + b"}{\n" if isinstance(order, protocol.Generate) else b""

        played.answer = answer
        with contextlib.suppress(EngineError):
            *_, last = client.generate(request)
            assert isinstance(last, Finished)
