"""One process, and one thread of it, at a file: a lock that ends with whoever holds it, however that ends.

Knows paths; knows neither models nor downloads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from llmchat_engine.models.disk import private_folders

_EVERY = 0.02
_TRIES = 100


class FileLock:
    """Held until `release`, or until this process is gone."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    def release(self) -> None:
        """Gives it back, and leaves no file behind."""
        with contextlib.suppress(OSError):
            self._path.unlink()  # before the lock ends: afterwards it may be another holder's
        os.close(self._descriptor)


def try_lock(path: Path) -> FileLock | None:
    """Takes a lock where nobody holds it.

    Args:
        path: The lock's file; it and the folders above are made.

    Returns:
        The lock; None where another has it.

    Raises:
        OSError: The file cannot be made.
    """
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks: alone is what one mostly is
            return FileLock(descriptor, path)
        if _is_there(descriptor, path):
            return FileLock(descriptor, path)
        os.close(descriptor)  # its last holder removed it between the two calls


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that nobody holds for long.

    Raises:
        OSError: The file cannot be made.
    """
    while (lock := try_lock(path)) is None:
        time.sleep(_EVERY)
    try:
        yield
    finally:
        lock.release()


def _opened(path: Path) -> int:
    """Opens the lock's file; the folder may be empty, and another process may remove it in between."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):
            private_folders(path.parent)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
