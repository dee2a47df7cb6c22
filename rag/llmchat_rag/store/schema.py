"""The tables of the store, and the numbered migrations that lead to them. Knows no document.

meta            which embedder made the vectors
collection      a folder and what of it is indexed
document        a file: what it was when it was read, and how that went
document_text   what was read from it
chunk           where its passages stand; ids are never used twice and those of one file follow each other
chunk_text      what stands there
vector          by the hash of fingerprint and embedded text: shared, kept when passages move, fp16
chunk_words     the words of all passages (FTS5)
document_words  the words of documents of few passages, each as one (FTS5)
chunk_pairs     the neighbouring characters of Chinese, Japanese and Korean text, which has no spaces (FTS5)
journal         one row a change, oldest ones dropped; what names a cache of vectors
removed         the passages that a change took away
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from llmchat_rag.store.connection import transaction

APPLICATION_ID = 0x6C6C6D64
"""`llmd`, at byte 68 of the file: how `file` and we know our own."""

Migration = Callable[[sqlite3.Connection], None]

_VERSION_1 = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE collection (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        root BLOB NOT NULL,
        include TEXT NOT NULL,
        exclude TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL DEFAULT 0
    ) STRICT
    """,
    """
    CREATE TABLE document (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        hash BLOB NOT NULL,
        parser TEXT NOT NULL DEFAULT '',
        parser_version INTEGER NOT NULL DEFAULT 0,
        chunker TEXT NOT NULL DEFAULT '',
        status TEXT NOT NULL CHECK (status IN ('indexed', 'refused', 'empty', 'pending')),
        error TEXT NOT NULL DEFAULT '',
        chunks INTEGER NOT NULL DEFAULT 0,
        indexed_at REAL NOT NULL,
        UNIQUE (collection_id, path)
    ) STRICT
    """,
    """
    CREATE TABLE document_text (
        document_id INTEGER PRIMARY KEY REFERENCES document (id) ON DELETE CASCADE,
        text TEXT NOT NULL
    ) STRICT
    """,
    "CREATE TABLE vector (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, v BLOB NOT NULL) STRICT",
    # Narrow, because a search in one collection asks for the owner of each hit: text would fill the page cache.
    """
    CREATE TABLE chunk (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id INTEGER NOT NULL REFERENCES document (id) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        line INTEGER NOT NULL,
        last_line INTEGER NOT NULL,
        page INTEGER NOT NULL,
        last_page INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        vector_id INTEGER NOT NULL REFERENCES vector (id),
        UNIQUE (document_id, seq)
    ) STRICT
    """,
    "CREATE INDEX chunk_by_vector ON chunk (vector_id)",
    """
    CREATE TABLE chunk_text (
        chunk_id INTEGER PRIMARY KEY REFERENCES chunk (id) ON DELETE CASCADE,
        heading TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE VIEW searchable AS
    SELECT c.id, d.title, t.heading, t.text FROM chunk c
    JOIN document d ON d.id = c.document_id JOIN chunk_text t ON t.chunk_id = c.id
    """,
    """
    CREATE VIRTUAL TABLE chunk_words USING fts5 (
        title, heading, text, content = 'searchable', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    # SciFact nDCG@10 0.693 with the title at 2, 0.687 with all alike.
    "INSERT INTO chunk_words (chunk_words, rank) VALUES ('rank', 'bm25(2.0, 1.0, 1.0)')",
    "CREATE VIRTUAL TABLE chunk_pairs USING fts5 (pairs, tokenize = 'unicode61')",
    """
    CREATE TABLE journal (
        generation INTEGER PRIMARY KEY AUTOINCREMENT, stamp BLOB NOT NULL, last_chunk INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE TABLE removed (generation INTEGER NOT NULL, chunk_id INTEGER NOT NULL) STRICT",
    "CREATE INDEX removed_by_generation ON removed (generation)",
    "INSERT INTO journal (stamp, last_chunk) VALUES (randomblob(8), 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

_VERSION_2 = (
    # Under the title's own heading every passage has it already, with its own weight.
    "DROP VIEW searchable",
    """
    CREATE VIEW searchable AS
    SELECT c.id, d.title,
        CASE WHEN d.title <> '' AND substr(t.heading, 1, length(d.title)) = d.title
            THEN substr(t.heading, length(d.title) + 1) ELSE t.heading END AS heading,
        t.text
    FROM chunk c JOIN document d ON d.id = c.document_id JOIN chunk_text t ON t.chunk_id = c.id
    """,
    "INSERT INTO chunk_words (chunk_words) VALUES ('rebuild')",
    """
    CREATE VIEW short_document AS
    SELECT d.id, d.title, x.text FROM document d JOIN document_text x ON x.document_id = d.id
    WHERE d.chunks BETWEEN 1 AND 16
    """,
    """
    CREATE VIRTUAL TABLE document_words USING fts5 (
        title, text, content = 'short_document', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    "INSERT INTO document_words (document_words, rank) VALUES ('rank', 'bm25(2.0, 1.0)')",
    "INSERT INTO document_words (document_words) VALUES ('rebuild')",
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_1:
        connection.execute(statement)


def _words_of_short_documents(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_2:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (_create, _words_of_short_documents)


def version_of(connection: sqlite3.Connection) -> int:
    """Returns how many migrations a store has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Brings a store to the newest version, each step whole or not at all.

    No backup is kept: the files are the truth, and the vectors can be made again from them.

    Args:
        connection: outside any transaction.
        migrations: the steps from version 0.
    """
    while version_of(connection) < len(migrations):
        with transaction(connection):
            done = version_of(connection)  # another process may have been faster
            if done < len(migrations):
                migrations[done](connection)
                connection.execute(f"PRAGMA user_version = {done + 1}")
