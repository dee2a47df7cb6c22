"""From a path to a connection that may be written: makes a fresh file, refuses everything that is not ours.

Knows no message. What it refuses it has only read.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from llmchat_tui.errors import StorageForeign
from llmchat_tui.history import faults, private
from llmchat_tui.history.connection import connect, connect_memory
from llmchat_tui.history.schema import APPLICATION_ID, MIGRATIONS, Migration, migrate, version_of

_MAGIC = b"SQLite format 3\x00"


def open_file(path: Path, *, unclean: bool, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """Returns a connection to a database at its newest version, made if there is none.

    Args:
        path: the file; its folder is made with mode 0700, itself with 0600.
        unclean: whether an instance died here, so that every page is checked first.
        migrations: the steps to the newest version.

    Raises:
        StorageError: the file cannot be used; sqlite3.Error and OSError where the caller must translate.
    """
    _refuse_irregular(path)
    if _is_fresh(path):
        _make(path)
    _refuse_foreign(path, len(migrations), thorough=unclean)
    _refuse_read_only(path)
    connection = connect(path, "rw")
    try:
        migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_memory() -> sqlite3.Connection:
    """Returns a connection to an empty database at its newest version that never touches the disk."""
    connection = connect_memory()
    migrate(connection, None, MIGRATIONS)
    return connection


def quick_check(connection: sqlite3.Connection) -> list[str]:
    """Returns what SQLite finds wrong with the pages, at most 10 lines."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    return [] if found == ["ok"] else found


def _refuse_irregular(path: Path) -> None:
    """Asks before opening: a FIFO would wait for a writer, and SQLite takes a file of one byte for an empty one."""
    if path.exists() and not path.is_file():
        kind = "folder" if path.is_dir() else "special file"
        raise _foreign(path, f"it is a {kind}")
    if _size(path) == 1:
        raise _foreign(path, "it is not an SQLite database")


def _is_fresh(path: Path) -> bool:
    """Returns whether there is nothing to lose; SQLite would delete the log of an empty database."""
    log = path.with_name(f"{path.name}-wal")
    # The log first: an instance that is making the file now fills the file before it has a log.
    log_size = _size(log)
    if _size(path) > 0:
        return False
    if log_size > 0:
        raise faults.damaged(path, f"it is missing or empty, but its log {log.name} is not")
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _make(path: Path) -> None:
    private.make_folder(path.parent)
    with _alone(path.parent):
        if not path.exists():
            private.make_file(path)
        if path.stat().st_size > 0:  # another instance was faster
            return
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with closing(connect(path, "rw")) as connection:
            # The switch to a log writes one page; kept in memory, its journal cannot be left behind by a kill.
            connection.execute("PRAGMA journal_mode = MEMORY")
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise faults.unwritable(path, "the file system cannot share memory between programs")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other instances out of the creation; the lock goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_foreign(path: Path, known: int, *, thorough: bool) -> None:
    try:
        with closing(connect(path, "ro")) as connection:
            _refuse_content(path, connection, known, thorough=thorough)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF == sqlite3.SQLITE_NOTADB and not _has_magic(path):
            raise _foreign(path, "it is not an SQLite database") from error
        if code in (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_CANTOPEN) and _has_journal(path):
            raise _foreign(path, "another program left it in the middle of a write") from error
        raise


def _refuse_content(path: Path, connection: sqlite3.Connection, known: int, *, thorough: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != APPLICATION_ID and not (application == 0 and empty):
        raise _foreign(path, "it is the database of another program")
    version = version_of(connection)
    if version > known:
        raise _foreign(path, f"it was made by a newer llmchat (version {version}, this one knows {known})")
    problems = quick_check(connection) if thorough else []
    if problems:
        raise faults.damaged(path, problems[0])


def _refuse_read_only(path: Path) -> None:
    """Asks before opening, because SQLite silently falls back to reading."""
    for place, name in ((path, "the file"), (path.parent, "its folder")):
        if not os.access(place, os.W_OK):
            raise faults.unwritable(path, f"{name} is read-only")


def _has_magic(path: Path) -> bool:
    """Reads the file itself. Closing it drops this process's locks on it, so only where SQLite could not open it."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _has_journal(path: Path) -> bool:
    return path.with_name(f"{path.name}-journal").exists()


def _foreign(path: Path, why: str) -> StorageForeign:
    hint = f"move it away, or update llmchat; {faults.WITHOUT_HISTORY}"
    return StorageForeign(f"{path} is not our chat database", f"{why}; it was left as it is", hint)
