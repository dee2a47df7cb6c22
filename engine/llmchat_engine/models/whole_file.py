"""A file that is there whole or not at all: written under another name beside it, and renamed at the end.

Knows nothing of what is in it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from llmchat_engine.durable import sync_directory
from llmchat_engine.models.disk import private_folders
from llmchat_engine.models.file_lock import try_lock


class Busy(Exception):
    """Another process is writing the same file."""


@contextlib.contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yields an empty file in the target's directory that nobody else writes to; nothing is left where the block fails.

    Its name is always the same, so what a killed process left behind is taken over and not left for ever.

    Raises:
        Busy: another process has it.
        OSError: it cannot be made.
    """
    path = target.with_name(f".{target.name}.part")
    private_folders(target.parent)
    lock = try_lock(path)
    if lock is not None and path.stat().st_size:
        # What a killed process left: its child may write to it for some milliseconds more, and not to a new one.
        lock.release()
        lock = try_lock(path)
    if lock is None:
        raise Busy(path)
    try:
        yield path
    finally:
        lock.release()  # takes the name away too, unless the file has its own by now


def put_in_place(temporary: Path, target: Path) -> None:
    """Gives a file its name once its bytes are on the disk, and has the disk know the name too.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(target)
    sync_directory(target.parent)
