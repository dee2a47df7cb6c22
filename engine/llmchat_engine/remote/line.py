"""One request whose answer streams: read in a thread of its own, taken from here, cut off at any moment.

Knows HTTP and events of a stream; what is in them, others read.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from llmchat_engine.errors import EngineError, RemoteUnreachable
from llmchat_engine.remote.chunks import Chunk, chunk_of
from llmchat_engine.remote.http import Http, Refusal
from llmchat_engine.remote.sse import ServerSentEvents

_WAITING = 256
"""Events that are held for a slow reader: then the server is read no further, and its socket fills."""
_LONGEST = 64 << 20
"""Bytes of a whole answer."""
_DONE = b"[DONE]"
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete", "proxy.start_tls.complete"})


class Line:
    """One answer that streams."""

    def __init__(self, http: Http, url: str, body: Mapping[str, Any], seconds: float) -> None:
        """Sends the request, in its thread.

        Args:
            http: the line to the server.
            url: where it goes.
            body: what is sent.
            seconds: of silence after which the server is given up.
        """
        self._http, self._url, self._body, self._seconds = http, url, body, seconds
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._ended = self._closed = self._poked = False
        self._error: EngineError | Refusal | None = None
        self._socket: socket.socket | None = None
        self._heard = time.monotonic()
        self.is_whole = False
        """Whether the server said that the answer has ended."""
        threading.Thread(target=self._run, name="remote", daemon=True).start()

    def next(self, seconds: float) -> list[Chunk] | None:
        """Returns what has come, waiting a little where nothing has; None where the answer has ended.

        Raises:
            EngineError: the line could not be made, or broke.
            Refusal: the server answered with a failure.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._ended or self._poked, seconds)
            self._poked = False
            if self._chunks:
                taken = list(self._chunks)
                self._chunks.clear()
                self._changed.notify_all()
                return taken
            if self._ended and self._error is not None:
                raise self._error
            return None if self._ended else []

    def quiet(self) -> float:
        """Returns for how many seconds no event has come; what only says that the server lives is none."""
        return time.monotonic() - self._heard

    def poke(self) -> None:
        """Has `next` return at once. Safe from any thread."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def close(self) -> None:
        """Cuts the line: the server sees that nobody listens any more. Safe from any thread, and a second time."""
        with self._changed:
            self._closed = self._ended = True
            self._changed.notify_all()
            cut = self._socket
        if cut is not None:
            with contextlib.suppress(OSError):  # a thread that reads it wakes by this alone
                cut.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        error: EngineError | Refusal | None = RemoteUnreachable("the answer broke off", "inside llmchat", "ask again")
        try:
            self._read()
            error = None
        except (EngineError, Refusal) as raised:
            error = raised
        finally:
            with self._changed:
                self._ended, self._error = True, None if self._closed else error
                self._socket = None
                self._changed.notify_all()

    def _read(self) -> None:
        with self._http.stream(self._url, self._body, self._seconds, {"trace": self._trace}) as response:
            if response.headers.get("Content-Type", "").startswith("application/json"):  # one that does not stream
                self._take(self._http.whole(response, _LONGEST))
                self.is_whole = True
                return
            events, size = ServerSentEvents(), 0
            for data in response.iter_bytes():
                size += len(data)
                if size > _LONGEST:
                    raise RemoteUnreachable("the server's answer has no end", f"{_LONGEST:,} bytes are the most")
                for event in events.feed(data):
                    self._take(event)
                if self._closed or self.is_whole:
                    return
            for event in events.finish():
                self._take(event)

    def _take(self, event: bytes) -> None:
        """Holds an event; waits where the reader is slow."""
        if event.strip() == _DONE:
            self.is_whole = True
            return
        if not event.strip():
            return
        chunk = chunk_of(event)
        with self._changed:
            self._changed.wait_for(lambda: len(self._chunks) < _WAITING or self._closed)
            self._heard = time.monotonic()
            self._chunks.append(chunk)
            self._changed.notify_all()

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        """Takes the socket when it is connected, so that it can be cut before the answer begins."""
        if name in _CONNECTED:
            with self._changed:
                self._socket = info["return_value"].get_extra_info("socket")
                closed = self._closed
            if closed:
                self.close()
