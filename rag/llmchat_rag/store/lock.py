"""Who may write: one process at a time, by a lock that the kernel drops with the process. Knows no SQL."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmchat_rag.errors import StoreBusy

LOCK = ".lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keeps every other writer out; readers do not ask.

    Args:
        folder: of the store.

    Raises:
        StoreBusy: another one is at it.
        OSError: the lock cannot be made.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(os.pread(descriptor, 20, 0)) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _busy(written: bytes) -> StoreBusy:
    who = f"process {written.decode()}" if written.isdigit() else "another process"
    return StoreBusy("the documents are being indexed", f"{who} is at it", "wait for it, or stop it; searching goes on")
