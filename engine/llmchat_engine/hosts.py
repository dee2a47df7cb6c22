"""The hosts of this user: what runs, stopping it, having a chat forgotten. Behind `ps`, `stop` and `chats delete`."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.connection import Connection
from llmchat_engine.errors import EngineError
from llmchat_engine.launch import Link, host_pid, join, sweep
from llmchat_engine.protocol import AskStatus, Forget, HostStatus, Ping, Pong, Quit

_ANSWER_TIME = 2.0


@dataclass(frozen=True, slots=True)
class RunningHost:
    """One host process; `status` is None where it does not answer."""

    pid: int
    socket: Path
    status: HostStatus | None


def running_hosts(runtime: Path) -> list[RunningHost]:
    """Returns every host of this user, and removes the sockets of dead ones."""
    found = (_look_at(path) for path in sorted(runtime.glob("*.sock")))
    return [host for host in found if host is not None]


def stop_host(host: RunningHost, seconds: float = 10.0) -> bool:
    """Asks a host to leave, and kills it when it does not; returns True where it had to be killed.

    Args:
        host: Which.
        seconds: How long it may take: it writes its chats to disk first.
    """
    if host.status is not None:
        with contextlib.suppress(OSError, EngineError), _visit(host.socket) as connection:
            if connection is None:
                sweep(host.socket)
                return False
            connection.send(Quit())
            if _gone(connection, seconds):
                return False
    with contextlib.suppress(OSError):
        if host.pid > 1:
            os.kill(host.pid, signal.SIGKILL)
    _sweep_soon(host.socket, seconds)
    return True


def forget_chat(runtime: Path, kv: Path | None, chat: str) -> bool:
    """Drops all that is kept of a chat: in every host that answers, then on disk.

    Args:
        runtime: Where the sockets are.
        kv: Where chats are kept on disk; None where nowhere.
        chat: Its name, as in `Request.chat`.

    Returns:
        Whether nothing of it is left on disk; False where the disk refused.
    """
    for path in sorted(runtime.glob("*.sock")):
        with contextlib.suppress(OSError, EngineError), _visit(path) as connection:
            if connection is not None:
                _forget_in(connection, chat)
    if kv is None:
        return True
    from llmchat_engine.kvstore import forget_chat as forget_on_disk

    return forget_on_disk(kv, chat)


def _forget_in(connection: Connection, chat: str) -> None:
    """Has one host forget a chat, and waits until it can write nothing more of it."""
    connection.open("forget")
    connection.send(Forget(chat), "forget")
    deadline = time.monotonic() + _ANSWER_TIME
    while time.monotonic() < deadline and not isinstance(connection.next("forget"), Pong):
        pass


def _look_at(path: Path) -> RunningHost | None:
    """Returns the host behind a socket; None, and no socket any more, where none listens."""
    try:
        with _visit(path) as connection:
            if connection is not None:
                return RunningHost(connection.pid, path, _status(connection))
        sweep(path)
    except (OSError, EngineError):  # its queue of connections is full: it has hung for long
        return RunningHost(host_pid(path), path, None)
    return None


def _sweep_soon(path: Path, seconds: float) -> None:
    """Removes the socket of a host that was just killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, EngineError):
            if sweep(path):
                return
        time.sleep(0.02)


@contextlib.contextmanager
def _visit(path: Path) -> Iterator[Connection | None]:
    """Yields a connection, or None where nothing listens."""
    socket = join(path)
    if socket is None:
        yield None
        return
    connection = Connection(Link(socket, host_pid(path), False, path), give_up_after=_ANSWER_TIME)
    try:
        yield connection
    finally:
        connection.close()


def _status(connection: Connection) -> HostStatus | None:
    """Asks for the status without a Hello's side effects on a host that hangs: that one is reported, not killed."""
    connection.open("status")
    try:
        connection.send(Ping())
        connection.send(AskStatus(), "status")
        deadline = time.monotonic() + _ANSWER_TIME
        while time.monotonic() < deadline:
            if isinstance(news := connection.next("status"), HostStatus):
                return news
    except EngineError:
        pass
    return None


def _gone(connection: Connection, seconds: float) -> bool:
    """Waits for the host to hang up; its process id stays for as long as its parent has not asked how it ended."""
    deadline = time.monotonic() + seconds
    while connection.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    return not connection.alive
