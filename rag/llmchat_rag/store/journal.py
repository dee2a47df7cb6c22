"""What changed since when, so that a copy of the vectors elsewhere can catch up. Knows no copy.

Passages that came are not listed: their ids only ever grow, so they are all behind the last one of a generation.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence

from llmchat_rag.store.values import Position


def record(connection: sqlite3.Connection, removed: Sequence[int]) -> None:
    """Opens a generation, inside the transaction of its change.

    Args:
        connection: after everything else of the change.
        removed: the passages that it took away.
    """
    generation = connection.execute(
        "INSERT INTO journal (stamp, last_chunk)"
        " VALUES (?, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'chunk'))",
        (secrets.token_bytes(8),),
    ).lastrowid
    connection.executemany("INSERT INTO removed VALUES (?, ?)", [(generation, chunk_id) for chunk_id in removed])


def position(connection: sqlite3.Connection) -> Position:
    """Returns the newest generation."""
    row = connection.execute("SELECT generation, stamp FROM journal ORDER BY generation DESC LIMIT 1").fetchone()
    return Position(row[0], row[1].hex())


def last_chunk(connection: sqlite3.Connection, at: Position) -> int | None:
    """Returns the greatest id that a passage had at a position; None where this store was never there, or long ago."""
    row = connection.execute(
        "SELECT last_chunk FROM journal WHERE generation = ? AND stamp = ?", (at.generation, bytes.fromhex(at.stamp))
    ).fetchone()
    return None if row is None else int(row[0])


def removed_since(connection: sqlite3.Connection, generation: int) -> list[int]:
    """Returns the passages that were taken away after a generation."""
    rows = connection.execute("SELECT chunk_id FROM removed WHERE generation > ?", (generation,))
    return [row[0] for row in rows]


def forget_before(connection: sqlite3.Connection, generation: int) -> None:
    """Drops what only copies older than a generation would ask for."""
    connection.execute("DELETE FROM removed WHERE generation <= ?", (generation,))
    connection.execute(
        "DELETE FROM journal WHERE generation < ? AND generation < (SELECT max(generation) FROM journal)", (generation,)
    )
