"""What a fake hub is told to do wrong, and what it remembers of every request. Knows no sockets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["api", "resolve", "content"]
"""A question about repositories, a file's address (HEAD or GET, answered with a redirect), or the bytes of a file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request. Several may be set together; the default is none."""

    status: int = 0
    """An error in place of the answer."""
    retry_after: str = ""
    """With a status: the header, as seconds or as a date."""
    error_code: str = ""
    """With a status: X-Error-Code, as "GatedRepo"."""
    message: str = "it was told to fail"
    """With a status: X-Error-Message and the body; a bad token's is "Invalid credentials in Authorization header"."""
    echo: bool = False
    """With a status: the body and X-Error-Message repeat the request's Authorization."""
    page: bool = False
    """A web page with status 200, as a proxy or a hotel's network sends it."""
    location: str = ""
    """A redirect to there."""
    loop: bool = False
    """A redirect to the same address."""
    throttle: int = 0
    """Bytes a second."""
    cut: int | None = None
    """The connection breaks after so many bytes of the body."""
    stall: int | None = None
    """Silence after so many bytes of the body, until the client goes or the hub closes; -1 before the headers."""
    short: int = 0
    """The file ends so many bytes early, and Content-Length says so too."""
    wrong_at: int | None = None
    """The byte at this place of the file is another one."""
    ignore_range: bool = False
    """The whole file with status 200 whatever was asked for."""
    keep_range: bool = False
    """The range that was asked for, even where If-Range names another entity tag."""
    shift: int = 0
    """A range that begins so many bytes later than the one asked for."""
    etag: str = ""
    """Another entity tag, with its quotes."""
    no_etag: bool = False
    """No entity tag at all."""


@dataclass(slots=True)
class Faults:
    """The faults to come: each request takes the first of its kind, else `always` where it asks for a file's bytes."""

    api: deque[Fault] = field(default_factory=deque)
    resolve: deque[Fault] = field(default_factory=deque)
    content: deque[Fault] = field(default_factory=deque)
    always: Fault = Fault()
    cdn_host: str = "127.0.0.1"
    """Where links to the bytes point: "localhost" is another host for a client, and the same server."""
    pace: Callable[[Asked], None] | None = None
    """Called before each piece of a file is sent; may wait."""
    piece: int = 64 << 10
    """Bytes of one piece."""

    def take(self, kind: Kind) -> Fault:
        """Returns what goes wrong with this request."""
        waiting: deque[Fault] = getattr(self, kind)
        try:
            return waiting.popleft()
        except IndexError:
            return self.always if kind == "content" else Fault()


def in_step(part: Path) -> Callable[[Asked], None]:
    """Returns a pace: the server sends a piece only when the part has all before it, so none is on its way for long."""

    def wait(asked: Asked) -> None:
        ends = time.monotonic() + 60
        while asked.sent and (not part.exists() or part.stat().st_size < asked.first + asked.sent):
            assert time.monotonic() < ends, "the client keeps bytes back"
            time.sleep(0.0005)

    return wait


@dataclass(slots=True)
class Asked:
    """One request, and what became of it."""

    kind: Kind
    method: str
    port: Literal["hub", "cdn"]
    host: str
    """The Host header."""
    path: str
    query: str
    range: str
    if_range: str
    authorization: str
    status: int = 0
    first: int = 0
    """Where in the file the body began."""
    sent: int = 0
    """Bytes of the body handed to the socket."""
