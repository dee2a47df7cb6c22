"""The one place where failures of SQLite and of the file system become errors that a person can act on.

Knows no table and no query; reads nothing but the free space of the disk.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmchat_tui.errors import StorageDamaged, StorageError, StorageUnwritable

WITHOUT_HISTORY = "--no-log chats without keeping anything"
NEARLY_FULL = 1 << 20
"""Free bytes under which a failed write is blamed on the disk: SQLite calls it FULL, IOERR_WRITE or IOERR."""

_READ_FAULTS = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class MalformedRow(sqlite3.DatabaseError):
    """A row of ours holds what we never wrote."""


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Raises a StorageError in place of every failure of SQLite or the file system.

    Args:
        path: the database; None in memory.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(path, error) from error
    except OSError as error:
        raise _from_system(path, error) from error


def damaged(path: Path, why: str) -> StorageDamaged:
    """Returns the error for a database whose content cannot be trusted."""
    return StorageDamaged(
        f"{path} is damaged",
        f"{why}; it was left as it is",
        f"run llmchat doctor; older copies, if any, are {path}.backup-v*; {WITHOUT_HISTORY}",
    )


def unwritable(path: Path, why: str) -> StorageUnwritable:
    """Returns the error for a database that cannot be written."""
    return StorageUnwritable(f"cannot write {path}", why, f"make room or fix its permissions; {WITHOUT_HISTORY}")


def _from_sqlite(path: Path | None, error: sqlite3.Error) -> StorageError:
    if path is None:
        return StorageError("the chats in memory cannot be used", str(error))
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if isinstance(error, MalformedRow) or primary == sqlite3.SQLITE_CORRUPT or code in _READ_FAULTS:
        return damaged(path, str(error))
    if primary == sqlite3.SQLITE_NOTADB:
        return damaged(path, "it is an SQLite database only at its first bytes")
    if code is None and isinstance(error, sqlite3.OperationalError):
        # Only "Could not decode to UTF-8", whose message quotes the text.
        return damaged(path, "a text in it is not UTF-8")
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return unwritable(path, _full_disk(path) or f"the system refused a write ({error})")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return unwritable(path, _read_only(path) or str(error))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError(f"{path} is in use", "another program keeps it locked", f"close it; {WITHOUT_HISTORY}")
    return StorageError(f"{path} cannot be used", str(error), WITHOUT_HISTORY)


def _from_system(path: Path | None, error: OSError) -> StorageError:
    if path is None or error.errno not in _FULL_ERRNOS:
        return unwritable(Path(error.filename or path or "the chats"), error.strerror or str(error))
    return unwritable(path, _full_disk(path) or str(error))


def _full_disk(path: Path) -> str:
    """Returns a sentence when the disk really is full; a quota or a file size limit fails with the same codes."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    free = disk.f_bavail * disk.f_frsize
    return f"the disk is full, {free // 1024:,} KiB are free" if free < NEARLY_FULL else ""


def _read_only(path: Path) -> str:
    """Returns a sentence when this user may not write here; a database with a log needs its folder too."""
    blocked = next((place for place in (path, path.parent) if place.exists() and not os.access(place, os.W_OK)), None)
    return f"{'the file' if blocked == path else 'its folder'} is read-only" if blocked else ""
