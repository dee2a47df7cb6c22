"""Finding the host of a model, or starting one: socket names, the launch lock, the new process.

Knows no messages: it ends with a connected socket. The client binds and listens, and the host inherits the listening
socket; so there is nothing to wait for and nothing to poll.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.errors import HostUnreachable, ModelMissing
from llmchat_engine.peer import is_own_user
from llmchat_engine.protocol import VERSION
from llmchat_engine.types import ModelSpec

_CONNECT_TIMEOUT = 10
_LISTEN_FD = 3
_LOG_LIMIT = 256 << 10
_LOG_AGE = 30 * 86_400
_SECRETS = ("TOKEN", "SECRET", "PASSW", "CREDENTIAL", "_KEY", "_PROXY")
"""Parts of environment names that the host has no use for."""


@dataclass(frozen=True, slots=True)
class Places:
    """The directories an engine uses; all of them private to the user."""

    runtime: Path
    """Sockets."""
    logs: Path
    state: Path
    """What was learned about this machine."""
    kv: Path | None = None
    """Chats as the model saw them, kept for the next time; None keeps none on disk."""
    kv_budget: int = 0
    """Bytes that they may take; 0 takes min(8 GiB, 5 % of the free disk)."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connected host."""

    connection: socket.socket
    pid: int
    is_child: bool
    """True where this process started it, and so learns how it ends."""
    log: Path


def socket_name(spec: ModelSpec) -> str:
    """Returns the name under which a model with these options is served.

    The file's size and time are part of it: a file that was replaced is another model.

    Raises:
        ModelMissing: there is no such file.
    """
    try:
        path = spec.path.resolve()
        found = path.stat()
    except (OSError, RuntimeError) as error:
        raise ModelMissing(f"{spec.path} cannot be read", getattr(error, "strerror", "") or str(error)) from error
    identity = (VERSION, str(path), found.st_size, found.st_mtime_ns, *_options(spec))
    text = repr(identity).encode()
    # Not hashlib: its OpenSSL takes 5 ms to load before the host can be started. Two models of one user that share
    # 64 bits of checksum do not happen by accident.
    return f"{zlib.crc32(text):08x}{zlib.crc32(text[::-1]):08x}"


def _options(spec: ModelSpec) -> tuple[object, ...]:
    """Returns what of a spec makes another host of the same file."""
    return spec.n_ctx, spec.gpu_layers, spec.threads, spec.batch, spec.cache_type_k, spec.cache_type_v, spec.rpc_servers


def reach(name: str, places: Places) -> Link:
    """Joins the host of that name, or starts it.

    Raises:
        HostUnreachable: neither worked.
    """
    path, log = places.runtime / f"{name}.sock", places.logs / f"host-{name}.log"
    try:
        if connection := join(path):
            return Link(connection, host_pid(path), False, log)
        with _launch_lock(places.runtime):
            if connection := join(path):
                return Link(connection, host_pid(path), False, log)
            return _start(path, log)
    except OSError as error:
        raise HostUnreachable("the engine could not be started", f"{error}", "llmchat doctor") from error


def join(path: Path) -> socket.socket | None:
    """Returns a connection to the host at `path`; None where none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    limit_sending(connection, _CONNECT_TIMEOUT)
    try:
        connection.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    if not is_own_user(connection):
        connection.close()
        raise HostUnreachable(f"{path} belongs to another user", "it will not be spoken to", f"rm {path}")
    return connection


def sweep(path: Path) -> bool:
    """Removes the socket file of a dead host; False where a host listens on it."""
    with _launch_lock(path.parent):
        connection = join(path)
        if connection is not None:
            connection.close()
            return False
        path.unlink(missing_ok=True)
        path.with_suffix(".pid").unlink(missing_ok=True)
        return True


def limit_sending(connection: socket.socket, seconds: int) -> None:
    """Lets connect and send wait this long and no longer; receiving waits as long as it takes."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))


@contextlib.contextmanager
def _launch_lock(runtime: Path) -> Iterator[None]:
    """Lets one client at a time look for a dead socket and start a host."""
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = runtime.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise HostUnreachable(f"{runtime} is not a private directory of yours", "no socket is put there")
    descriptor = os.open(runtime / "launch.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(path: Path, log: Path) -> Link:
    pid_file = path.with_suffix(".pid")
    for leftover in (path, pid_file):  # a dead host's number may be another process by now
        leftover.unlink(missing_ok=True)
    pid_file.touch(0o600)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(64)
        child = _spawn(listener.fileno(), path, log)
        pid_file.write_text(str(child))
    connection = join(path)
    if connection is None:
        raise HostUnreachable("the engine stopped at once", last_words(log), "llmchat doctor")
    return Link(connection, child, True, log)


def host_pid(path: Path) -> int:
    """Returns the process id of the host behind a socket that answers; 0 where it cannot be told."""
    try:
        return int(path.with_suffix(".pid").read_text())
    except (OSError, ValueError):
        return 0


def _spawn(listener: int, path: Path, log: Path) -> int:
    """Starts `python -m llmchat_engine.host` with the listening socket as descriptor 3 and its output in the log."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tidy_logs(log)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        # First: where this process was started without a stdin or stderr, the listener has that number.
        (os.POSIX_SPAWN_DUP2, listener, _LISTEN_FD),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # -P: a file of the current directory must not shadow a module.
    command = [sys.executable, "-P", "-m", "llmchat_engine.host", str(_LISTEN_FD), os.fspath(path)]
    return os.posix_spawn(sys.executable, command, clean_environment(), file_actions=actions)


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without what a process that runs a model has no use for: keys, proxies."""
    return {key: value for key, value in os.environ.items() if not any(part in key.upper() for part in _SECRETS)}


def _tidy_logs(log: Path) -> None:
    """Puts a long log aside, and removes those of models that were not used for a month."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.old"))
    for other in log.parent.glob("host-*.log*"):
        with contextlib.suppress(OSError):
            if time.time() - other.stat().st_mtime > _LOG_AGE:
                other.unlink()


def last_words(log: Path) -> str:
    """Returns the line of a dead host's log that says most, without its time and process id."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return "its log cannot be read"
    for sign in ("GGML_ASSERT", "Fatal Python error", " leaving: "):
        for line in reversed(lines):
            if sign in line:
                return _said(line).rpartition("vendor/")[2]
            if line.endswith(" started"):
                break
    return _said(lines[-1]) if lines else "its log is empty"


def _said(line: str) -> str:
    parts = line.strip().split(" ", 2)
    return parts[2] if len(parts) == 3 and parts[1].isdecimal() else line.strip()
