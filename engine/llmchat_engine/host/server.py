"""The thread that owns the sockets: accepts clients, reads orders, writes news, counts the keepalive.

It never waits for the model: orders that need it go into the job queue, those that only count into a second one, pings
and cancels are answered here. Knows no llama.cpp. One selector, non-blocking sockets; other threads hand over news
through `_Client.send` and a wake pipe.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

from llmchat_engine import protocol
from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.jobs import Counting, Job, JobQueue
from llmchat_engine.peer import is_own_user
from llmchat_engine.types import ModelInfo

_START_GRACE = 30.0
"""Seconds a host waits for its first client: one that was killed while starting it must leave no orphan."""
_BACKLOG_LIMIT = 64 << 20
"""Bytes a client may leave unread before it is dropped: a stopped client must not fill the memory."""


class _Client:
    """One connection: bytes in, bytes out."""

    def __init__(self, number: int, connection: socket.socket, wake: Callable[[], None]) -> None:
        self.number, self.connection = number, connection
        self.lines = protocol.LineBuffer(protocol.MAX_LINE)
        self.greeted = False
        self._wake = wake
        self._lock = threading.Lock()
        self._outbox = bytearray()

    def send(self, news: protocol.News, request_id: str = "") -> None:
        """Queues a message. Safe from any thread."""
        line = protocol.encode(news, request_id)
        if len(line) > protocol.MAX_LINE:  # the prompt of a request can be longer than what asked for it
            too_large = RequestInvalid("the answer of the engine is too large", f"{len(line):,} bytes", "ask for less")
            line = protocol.encode(protocol.to_failure(too_large), request_id)
        with self._lock:
            self._outbox += line
        self._wake()

    @property
    def backlog(self) -> int:
        """Bytes not written yet."""
        return len(self._outbox)

    def flush(self) -> None:
        """Writes what the socket takes."""
        with self._lock, contextlib.suppress(BlockingIOError):
            while self._outbox:
                sent = self.connection.send(self._outbox[: 1 << 16])
                del self._outbox[:sent]


class Server:
    """Serves one listening socket until nobody has needed the host for its keepalive."""

    def __init__(
        self,
        listener: socket.socket,
        info: Callable[[], ModelInfo | None],
        forget: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        """Opens nothing but a pipe.

        Args:
            listener: The listening socket.
            info: Tells what is loaded.
            forget: Makes sure that nothing of a chat is kept from now on; called in this thread.
            log: Takes lines.
        """
        listener.setblocking(False)
        self._listener, self._info, self._forget, self._log = listener, info, forget, log
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._clients: dict[int, _Client] = {}
        self._count = 0
        self._keepalive = _START_GRACE
        self._alone_since = self._started = time.monotonic()
        self._leaving = ""

    def serve(self, jobs: JobQueue, counts: JobQueue) -> str:
        """Runs until the host is to leave, and returns why.

        Args:
            jobs: For the thread of the model.
            counts: For the thread that counts; used once a model is loaded.
        """
        self._jobs, self._counts = jobs, counts
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while not self._leaving:
            patience = self._patience()
            # epoll takes at most 2**31 - 1 ms: a keepalive of a month would end this thread.
            for key, events in self._selector.select(None if patience is None else min(patience, 3600.0)):
                self._handle(key, events)
            self._write_all()
            if self._patience() == 0:
                idle = self._count and self._info() is None
                self._leaving = "no client and no model" if idle else f"no client for {self._keepalive:g} s"
        return self._leaving

    def _patience(self) -> float | None:
        """Returns the seconds until it leaves; None while it has clients, and for a negative keepalive.

        The keepalive is for a model: a host whose file was refused, or whose load was stopped, keeps nothing warm.
        """
        if self._count and self._info() is None:
            return None if self._clients else 0.0
        if self._users():
            return None
        if self._keepalive < 0:
            return None
        return max(0.0, self._alone_since + self._keepalive - time.monotonic())

    def _users(self) -> int:
        """Returns the clients that said hello; one that only asks for the status is none."""
        return sum(client.greeted for client in self._clients.values())

    def _handle(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj == self._wake_read:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 1 << 16)
        elif (client := self._clients.get(key.data)) and events & selectors.EVENT_READ:
            self._read(client)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # no descriptor left: the client waits in the queue until one is
            self._log(f"a client could not be let in: {error}")
            time.sleep(0.1)
            return
        if not is_own_user(connection):
            self._log("refused a connection of another user")
            connection.close()
            return
        connection.setblocking(False)
        self._count += 1
        self._clients[self._count] = _Client(self._count, connection, self._wake)
        self._selector.register(connection, selectors.EVENT_READ, self._count)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(1 << 16)
            lines = client.lines.feed(data)
            if not data:
                self._drop(client)
            for line in lines:
                self._obey(client, *protocol.decode_order(line))
        except BlockingIOError:
            return
        except protocol.ProtocolError as error:
            self._log(f"client {client.number} dropped: {error}")
            self._drop(client)
        except OSError:
            self._drop(client)

    def _obey(self, client: _Client, order_id: str, order: protocol.Order) -> None:
        match order:
            case protocol.Hello():
                client.greeted = True
                self._keepalive = order.keepalive
                client.send(protocol.Welcome(protocol.VERSION, os.getpid(), self._info()))
            case protocol.Ping():
                client.send(protocol.Pong(), order_id)
            case protocol.Cancel(answer):
                self._jobs.cancel(client.number, order_id, answer)
            case protocol.Conclude(answer):
                self._jobs.conclude(client.number, order_id, answer)
            case protocol.Forget(chat):
                self._forget(chat)
                client.send(protocol.Pong(), order_id)
            case protocol.Quit():
                self._leaving = "asked to stop"
            case protocol.AskStatus():
                client.send(self._status(), order_id)
            case _ if not client.greeted:
                raise protocol.ProtocolError("work was ordered before a Hello")
            case _:
                send = lambda news: client.send(news, order_id)  # noqa: E731
                queue = self._counts if isinstance(order, Counting) and self._info() else self._jobs
                queue.put(Job(order_id, client.number, order, send))

    def _status(self) -> protocol.HostStatus:
        return protocol.HostStatus(
            pid=os.getpid(),
            model=self._info(),
            clients=self._users(),
            busy=self._jobs.busy,
            queued=len(self._jobs),
            keepalive=self._keepalive,
            leaves_in=-1.0 if (left := self._patience()) is None else left,
            uptime=time.monotonic() - self._started,
            resident=resident_bytes(),
        )

    def _write_all(self) -> None:
        for client in list(self._clients.values()):
            try:
                client.flush()
            except OSError:
                self._drop(client)
                continue
            if client.backlog > _BACKLOG_LIMIT:
                self._log(f"client {client.number} dropped: it reads too slowly")
                self._drop(client)
            else:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.backlog else 0)
                self._selector.modify(client.connection, wanted, client.number)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.number, None) is None:
            return
        self._selector.unregister(client.connection)
        client.connection.close()
        for queue in (self._jobs, self._counts):
            queue.cancel(client.number)
        if client.greeted and not self._users():
            self._alone_since = time.monotonic()


def resident_bytes() -> int:
    """Returns the memory this process holds, or 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
