"""Vectors as bytes, found again by what they were made of, so that no text is embedded twice. Knows no numbers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmchat_rag.store.connection import among
from llmchat_rag.store.values import EmbedderMark


@dataclass(frozen=True, slots=True)
class Batch:
    """Passages of one collection with ascending ids, and their vectors."""

    collection_id: int
    ids: list[int]
    vectors: list[bytes]


def known(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Returns those of these hashes that have a vector."""
    return {row[0] for row in among(connection, "SELECT hash FROM vector WHERE hash IN ({})", hashes)}


def remember(connection: sqlite3.Connection, hashes: Sequence[bytes], blobs: Sequence[bytes]) -> None:
    """Keeps vectors; a passage that uses them may come later."""
    connection.executemany("INSERT OR IGNORE INTO vector (hash, v) VALUES (?, ?)", zip(hashes, blobs, strict=True))


def sweep(connection: sqlite3.Connection) -> int:
    """Forgets the vectors that no passage uses; returns how many."""
    unused = "SELECT id FROM vector v WHERE NOT EXISTS (SELECT 1 FROM chunk c WHERE c.vector_id = v.id)"
    return connection.execute(f"DELETE FROM vector WHERE id IN ({unused})").rowcount  # noqa: S608


def count(connection: sqlite3.Connection) -> int:
    """Returns how many vectors are kept."""
    # The index of the hashes is 30 times smaller than the table.
    return int(connection.execute("SELECT count(hash) FROM vector INDEXED BY sqlite_autoindex_vector_1").fetchone()[0])


def after(connection: sqlite3.Connection, last_chunk: int, size: int) -> Iterator[Batch]:
    """Yields the vectors of all passages with greater ids than one, in the order of the ids, one collection a batch."""
    rows = connection.execute(
        "SELECT c.id, d.collection_id, v.v FROM chunk c JOIN document d ON d.id = c.document_id"
        " JOIN vector v ON v.id = c.vector_id WHERE c.id > ? ORDER BY c.id",
        (last_chunk,),
    )
    batch = Batch(0, [], [])
    for key, collection_id, blob in rows:
        if batch.ids and (collection_id != batch.collection_id or len(batch.ids) >= size):
            yield batch
            batch = Batch(collection_id, [], [])
        if not batch.ids:
            batch = Batch(collection_id, [], [])
        batch.ids.append(key)
        batch.vectors.append(blob)
    if batch.ids:
        yield batch


def mark(connection: sqlite3.Connection) -> EmbedderMark | None:
    """Returns which embedder made the vectors; None before the first."""
    row = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'embedder%'").fetchall())
    if not row:
        return None
    return EmbedderMark(row["embedder"], row["embedder_fingerprint"], int(row["embedder_dimension"]))


def set_mark(connection: sqlite3.Connection, made_by: EmbedderMark) -> None:
    """Remembers which embedder makes the vectors from now on."""
    values = (
        ("embedder", made_by.name),
        ("embedder_fingerprint", made_by.fingerprint),
        ("embedder_dimension", str(made_by.dimension)),
    )
    connection.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values)


def note(connection: sqlite3.Connection, name: str) -> str | None:
    """Returns what was noted under a name."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row and str(row[0])


def set_note(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Notes something in place of what was noted under that name."""
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
