"""Directories and files of the store: names, walking, opening, writing whole or not at all, sweeping, removing.

    <root>/<key, 32 hex>/<hash of the chat's name, 32 hex>/<hash of the ids, 24 hex>.kv

Whatever has another name is not the store's and is left alone. Knows nothing of what the files hold.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from llmchat_engine.kvstore.format import Damaged

SUFFIX, TEMPORARY = ".kv", ".tmp"
_KEY = re.compile(r"[0-9a-f]{32}")
_CHAT = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[0-9a-f]{24}\.kv")
_TEMPORARY = re.compile(r"[0-9a-f]{24}\.\d+\.[0-9a-f]{8}\.tmp")
_ABANDONED_AFTER = 3600.0


class Found(NamedTuple):
    """A file of the store, not looked into."""

    path: Path
    size: int
    used_at: float
    inode: int
    links: int


def chat_name(chat: str) -> str:
    """Returns the directory name of a chat, which does not tell the chat's own."""
    from hashlib import blake2b

    return blake2b(chat.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def file_name(packed: bytes) -> str:
    """Returns the file name of packed ids."""
    from hashlib import blake2b

    return blake2b(packed, digest_size=12).hexdigest() + SUFFIX


def key_directories(root: Path) -> list[Path]:
    """Returns the directory of each model that something is kept of."""
    return [root / name for name in _names(root) if _KEY.fullmatch(name)]


def chat_directories(key_directory: Path) -> list[Path]:
    """Returns the directory of each chat that something is kept of, for one model."""
    return [key_directory / name for name in _names(key_directory) if _CHAT.fullmatch(name)]


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:  # never made, or removed by another process
        return []


def entries_in(chat_directory: Path) -> Iterator[Found]:
    """Returns the finished files of one chat."""
    return _look_at(chat_directory, _FILE)


def temporaries_in(chat_directory: Path) -> Iterator[Found]:
    """Returns the unfinished files of one chat."""
    return _look_at(chat_directory, _TEMPORARY)


def _look_at(directory: Path, pattern: re.Pattern[str]) -> Iterator[Found]:
    for name in _names(directory):
        if pattern.fullmatch(name):
            path = directory / name
            with contextlib.suppress(OSError):
                found = path.lstat()
                yield Found(path, found.st_size, found.st_mtime, found.st_ino, found.st_nlink)


def make_private(directory: Path) -> None:
    """Makes a directory that only this user can look into.

    Raises:
        OSError: it cannot be made.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) != 0o700:
        directory.chmod(0o700)


def make_room_for(path: Path) -> None:
    """Makes the directories of a model and of a chat that a file stands in.

    Raises:
        OSError: they cannot be made.
    """
    make_private(path.parent.parent)
    make_private(path.parent)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Opens a file of the store for reading.

    Raises:
        Damaged: something else stands there: a link, a pipe, a directory.
        OSError: it cannot be read.
    """
    try:  # without O_NONBLOCK a pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Damaged("it is no regular file") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Damaged("it is no regular file")
        if found.st_uid != os.geteuid():  # a checksum is no signature: llama.cpp would believe whoever wrote it
            raise PermissionError(errno.EPERM, "it belongs to another user")
        yield descriptor
    finally:
        os.close(descriptor)


class Temporary(NamedTuple):
    """A file that is being written, under a name that no reader looks at."""

    descriptor: int
    path: Path


@contextlib.contextmanager
def temporary(target: Path) -> Iterator[Temporary]:
    """Opens a new private file beside `target`, and removes it at the end unless it was renamed.

    Raises:
        OSError: it cannot be made.
    """
    path = target.with_name(f"{target.stem}.{os.getpid()}.{os.urandom(4).hex()}{TEMPORARY}")
    descriptor = _create(path)
    try:
        # Held until the writer is gone, however it goes: process ids come back, in containers at every start.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Temporary(descriptor, path)
    finally:
        with contextlib.suppress(OSError):
            remove(path)
        os.close(descriptor)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    make_room_for(path)
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:  # another host removed the empty directory in between
        make_room_for(path)
        return os.open(path, flags, 0o600)


def write_all(descriptor: int, piece: memoryview) -> None:
    """Writes every byte.

    Raises:
        OSError: the disk is full, or gone.
    """
    while piece.nbytes:
        piece = piece[os.write(descriptor, piece) :]


def remove(path: Path) -> None:
    """Removes what stands at a path, and the directory around it where that is empty then.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):  # macOS calls a directory "not permitted"
        path.rmdir()
    remove_empty(path.parent)


def remove_empty(directory: Path) -> None:
    """Removes a directory where nothing is in it."""
    with contextlib.suppress(OSError):
        directory.rmdir()


def empty(chat_directory: Path) -> bool:
    """Removes what the store has in a chat's directory, and the directory; the unfinished files of any process too.

    Returns:
        Whether nothing of it is left.
    """
    for found in (*entries_in(chat_directory), *temporaries_in(chat_directory)):
        with contextlib.suppress(OSError):
            remove(found.path)
    remove_empty(chat_directory)
    return not (any(entries_in(chat_directory)) or any(temporaries_in(chat_directory)))


def sweep(root: Path) -> None:
    """Removes the unfinished files of writers that are gone, and those older than an hour."""
    for key_directory in key_directories(root):
        for chat_directory in chat_directories(key_directory):
            for found in temporaries_in(chat_directory):
                if _writer_is_gone(found):
                    with contextlib.suppress(OSError):
                        remove(found.path)
            remove_empty(chat_directory)  # of a writer that was killed before its first file


def _writer_is_gone(found: Found) -> bool:
    if time.time() - found.used_at > _ABANDONED_AFTER:
        return True
    try:
        with opened(found.path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except Damaged:
        return True
    except OSError:
        return False
    return True
