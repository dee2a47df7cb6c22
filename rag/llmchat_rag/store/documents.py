"""Documents and their passages, written. Every function is called inside a transaction; knows no file system."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_rag.store import journal, words
from llmchat_rag.store.values import Document, FileState
from llmchat_rag.types import Chunk, Found, Parsed, Refused

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that was read, cut and embedded: what a transaction writes."""

    found: Found
    hash: bytes
    """Of the bytes of the file."""
    parsed: Parsed
    chunks: Sequence[Chunk]
    vectors: Sequence[bytes]
    """The hash of each chunk's vector, which the store has already."""
    chunker: str = ""
    """The version of what cut it."""


def states(connection: sqlite3.Connection, collection_id: int) -> dict[str, FileState]:
    """Returns what is known of each file of a collection, by its path."""
    rows = connection.execute(
        "SELECT path, id, size, mtime_ns, hash, status, error, parser, parser_version, chunker"
        " FROM document WHERE collection_id = ?",
        (collection_id,),
    )
    return {row[0]: FileState(*row[1:]) for row in rows}


def listed(connection: sqlite3.Connection, collection_id: int) -> list[Document]:
    """Returns the documents of a collection by path."""
    rows = connection.execute(
        "SELECT d.id, c.name, d.path, d.title, d.size, d.chunks, d.status, d.error, d.parser, d.indexed_at"
        " FROM document d JOIN collection c ON c.id = d.collection_id WHERE c.id = ? ORDER BY d.path",
        (collection_id,),
    )
    return [Document(*row) for row in rows]


def put(connection: sqlite3.Connection, collection_id: int, entry: Entry) -> None:
    """Writes a document in place of what was there under its path."""
    gone = _empty(connection, collection_id, entry.found.relative)
    document_id = _write_document(connection, collection_id, entry)
    first, last = _write_chunks(connection, document_id, entry)
    words.add(connection, document_id, first, last)
    journal.record(connection, gone)


def refuse(connection: sqlite3.Connection, collection_id: int, found: Found, digest: bytes, refused: Refused) -> None:
    """Remembers that a file cannot be read; what an older state of it said is not found any more."""
    status = "refused" if refused.failed else "empty"
    gone = _empty(connection, collection_id, found.relative)
    _upsert(connection, collection_id, found, digest, ("", "", 0, status, clean(refused.reason), 0, ""))
    if gone:
        journal.record(connection, gone)


def touch(connection: sqlite3.Connection, document_id: int, found: Found) -> None:
    """Remembers that a file is as it was, though its time is not."""
    connection.execute(
        "UPDATE document SET size = ?, mtime_ns = ? WHERE id = ?", (found.size, found.mtime_ns, document_id)
    )


def drop(connection: sqlite3.Connection, document_ids: Sequence[int]) -> None:
    """Forgets documents with everything that can be found of them."""
    gone = [chunk for document_id in document_ids for chunk in _remove_chunks(connection, document_id)]
    connection.executemany("DELETE FROM document WHERE id = ?", [(key,) for key in document_ids])
    journal.record(connection, gone)


def void(connection: sqlite3.Connection) -> None:
    """Takes the passages of all documents away, which then wait to be read again."""
    words.clear(connection)
    gone = [row[0] for row in connection.execute("SELECT id FROM chunk")]
    for table in ("chunk_text", "chunk", "document_text"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.execute("UPDATE document SET status = 'pending', hash = x'', chunks = 0")
    journal.record(connection, gone)


def clean(text: str) -> str:
    """Returns a text that UTF-8 can hold, of the same length: half a surrogate pair becomes U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def _empty(connection: sqlite3.Connection, collection_id: int, path: str) -> list[int]:
    """Takes away what a document holds; its row stays, and its id with it."""
    row = connection.execute(
        "SELECT id FROM document WHERE collection_id = ? AND path = ?", (collection_id, clean(path))
    ).fetchone()
    return [] if row is None else _remove_chunks(connection, row[0])


def _remove_chunks(connection: sqlite3.Connection, document_id: int) -> list[int]:
    chunks = [row[0] for row in connection.execute("SELECT id FROM chunk WHERE document_id = ?", (document_id,))]
    if chunks:
        words.remove(connection, document_id)
    connection.execute("DELETE FROM chunk WHERE document_id = ?", (document_id,))
    connection.execute("DELETE FROM document_text WHERE document_id = ?", (document_id,))
    return chunks


def _write_document(connection: sqlite3.Connection, collection_id: int, entry: Entry) -> int:
    parsed = entry.parsed
    columns = (clean(parsed.title), parsed.parser, parsed.version, "indexed", "", len(entry.chunks), entry.chunker)
    document_id = _upsert(connection, collection_id, entry.found, entry.hash, columns)
    connection.execute("INSERT INTO document_text VALUES (?, ?)", (document_id, clean(parsed.text)))
    return document_id


def _upsert(
    connection: sqlite3.Connection,
    collection_id: int,
    found: Found,
    digest: bytes,
    columns: tuple[str, str, int, str, str, int, str],
) -> int:
    row = connection.execute(
        "INSERT INTO document (collection_id, path, size, mtime_ns, hash, indexed_at,"
        " title, parser, parser_version, status, error, chunks, chunker)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (collection_id, path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,"
        " hash = excluded.hash, indexed_at = excluded.indexed_at, title = excluded.title, parser = excluded.parser,"
        " parser_version = excluded.parser_version, status = excluded.status, error = excluded.error,"
        " chunks = excluded.chunks, chunker = excluded.chunker RETURNING id",
        (collection_id, clean(found.relative), found.size, found.mtime_ns, digest, time.time(), *columns),
    ).fetchone()
    return int(row[0])


def _write_chunks(connection: sqlite3.Connection, document_id: int, entry: Entry) -> tuple[int, int]:
    """Writes the passages; returns the first and the last id, which no other writer can come between."""
    first = int(
        connection.execute("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'chunk'").fetchone()[0]
    )
    connection.executemany(
        "INSERT INTO chunk (id, document_id, seq, start, end, line, last_line, page, last_page, tokens, vector_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM vector WHERE hash = ?))",
        [
            (first + seq, document_id, seq, *_places(chunk), chunk.tokens, digest)
            for seq, (chunk, digest) in enumerate(zip(entry.chunks, entry.vectors, strict=True))
        ],
    )
    connection.executemany(
        "INSERT INTO chunk_text VALUES (?, ?, ?)",
        [(first + seq, clean(chunk.heading), clean(chunk.text)) for seq, chunk in enumerate(entry.chunks)],
    )
    return first, first + len(entry.chunks) - 1


def _places(chunk: Chunk) -> tuple[int, int, int, int, int, int]:
    span = chunk.span
    return span.start, span.end, span.line, span.last_line, span.page, span.last_page
