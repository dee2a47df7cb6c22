"""Collections in SQL. Knows no file system: a root is only a name here."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmchat_rag.errors import CollectionExists, CollectionMissing
from llmchat_rag.store.values import Collection, CollectionStatus

_COLUMNS = "c.id, c.name, c.root, c.include, c.exclude, c.created_at, c.updated_at"


def every(connection: sqlite3.Connection) -> list[Collection]:
    """Returns all collections by name."""
    return [_collection(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM collection c ORDER BY c.name")]  # noqa: S608


def named(connection: sqlite3.Connection, name: str) -> Collection:
    """Returns a collection.

    Raises:
        CollectionMissing: there is none of that name.
    """
    found = _find(connection, name)
    if found is None:
        names = ", ".join(collection.name for collection in every(connection)) or "none"
        raise CollectionMissing(f"there is no collection {name}", f"there are: {names}", "llmchat docs ls")
    return found


def add(
    connection: sqlite3.Connection, name: str, root: Path, include: Sequence[str], exclude: Sequence[str]
) -> Collection:
    """Adds a collection, or gives the one with this name and root new rules.

    Raises:
        CollectionExists: the name belongs to another root.
    """
    there = _find(connection, name)
    if there is not None and there.root != root:
        hint = f"llmchat docs add {shlex.quote(str(root))} -d ANOTHER-NAME"
        raise CollectionExists(f"there is a collection {name} already", f"of {there.root}", hint)
    connection.execute(
        "INSERT INTO collection (name, root, include, exclude, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET include = excluded.include, exclude = excluded.exclude",
        (name, os.fsencode(root), json.dumps(list(include)), json.dumps(list(exclude)), time.time()),
    )
    return named(connection, name)


def status(connection: sqlite3.Connection) -> tuple[CollectionStatus, ...]:
    """Returns every collection with its numbers."""
    rows = connection.execute(
        f"""
        SELECT {_COLUMNS}, coalesce(sum(d.status = 'indexed'), 0), coalesce(sum(d.status = 'refused'), 0),
            coalesce(sum(d.status = 'pending'), 0), coalesce(sum(d.chunks), 0), coalesce(sum(d.size), 0)
        FROM collection c LEFT JOIN document d ON d.collection_id = c.id GROUP BY c.id ORDER BY c.name
        """  # noqa: S608
    )
    return tuple(CollectionStatus(_collection(row), *row[7:]) for row in rows)


def ids(connection: sqlite3.Connection, names: Iterable[str]) -> tuple[int, ...]:
    """Returns the ids of collections.

    Raises:
        CollectionMissing: one of them is not there.
    """
    return tuple(named(connection, name).id for name in dict.fromkeys(names))


def _find(connection: sqlite3.Connection, name: str) -> Collection | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM collection c WHERE c.name = ?", (name,)).fetchone()  # noqa: S608
    return None if row is None else _collection(row)


def _collection(row: Sequence[Any]) -> Collection:
    key, name, root, include, exclude, created, updated = row[:7]
    return Collection(key, name, Path(os.fsdecode(root)), _patterns(include), _patterns(exclude), created, updated)


def _patterns(column: str) -> tuple[str, ...]:
    return tuple(str(pattern) for pattern in json.loads(column))
