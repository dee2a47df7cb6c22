"""From a folder to a connection that may be written: makes a fresh store, refuses everything that is not ours.

Knows no document. What it refuses it has only read.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from llmchat_rag.store import faults
from llmchat_rag.store.connection import connect
from llmchat_rag.store.schema import APPLICATION_ID, MIGRATIONS, Migration, migrate, version_of

DATABASE = "store.db"


def open_store(folder: Path, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """Returns a connection to the store in a folder at its newest version, made if there is none.

    Args:
        folder: made with mode 0700, the files in it with 0600.
        migrations: the steps to the newest version.

    Raises:
        StoreError: it cannot be used; sqlite3.Error and OSError where the caller must translate.
    """
    path = folder / DATABASE
    if path.exists() and not path.is_file():
        raise faults.foreign(path, "it is no file")
    if path.exists() and path.stat().st_size == 1:  # SQLite takes it for an empty one
        raise faults.foreign(path, "it is not an SQLite database")
    if not path.exists() or path.stat().st_size == 0:
        _make(path)
    _refuse_foreign(path, len(migrations))
    connection = connect(path, "rw")
    try:
        migrate(connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def make_folder(folder: Path) -> None:
    """Creates a folder and its missing parents with mode 0700; `mkdir(parents=True)` gives parents the umask's mode."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _make(path: Path) -> None:
    make_folder(path.parent)
    with _alone(path.parent):
        if not path.exists():
            # SQLite would read the log of a store that was deleted into the new one.
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        # SQLite gives the files beside a database its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if path.stat().st_size > 0:  # another process was faster
            return
        with closing(connect(path, "rw")) as connection:
            # Before the first table, or it would take a VACUUM.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # The switch to a log writes one page; kept in memory, its journal cannot be left behind by a kill.
            connection.execute("PRAGMA journal_mode = MEMORY")
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise faults.unwritable(path, "the file system cannot share memory between programs")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the creation; the lock goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_foreign(path: Path, known: int) -> None:
    try:
        with closing(connect(path, "ro")) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            version = version_of(connection)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            raise faults.foreign(path, "it is not an SQLite database") from error
        raise
    if application != APPLICATION_ID and not (application == 0 and empty):
        raise faults.foreign(path, "it is the database of another program")
    if version > known:
        raise faults.foreign(path, f"a newer llmchat made it (version {version}, this one knows {known})")
