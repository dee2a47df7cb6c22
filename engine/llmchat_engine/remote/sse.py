"""Server-sent events out of bytes as they come: lines cut anywhere, comments, several lines of data in one event.

Knows no HTTP and no JSON.
"""

from __future__ import annotations

from collections.abc import Iterator

from llmchat_engine.errors import RemoteUnreachable

LONGEST = 1 << 20
"""Bytes of one event; a token with its twenty likeliest alternatives takes some 3,000."""
_FIELDS = (b"data", b"error")
"""`error` is what llama-server calls a failure in the middle of a stream."""


class ServerSentEvents:
    """Takes bytes and gives the data of whole events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the data of every event that these bytes complete.

        Raises:
            RemoteUnreachable: an event is longer than any that is sent by a server that answers questions.
        """
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        if len(self._rest) > LONGEST:
            raise _too_long()
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                yield self._event()

    def finish(self) -> Iterator[bytes]:
        """Yields an event that the end of the stream completes: some servers leave out its last line."""
        if self._rest:
            self._take(self._rest)
        if self._data:
            yield self._event()

    def _take(self, line: bytes) -> None:
        name, _, value = line.rstrip(b"\r").partition(b":")
        if name in _FIELDS:  # a line that begins with a colon is a comment: a server that says that it lives
            self._size += len(value)
            if self._size > LONGEST:
                raise _too_long()
            self._data.append(value.removeprefix(b" "))

    def _event(self) -> bytes:
        event = b"\n".join(self._data)
        self._data, self._size = [], 0
        return event


def _too_long() -> RemoteUnreachable:
    return RemoteUnreachable("the server's answer broke off", f"an event of it is longer than {LONGEST:,} bytes")
