"""The wire between client and host: one JSON line per message, {"kind", "id", "body"}, over a Unix socket.

The body is one of the structs listed in ORDERS (client to host) or NEWS (host to client), or an event of types.py; the
kind is its class name. Knows no sockets and no llama.cpp. Bytes from the other side are data: what does not decode is
a ProtocolError.
"""

from __future__ import annotations

from typing import TypeVar, get_args

import msgspec

from llmchat_engine import errors
from llmchat_engine.answers import TokenPiece
from llmchat_engine.events import (
    Answered,
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
from llmchat_engine.types import CacheType, ModelInfo, Request

VERSION = 5
MAX_LINE = 32 << 20
"""Bytes of one message; a whole path of messages has to fit."""


class ProtocolError(Exception):
    """The other side sent something that is not a message of this version."""


class Hello(msgspec.Struct, frozen=True):
    """The first message of a client. The last client's keepalive (seconds) counts."""

    version: int
    keepalive: float


class Welcome(msgspec.Struct, frozen=True):
    """The host's answer to Hello; `model` is None until one is loaded."""

    version: int
    pid: int
    model: ModelInfo | None


class Load(msgspec.Struct, frozen=True):
    """Load this file, which the client has checked. A host that has it answers `Loaded` at once."""

    path: str
    model_key: str
    n_ctx: int
    gpu_layers: int
    threads: int
    batch_threads: int
    repackable: bool
    """Most weights have a type that llama.cpp repacks for the CPU."""
    state_dir: str
    batch: int = 512
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    memory_budget: int = 0
    """Bytes that chats may take in memory when they are not in the context."""
    kv_dir: str = ""
    """Where chats are kept on disk; empty keeps none."""
    kv_budget: int = 0
    """Bytes that they may take there."""
    rpc_servers: tuple[str, ...] = ()
    """Machines that layers are put on, each as "HOST:PORT"."""


class Generate(msgspec.Struct, frozen=True):
    """Run one request."""

    request: Request


class Score(msgspec.Struct, frozen=True):
    """Tell how likely each text is as what follows the prompt of a request. Answered by `Scored`."""

    request: Request
    continuations: tuple[str | tuple[int, ...], ...]
    """Texts, or the ids of texts."""


class Peek(msgspec.Struct, frozen=True):
    """Tell what could come next behind the prompt of a request. Answered by `Peeked`."""

    request: Request
    count: int


class Perplexity(msgspec.Struct, frozen=True):
    """Tell how likely a text is, window by window (tokens; 0 is the context). Answered by `Scored`."""

    text: str
    window: int = 0


class Render(msgspec.Struct, frozen=True):
    """Tell the exact prompt of a request."""

    request: Request


class Measure(msgspec.Struct, frozen=True):
    """Tell how many tokens each part of a request's prompt takes."""

    request: Request


class Tokenize(msgspec.Struct, frozen=True):
    """Tell the ids of user text."""

    text: str


class Pieces(msgspec.Struct, frozen=True):
    """Tell the tokens of a text; with `special`, names of special tokens in it are those tokens."""

    text: str
    special: bool = False


class PieceList(msgspec.Struct, frozen=True):
    """The answer to Pieces."""

    ids: tuple[int, ...]
    known: tuple[TokenPiece, ...]
    """Each of these ids once: a million tokens of a long text take 7 MB in place of 66."""


class Ids(msgspec.Struct, frozen=True):
    """The answer to Tokenize."""

    ids: tuple[int, ...]


class Forget(msgspec.Struct, frozen=True):
    """Drop all that is kept of a chat. Answered by `Pong`, once nothing more of it can be written."""

    chat: str


class Cancel(msgspec.Struct, frozen=True):
    """Stop the request of this id, if it is this client's own; or one of its answers alone."""

    answer: int | None = None


class Conclude(msgspec.Struct, frozen=True):
    """Close the thought of the request of this id, or of one of its answers: answer now."""

    answer: int | None = None


class Ping(msgspec.Struct, frozen=True):
    """Are you there?"""


class Pong(msgspec.Struct, frozen=True):
    """Here."""


class Quit(msgspec.Struct, frozen=True):
    """Leave now, whoever is connected."""


class AskStatus(msgspec.Struct, frozen=True):
    """Tell how the host is doing."""


class HostStatus(msgspec.Struct, frozen=True):
    """How a host is doing: the answer to AskStatus, a row of `llmchat ps`."""

    pid: int
    model: ModelInfo | None
    clients: int
    busy: bool
    queued: int
    keepalive: float
    leaves_in: float
    """Seconds until it leaves if nobody comes; negative while it is used, or stays for ever."""
    uptime: float
    resident: int
    """Memory in bytes that the process holds, the mapped model file included."""


class Failure(msgspec.Struct, frozen=True):
    """An EngineError on the wire."""

    error: str
    what: str
    why: str
    hint: str
    prompt_tokens: int = 0
    n_ctx: int = 0
    n_ctx_train: int = 0


Work = Load | Generate | Score | Peek | Perplexity | Render | Measure | Tokenize | Pieces
"""What the threads of a host do, one after the other."""
Order = Hello | Work | Forget | Cancel | Conclude | Ping | Quit | AskStatus
News = (
    Welcome
    | Loading
    | Loaded
    | Queued
    | Restored
    | Prefill
    | Token
    | Answered
    | Notice
    | Finished
    | Scored
    | Peeked
    | Rendered
    | Measured
    | Ids
    | PieceList
    | Pong
    | HostStatus
    | Failure
)
ORDERS: dict[str, type[Order]] = {kind.__name__: kind for kind in get_args(Order)}
NEWS: dict[str, type[News]] = {kind.__name__: kind for kind in get_args(News)}


class _Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    id: str
    body: msgspec.Raw


_Body = TypeVar("_Body")
_encoder = msgspec.json.Encoder()
_frames = msgspec.json.Decoder(_Frame)


def encode(message: Order | News, request_id: str = "") -> bytes:
    """Returns the message as one line."""
    body = msgspec.Raw(_encoder.encode(message))
    return _encoder.encode(_Frame(type(message).__name__, request_id, body)) + b"\n"


def decode_order(line: bytes) -> tuple[str, Order]:
    """Returns (request id, message) of a client's line.

    Raises:
        ProtocolError: it is none.
    """
    frame = _frame(line)
    if frame.kind not in ORDERS:
        raise ProtocolError(f"unknown order {frame.kind[:40]!r}")
    return frame.id, _body(frame, ORDERS[frame.kind])


def decode_news(line: bytes) -> tuple[str, News]:
    """Returns (request id, message) of a host's line.

    Raises:
        ProtocolError: it is none.
    """
    frame = _frame(line)
    if frame.kind not in NEWS:
        raise ProtocolError(f"unknown news {frame.kind[:40]!r}")
    return frame.id, _body(frame, NEWS[frame.kind])


def _frame(line: bytes) -> _Frame:
    try:
        return _frames.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from error


def _body(frame: _Frame, kind: type[_Body]) -> _Body:
    try:
        return msgspec.json.decode(frame.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"{frame.kind}: {error}") from error


class LineBuffer:
    """Cuts a byte stream into lines of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the lines that `data` completes.

        Raises:
            ProtocolError: a line is longer than the limit.
        """
        self._rest += data
        if b"\n" not in data:
            self._check(len(self._rest))
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        self._check(max(map(len, (*lines, rest))))
        return lines

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise ProtocolError(f"a message of more than {self._limit:,} bytes")


def to_failure(error: errors.EngineError) -> Failure:
    """Returns an error as it goes over the wire."""
    counts = (error.prompt_tokens, error.n_ctx, error.n_ctx_train) if isinstance(error, errors.ContextFull) else ()
    return Failure(type(error).__name__, error.what, error.why, error.hint, *counts)


def to_error(failure: Failure) -> errors.EngineError:
    """Returns the error that a host sent."""
    if failure.error == "ContextFull":
        return errors.ContextFull(failure.prompt_tokens, failure.n_ctx, failure.n_ctx_train)
    kind = getattr(errors, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.EngineError)):
        kind = errors.GenerationFailed
    return kind(failure.what, failure.why, failure.hint)
