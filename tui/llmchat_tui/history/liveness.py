"""Who is still writing: an instance holds a lock on a file of its own, which the kernel drops when it dies.

Knows no SQL and no message, and guesses no process ids.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from llmchat_tui.history import private

_SUFFIX = ".lock"


class Liveness:
    """The lock file of one instance, `<folder>/<instance>.lock`, and a look at those of the others."""

    def __init__(self, folder: Path, instance: str) -> None:
        self._folder = folder
        self._path = folder / f"{instance}{_SUFFIX}"
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Takes the lock; from here to `release` or death this instance counts as alive.

        Raises:
            OSError: the file cannot be made or locked.
        """
        if self._descriptor is not None:
            return
        private.make_folder(self._folder)
        descriptor = _locked(self._path, wait=True)
        # Another instance may have found the file before it was locked, and removed it as a dead one's.
        while not _is_same_file(descriptor, self._path):
            os.close(descriptor)
            descriptor = _locked(self._path, wait=True)
        self._descriptor = descriptor

    def release(self) -> None:
        """Removes the lock file and lets go of it."""
        if self._descriptor is None:
            return
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def is_known(self, instance: str) -> bool:
        """Returns whether an instance has a lock file; without one it is gone."""
        return (self._folder / f"{instance}{_SUFFIX}").exists()

    @contextmanager
    def dead(self) -> Iterator[list[str]]:
        """Yields the instances that died without `release`, holding their locks meanwhile.

        Their files are removed when the block succeeds, and stay as evidence for the next instance when it raises.

        Raises:
            OSError: the folder cannot be read or a file in it cannot be removed.
        """
        with ExitStack() as descriptors:
            found = []
            for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
                try:
                    descriptors.callback(os.close, _locked(path, wait=False))
                except (BlockingIOError, FileNotFoundError):
                    continue
                found.append(path)
            yield [path.stem for path in found]
            for path in found:
                path.unlink(missing_ok=True)


def _locked(path: Path, *, wait: bool) -> int:
    """Returns a descriptor that holds the lock; only an instance that waits makes the file."""
    descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if wait else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
