"""One connection to a host: a reader thread that sorts news by request, and how the host ended if it did.

Knows the wire, not what the messages mean.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Sequence

from llmchat_engine import protocol
from llmchat_engine.errors import EngineDied, HostUnreachable, RequestInvalid
from llmchat_engine.launch import Link, last_words

TICK = 0.1
"""Seconds between two looks at the clock while nothing comes."""
_EXIT_WAIT = 1.0


class Connection:
    """Sends orders from any thread; `next` waits for the news of one request."""

    def __init__(self, link: Link, give_up_after: float) -> None:
        """Starts to read.

        Args:
            link: A connected socket.
            give_up_after: Seconds of silence, half of them after a ping, before the host counts as hung.
        """
        self._socket, self._log = link.connection, link.log
        self._give_up_after = give_up_after
        self.pid, self._child = link.pid, link.pid if link.is_child else 0
        # None is the last word of a stream: the host has gone.
        self._streams: dict[str, queue.SimpleQueue[protocol.News | None]] = {}
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._reap_lock = threading.Lock()
        self._ending = ""
        self._heard = 0
        self.alive = True
        self._reader = threading.Thread(target=self._read, name="engine news", daemon=True)
        self._reader.start()

    def open(self, request_id: str) -> None:
        """Keeps the news of this request from now on."""
        with self._lock:
            self._streams[request_id] = queue.SimpleQueue()
            if not self.alive:
                self._streams[request_id].put(None)

    def forget(self, request_id: str) -> None:
        """Drops what has come and will come for this request."""
        with self._lock:
            self._streams.pop(request_id, None)

    def send(self, order: protocol.Order, request_id: str = "", behind: Sequence[protocol.Order] = ()) -> None:
        """Sends an order.

        Args:
            order: what is to be done.
            request_id: the request that it is about.
            behind: small ones about the same request, in the same write: the host reads them together.

        Raises:
            EngineDied: the host has gone or does not read.
            RequestInvalid: the order is too large, or its text is not Unicode.
        """
        try:
            line = protocol.encode(order, request_id)
        except UnicodeEncodeError as error:
            raise RequestInvalid("the prompt is not text", "it has half a surrogate pair in it") from error
        if len(line) > protocol.MAX_LINE:
            raise RequestInvalid("the request is too large", f"{len(line):,} bytes, {protocol.MAX_LINE:,} are allowed")
        try:
            with self._send_lock:
                self._socket.sendall(b"".join([line, *(protocol.encode(small, request_id) for small in behind)]))
        except BlockingIOError:
            raise self.give_up() from None
        except OSError:
            raise self.death() from None

    def next(self, request_id: str) -> protocol.News | None:
        """Returns the next news of a request, or None after a tick without any.

        Raises:
            EngineDied: the host has gone.
        """
        with contextlib.suppress(queue.Empty):
            news = self._streams[request_id].get(timeout=TICK)
            if news is None:
                raise self.death()
            return news
        return None

    def wait(self, request_id: str) -> protocol.News:
        """Returns the next news of a request, however long it takes.

        Raises:
            EngineDied: the host has gone or hangs.
        """
        patience = self.patience()
        while (news := self.next(request_id)) is None:
            patience.tick()
        return news

    def patience(self) -> Patience:
        """Returns a new count of how long the host has been silent."""
        return Patience(self, self._give_up_after)

    @property
    def ending(self) -> str:
        """The signal or exit that ended our own host, once `death` was asked for; empty for another's."""
        return self._ending

    @property
    def heard(self) -> int:
        """The number of messages that have come."""
        return self._heard

    def give_up(self) -> EngineDied:
        """Kills a host that hangs, and returns the error that says so."""
        with contextlib.suppress(OSError):
            if self.pid > 1:
                os.kill(self.pid, signal.SIGKILL)
        self.death()
        return EngineDied(
            "the engine hangs and was stopped",
            f"it was silent for {self._give_up_after:g} s",
            "ask again: a new one starts by itself",
        )

    def death(self) -> EngineDied:
        """Returns the error that tells how the host ended."""
        self.alive = False
        how = self._reap()
        why = last_words(self._log)
        if how == "SIGBUS":
            why = "the model file changed while it was in use, or its storage failed"
        what = f"the engine stopped ({how})" if how else "the engine stopped"
        return EngineDied(what, why, "ask again: a new one starts by itself; llmchat doctor tells more")

    def _reap(self) -> str:
        """Returns the name of the signal that ended our own child, or how it left; nothing for another's."""
        deadline = time.monotonic() + _EXIT_WAIT
        with self._reap_lock:  # a child can be asked once how it ended, and more than one request may want to know
            while self._child and time.monotonic() < deadline:
                try:
                    pid, status = os.waitpid(self._child, os.WNOHANG)
                except ChildProcessError:
                    break
                if pid:
                    self._child = 0
                    code = os.waitstatus_to_exitcode(status)
                    self._ending = signal.Signals(-code).name if code < 0 else f"exit {code}"
                else:
                    time.sleep(0.005)
            return self._ending

    def _read(self) -> None:
        lines = protocol.LineBuffer(protocol.MAX_LINE)
        try:
            while data := self._socket.recv(1 << 16):
                for line in lines.feed(data):
                    self._deliver(*protocol.decode_news(line))
        except (OSError, protocol.ProtocolError):
            pass
        with self._lock:
            self.alive = False
            for stream in self._streams.values():
                stream.put(None)

    def _deliver(self, request_id: str, news: protocol.News) -> None:
        self._heard += 1
        with self._lock:
            stream = self._streams.get(request_id)
        if stream is not None:
            stream.put(news)

    def close(self) -> None:
        """Leaves the host."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            if self._child:
                os.waitpid(self._child, os.WNOHANG)

    def handshake(self, keepalive: float) -> protocol.Welcome:
        """Says hello.

        Raises:
            EngineDied: the host has gone or hangs.
            HostUnreachable: it speaks another version.
        """
        self.open("")
        self.send(protocol.Hello(protocol.VERSION, keepalive))
        welcome = self.wait("")
        if not isinstance(welcome, protocol.Welcome) or welcome.version != protocol.VERSION:
            found = welcome.version if isinstance(welcome, protocol.Welcome) else "none"
            why = f"it speaks version {found}, this llmchat {protocol.VERSION}"
            raise HostUnreachable("the running engine is another version", why, "llmchat stop")
        self.pid = welcome.pid
        return welcome


class Patience:
    """Counts silence in ticks, not by the clock: a laptop that slept must not take its engine for hung."""

    def __init__(self, connection: Connection, give_up_after: float) -> None:
        self._connection = connection
        self._limit = max(2, round(give_up_after / TICK))
        self._silent, self._heard = 0, connection.heard

    def tick(self) -> None:
        """Counts one tick without news; pings half-way.

        Raises:
            EngineDied: the host hangs; it was killed.
        """
        if self._heard != self._connection.heard:
            self._silent, self._heard = 0, self._connection.heard
            return
        self._silent += 1
        if self._silent == self._limit // 2:
            self._connection.send(protocol.Ping())
        if self._silent >= self._limit:
            raise self._connection.give_up()
