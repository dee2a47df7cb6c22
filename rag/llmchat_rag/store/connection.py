"""One way to connect to SQLite and one way to write. Knows no table and no file check."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

BUSY_SECONDS = 30.0
"""How long a writer waits for another; one of its transactions takes 5 ms, a migration seconds."""

_MOST_VALUES = 500
"""Of one statement; SQLite takes 999 on its oldest builds."""

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    # Sorting and FTS may spill text into a temporary file that anyone can read.
    "PRAGMA temp_store = MEMORY",
    # Whatever a power cut undoes is read from the files again, so commits need no fsync: 0.2 instead of 3 ms.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -32000",
    # The text of a removed document is overwritten where its page is written anyway.
    "PRAGMA secure_delete = FAST",
)


def connect(path: Path, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
    """Returns a connection to an existing file; a read-only one never writes it, not even to recover."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def among(connection: sqlite3.Connection, statement: str, values: Iterable[int] | Iterable[bytes]) -> Iterator[Any]:
    """Yields the rows of a statement with `IN ({})`, for so many values at once as every SQLite takes.

    Args:
        connection: to read from.
        statement: its braces become a question mark for each value.
        values: any number, each asked for once.
    """
    wanted: list[int | bytes] = list(dict.fromkeys(values))
    for start in range(0, len(wanted), _MOST_VALUES):
        some = wanted[start : start + _MOST_VALUES]
        yield from connection.execute(statement.format(",".join("?" * len(some))), some)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Writes everything inside or nothing."""
    # A deferred BEGIN fails with SQLITE_BUSY where another process wrote after our first read.
    yield from _inside(connection, "BEGIN IMMEDIATE")


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Reads one state of the store, whatever others write meanwhile."""
    yield from _inside(connection, "BEGIN")


def _inside(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
