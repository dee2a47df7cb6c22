"""Passages, read: with their texts, places and neighbours. Knows nothing of what makes a good one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from llmchat_rag.store.connection import among
from llmchat_rag.store.values import Place, StoredVector
from llmchat_rag.types import Passage, Scores, Span

_PASSAGE = """
    SELECT c.id, c.document_id, k.name, d.path, d.title, t.heading, t.text,
        c.start, c.end, c.line, c.last_line, c.page, c.last_page
    FROM chunk c JOIN document d ON d.id = c.document_id JOIN collection k ON k.id = d.collection_id
    JOIN chunk_text t ON t.chunk_id = c.id WHERE c.id IN ({})
"""

_VECTOR = """
    SELECT c.id, c.document_id, d.chunks, v.v FROM chunk c JOIN document d ON d.id = c.document_id
    JOIN vector v ON v.id = c.vector_id WHERE c.id IN ({})
"""

_PLACE = "SELECT id, document_id, seq, start, end, tokens FROM chunk"


def passages(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Passage]:
    """Returns the passages of these ids that are there, without scores."""
    found = {}
    for key, document_id, collection, path, title, heading, words, *span in among(connection, _PASSAGE, ids):
        found[key] = Passage(key, document_id, collection, path, title, heading, words, Span(*span), Scores(0.0))
    return found


def vectors(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, StoredVector]:
    """Returns the vectors of those of these ids that are there."""
    return {row[0]: StoredVector(*row[1:]) for row in among(connection, _VECTOR, ids)}


def places(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Place]:
    """Returns where these passages stand among their neighbours."""
    return {row[0]: Place(*row) for row in among(connection, f"{_PLACE} WHERE id IN ({{}})", ids)}


def around(connection: sqlite3.Connection, place: Place, distance: int) -> list[Place]:
    """Returns the passages before and behind a passage, up to a distance, in their order."""
    rows = connection.execute(
        f"{_PLACE} WHERE document_id = ? AND seq BETWEEN ? AND ? AND seq <> ? ORDER BY seq",
        (place.document_id, place.seq - distance, place.seq + distance, place.seq),
    )
    return [Place(*row) for row in rows]


def of_document(connection: sqlite3.Connection, document_id: int) -> list[int]:
    """Returns the ids of a document's passages in their order."""
    rows = connection.execute("SELECT id FROM chunk WHERE document_id = ? ORDER BY seq", (document_id,))
    return [row[0] for row in rows]


def text(connection: sqlite3.Connection, document_id: int) -> str:
    """Returns what was read from a document; nothing where it is not there."""
    row = connection.execute("SELECT text FROM document_text WHERE document_id = ?", (document_id,)).fetchone()
    return "" if row is None else str(row[0])


def count(connection: sqlite3.Connection) -> int:
    """Returns how many passages there are."""
    return int(connection.execute("SELECT coalesce(sum(chunks), 0) FROM document").fetchone()[0])
