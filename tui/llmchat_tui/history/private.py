"""Files and folders that only their owner can read, whatever the umask. Knows no SQL; changes nothing that exists."""

from __future__ import annotations

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Creates a folder and its missing parents with mode 0700; `mkdir(parents=True)` gives parents the umask's mode.

    Raises:
        OSError: a part of the path cannot be created or is not a folder.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """Creates an empty file with mode 0600. SQLite gives its -wal and -shm files the mode of the database.

    Raises:
        OSError: the file exists or cannot be created.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, would survive a power cut.

    Raises:
        OSError: it cannot be opened or the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
