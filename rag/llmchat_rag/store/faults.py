"""The one place where failures of SQLite and of the file system become errors that a person can act on.

Knows no table and no query.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmchat_rag.errors import StoreBusy, StoreDamaged, StoreError, StoreUnwritable

_NEARLY_FULL = 1 << 20
"""Free bytes under which a failed write is blamed on the disk: SQLite calls it FULL, IOERR_WRITE or IOERR."""

_READ_FAULTS = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises a StoreError in place of every failure of SQLite or the file system.

    Args:
        path: the database.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(path, error) from error
    except OSError as error:
        raise unwritable(Path(error.filename or path), error.strerror or str(error)) from error


def damaged(path: Path, why: str) -> StoreDamaged:
    """Returns the error for a store whose content cannot be trusted."""
    return StoreDamaged(f"{path} is damaged", f"{why}; your files are not touched", "llmchat docs doctor --repair")


def foreign(path: Path, why: str) -> StoreDamaged:
    """Returns the error for a file in the store's place that is not ours."""
    return StoreDamaged(f"{path} is not our document store", f"{why}; it was left as it is", f"mv {path} {path}.other")


def unwritable(path: Path, why: str) -> StoreUnwritable:
    """Returns the error for a store that cannot be written."""
    return StoreUnwritable(f"cannot write {path}", why, "make room or fix its permissions")


def _from_sqlite(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code in _READ_FAULTS:
        return damaged(path, str(error))
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return unwritable(path, _full_disk(path) or f"the system refused a write ({error})")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return unwritable(path, _read_only(path) or str(error))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(f"{path} is in use", "another program keeps it locked", "try again when it is done")
    return StoreError(f"{path} cannot be used", str(error), "llmchat docs doctor")


def _full_disk(path: Path) -> str:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return ""
    free = disk.f_bavail * disk.f_frsize
    return f"the disk is full ({os.strerror(errno.ENOSPC)})" if free < _NEARLY_FULL else ""


def _read_only(path: Path) -> str:
    blocked = next((place for place in (path, path.parent) if place.exists() and not os.access(place, os.W_OK)), None)
    return f"{'the file' if blocked == path else 'its folder'} is read-only" if blocked else ""
