"""The wire: every kind of message survives it, and bytes that are none are refused in one way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine import errors, protocol
from llmchat_engine.answers import Answer, Candidate, Score, TokenLogprob, TokenPiece
from llmchat_engine.events import (
    Answered,
    Filter,
    Finished,
    Loaded,
    Loading,
    Measured,
    Notice,
    Peeked,
    Prefill,
    Queued,
    Rendered,
    Restored,
    Scored,
    Token,
)
from llmchat_engine.protocol import LineBuffer, News, Order, ProtocolError
from llmchat_engine.testing import FAKE_MODEL
from llmchat_engine.types import Message, Request, Sampling

TEXT = 'quo"te \n\r\x00\x1b[2J \u2028 é 漢 🙂'
REQUEST = Request(
    (Message("system", TEXT), Message("user", ""), Message("assistant", "a", (1, 2, 2**31 - 1), "k" * 64)),
    Sampling(0.0, 40, 0.95, 0.05, 2**32 - 2, 1.1, -0.5, 0.5, 7, ("stop", TEXT)),
    raw=True,
    private=True,
)
FINISHED = Finished("stop", TEXT, (1, 2), 10, 4, 6, 2, 0.25, 0.125, 0.5, REQUEST.sampling, 1.5)
ORDERS: list[Order] = [
    protocol.Hello(1, -1.0),
    protocol.Load("/m.gguf", "k", 512, -1, 3, 4, True, "/state"),
    protocol.Generate(REQUEST),
    protocol.Score(REQUEST, (TEXT, "")),
    protocol.Perplexity(TEXT, 512),
    protocol.Peek(Request((Message("user", TEXT, (1, 2), "k", 1),), think="off", think_budget=9), 5),
    protocol.Pieces(TEXT, True),
    protocol.Conclude(3),
    protocol.Render(REQUEST),
    protocol.Measure(REQUEST),
    protocol.Tokenize(TEXT),
    protocol.Forget(TEXT),
    protocol.Cancel(),
    protocol.Cancel(3),
    protocol.Ping(),
    protocol.Quit(),
    protocol.AskStatus(),
]
NEWS: list[News] = [
    Peeked((Filter("top-k 40", 2, (Candidate(1, TEXT, -0.5),), (Candidate(2, TEXT, -9.0),)),), 0.4, 7, 3, 0.1),
    protocol.PieceList((5, 5), (TokenPiece(5, TEXT, bytes(range(256)), True),)),
    protocol.Welcome(1, 42, None),
    protocol.Welcome(1, 42, FAKE_MODEL),
    Loading(0.5),
    Loaded(replace(FAKE_MODEL, devices=("CUDA0 (a card)",), template="none"), 0.25),
    Queued(3),
    Restored(7, 0.5, "disk"),
    Prefill(1, 2, 1),
    Token(TEXT, 2, 1, (TokenLogprob(7, TEXT, -0.5, (Candidate(8, "", -1.5),)),)),
    Answered(1, Answer("stop", TEXT, (1, 2), 2, 7, -0.75, complete=False)),
    Scored((Score(-1.5, 2),), 10, 4, 0.5),
    Notice(TEXT),
    FINISHED,
    Rendered(TEXT, (1, 2)),
    Measured(3, (1, 2, 4), 5, 8192),
    protocol.Ids((0, 1)),
    protocol.Pong(),
    protocol.HostStatus(42, FAKE_MODEL, 1, True, 2, 300.0, -1.0, 12.5, 1 << 40),
    protocol.Failure("ContextFull", "w", "y", "h", 10, 5),
]
ERRORS = [
    errors.EngineError("w"),
    errors.ModelMissing("w", "y", "h"),
    errors.ModelUnreadable("w", "y", "h"),
    errors.TemplateError("w", "y", "h"),
    errors.ContextFull(9000, 8192),
    errors.NotEnoughMemory("w", "y", "h"),
    errors.RequestInvalid("w", "y", "h"),
    errors.GenerationFailed("w", "y", "h"),
    errors.HostUnreachable("w", "y", "h"),
    errors.EngineDied("w", "y", "h"),
]


def test_every_kind_is_tried_here() -> None:
    assert {type(order).__name__ for order in ORDERS} == set(protocol.ORDERS)
    assert {type(news).__name__ for news in NEWS} == set(protocol.NEWS)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_an_order_survives(order: Order) -> None:
    line = protocol.encode(order, "id-1")
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert protocol.decode_order(line) == ("id-1", order)


@pytest.mark.parametrize("news", NEWS, ids=lambda news: type(news).__name__)
def test_news_survive(news: News) -> None:
    line = protocol.encode(news, "id-1")
    assert line.count(b"\n") == 1
    assert protocol.decode_news(line) == ("id-1", news)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives(error: errors.EngineError) -> None:
    line = protocol.encode(protocol.to_failure(error))
    _, failure = protocol.decode_news(line)
    assert isinstance(failure, protocol.Failure)
    found = protocol.to_error(failure)
    assert type(found) is type(error)
    assert (found.what, found.why, found.hint) == (error.what, error.why, error.hint)
    if isinstance(error, errors.ContextFull):
        assert isinstance(found, errors.ContextFull)
        assert (found.prompt_tokens, found.n_ctx) == (9000, 8192)


@pytest.mark.parametrize("name", ["", "annotations", "int", "SystemExit", "__doc__", "_next_context"])
def test_an_unknown_error_is_a_failed_generation(name: str) -> None:
    assert type(protocol.to_error(protocol.Failure(name, "w", "y", "h"))) is errors.GenerationFailed


def _line(**changes: object) -> bytes:
    frame: dict[str, object] = {"kind": "Ping", "id": "1", "body": {}}
    return json.dumps(frame | changes).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        _line(kind="Wrong"),
        _line(kind=7),
        _line(id=None),
        _line(extra=1),
        _line(kind="Hello"),
        _line(kind="Hello", body={"version": "1", "keepalive": 0}),
        _line(kind="Generate", body={"request": {"messages": [{"role": "tool", "text": ""}]}}),
        _line(kind="Generate", body={"request": {"messages": [{"role": "user", "text": "a", "token_ids": ["x"]}]}}),
    ],
    ids=lambda line: line[:40].decode("latin-1"),
)
def test_what_is_no_message_is_a_protocol_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_order(line)
    with pytest.raises(ProtocolError):
        protocol.decode_news(line)


def test_half_a_surrogate_pair_in_a_line_is_a_protocol_error_or_text() -> None:
    line = b'{"kind":"Tokenize","id":"1","body":{"text":"\\ud800"}}'
    try:
        protocol.decode_order(line)[1]
    except ProtocolError:
        return
    pytest.fail("half a surrogate pair came through")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_random_bytes_never_raise_anything_else(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_order(line)
    with pytest.raises(ProtocolError):
        protocol.decode_news(line)


@given(st.sampled_from(ORDERS), st.integers(min_value=0), st.binary(max_size=3))
@settings(max_examples=300, deadline=None)
def test_a_damaged_line_is_refused_or_still_an_order(order: Order, place: int, damage: bytes) -> None:
    line = bytearray(protocol.encode(order, "1"))
    place %= len(line)
    line[place : place + len(damage)] = damage
    try:
        _, found = protocol.decode_order(bytes(line))
    except ProtocolError:
        return
    assert type(found).__name__ in protocol.ORDERS


@given(st.lists(st.binary(max_size=30)), st.lists(st.integers(0, 40)))
@settings(max_examples=200, deadline=None)
def test_lines_come_out_whole_however_they_are_cut(chunks: list[bytes], cuts: list[int]) -> None:
    lines = [chunk.replace(b"\n", b"") for chunk in chunks]
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    buffer, found = LineBuffer(64), []
    for cut in cuts:
        found += buffer.feed(stream[:cut])
        stream = stream[cut:]
    found += buffer.feed(stream)
    assert found == lines
    assert buffer.feed(b"\n") == [b"rest"]


@pytest.mark.parametrize(
    ("before", "last"),
    [
        (b"", b"123456789"),
        (b"1234", b"56789"),
        (b"", b"ok\n123456789\n"),
        (b"", b"123456789\nok"),
        (b"ok\n1", b"2345678\n"),
    ],
)
def test_a_line_over_the_limit_is_refused(before: bytes, last: bytes) -> None:
    buffer = LineBuffer(7)
    buffer.feed(before)
    with pytest.raises(ProtocolError):
        buffer.feed(last)


def test_a_line_at_the_limit_passes() -> None:
    assert LineBuffer(8).feed(b"12345678\n\n") == [b"12345678", b""]
