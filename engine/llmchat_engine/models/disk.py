"""Room on a disk before a large file is written, what a refused write means, and names that survive a power cut.

Knows paths and the system's answers; knows no model and no network.
"""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

from llmchat_engine.durable import sync_directory
from llmchat_engine.errors import DiskUnwritable, EngineError, NotEnoughDisk

MARGIN = 1 << 30
"""Bytes left for everybody else: chats, caches and the system need some, and a full disk loses other programs' work."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REASONS = {
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "its name is too long for this file system",
    errno.ELOOP: "a link stands in its place",
}


def amount(size: int) -> str:
    """Returns a number of bytes in the powers of ten that file managers and the hub use."""
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= limit:
            return f"{size / limit:,.1f} {unit}"
    return f"{size} bytes"


def free_bytes(directory: Path) -> int | None:
    """Returns what this user may still write there; None where the system does not tell."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def require_room(directory: Path, missing: int, what: str) -> None:
    """Refuses what would leave less than a GiB free.

    Args:
        directory: Where it is to be written; it must exist.
        missing: Bytes still to be written.
        what: What cannot be done without them, as "download model.gguf"; text from outside.

    Raises:
        NotEnoughDisk: It does not fit.
    """
    free = free_bytes(directory)
    if free is not None and missing and free < missing + MARGIN:
        why = (
            f"{amount(missing)} are missing and {amount(MARGIN)} stay free as a margin, {amount(free)} are free: "
            f"{amount(missing + MARGIN - free)} too few"
        )
        raise NotEnoughDisk(f"not enough disk space to {what}", why, _make_room(directory))


def disk_error(error: OSError, path: Path, what: str) -> EngineError:
    """Returns what a refused write means.

    Args:
        error: What the system said.
        path: The file or the folder it was about.
        what: What could not be done, as "download model.gguf".

    Returns:
        NotEnoughDisk or DiskUnwritable, to be raised.
    """
    folder = path if os.path.isdir(path) else path.parent  # Path.is_dir raises where a name is too long
    if error.errno in _FULL:
        free = free_bytes(folder)
        left = "" if free is None else f", {amount(free)} are left"
        return NotEnoughDisk(
            f"could not {what}", f"the disk became full{left}; what is there is kept", _make_room(folder)
        )
    why = _REASONS.get(error.errno or 0, error.strerror or "the system refused it")
    return DiskUnwritable(f"could not {what}", f"{why}: {path}", f"look at it: ls -ld {shlex.quote(str(folder))}")


def private_folders(directory: Path) -> None:
    """Makes a directory and those above it that are missing; only this user may enter them.

    Raises:
        OSError: It cannot be made.
    """
    if directory.is_dir():
        return
    private_folders(directory.parent)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise


def write_private(path: Path, data: bytes) -> None:
    """Replaces a small file at once: a reader, and a power cut, finds the old one or the new one.

    Args:
        path: The file; whoever writes it holds a lock, so that the one beside it is a killed writer's and taken over.
        data: All of it.

    Raises:
        OSError: It cannot be written.
    """
    temporary = being_written(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def being_written(path: Path) -> Path:
    """Returns where a small file is written before it has its name."""
    return path.with_name(f"{path.name}.tmp")


def _make_room(directory: Path) -> str:
    return f"make room on that disk: df -h {shlex.quote(str(directory))}; llmchat ls shows what models take"
