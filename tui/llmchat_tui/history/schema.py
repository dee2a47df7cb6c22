"""The tables, and the numbered migrations that lead to them. Knows no message and does not check what a file is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from llmchat_tui.history import private
from llmchat_tui.history.connection import connect, transaction

APPLICATION_ID = 0x6C6C6D63
"""`llmc`, at byte 68 of the file: how `file` and we know our own."""

Migration = Callable[[sqlite3.Connection], None]

_VERSION_1 = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE conversations (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        system TEXT NOT NULL,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX conversations_by_update ON conversations (updated_at, id)",
    "CREATE INDEX conversations_by_title ON conversations (title)",
    """
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        parent_id TEXT REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
        text TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('streaming', 'complete', 'stopped', 'interrupted', 'failed')),
        owner TEXT NOT NULL DEFAULT '',
        created_at REAL NOT NULL,
        token_ids BLOB NOT NULL DEFAULT x'',
        model_key TEXT NOT NULL DEFAULT '',
        settings TEXT NOT NULL DEFAULT '{}',
        stats TEXT NOT NULL DEFAULT '{}',
        error TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE INDEX messages_by_conversation ON messages (conversation_id, seq)",
    "CREATE INDEX messages_by_parent ON messages (parent_id)",
    "CREATE INDEX messages_streaming ON messages (owner) WHERE status = 'streaming'",
    """
    CREATE VIEW chats AS
    SELECT id, title, system, created_at, updated_at,
        (SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1) AS leaf_id,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count
    FROM conversations c
    """,
    # The index holds what this view shows, so the integrity check does not miss the rows that still stream.
    "CREATE VIEW searchable AS SELECT seq, text FROM messages WHERE status <> 'streaming'",
    """
    CREATE VIRTUAL TABLE messages_fts USING fts5 (
        text, content = 'searchable', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER messages_added AFTER INSERT ON messages WHEN new.status <> 'streaming' BEGIN
        INSERT INTO messages_fts (rowid, text) VALUES (new.seq, new.text);
    END
    """,
    """
    CREATE TRIGGER messages_removed AFTER DELETE ON messages WHEN old.status <> 'streaming' BEGIN
        INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.seq, old.text);
    END
    """,
    # One trigger, because SQLite leaves the order of two on the same event open.
    """
    CREATE TRIGGER messages_changed AFTER UPDATE OF text, status ON messages
    WHEN old.status <> 'streaming' OR new.status <> 'streaming' BEGIN
        INSERT INTO messages_fts (messages_fts, rowid, text)
            SELECT 'delete', old.seq, old.text WHERE old.status <> 'streaming';
        INSERT INTO messages_fts (rowid, text) SELECT new.seq, new.text WHERE new.status <> 'streaming';
    END
    """,
)

_VERSION_2 = (
    "ALTER TABLE conversations ADD COLUMN sampling TEXT NOT NULL DEFAULT '{}'",
    "DROP VIEW chats",
    """
    CREATE VIEW chats AS
    SELECT id, title, system, sampling, created_at, updated_at,
        (SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1) AS leaf_id,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count
    FROM conversations c
    """,
    # The draft of a chat not begun has the empty id, which no foreign key could point at; the trigger does its work.
    "CREATE TABLE drafts (conversation_id TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT",
    """
    CREATE TRIGGER conversations_removed AFTER DELETE ON conversations BEGIN
        DELETE FROM drafts WHERE conversation_id = old.id;
    END
    """,
    # The beginnings of words, for search as one types: over 100,000 messages `th*` takes 4 ms and not 340.
    "DROP TABLE messages_fts",
    """
    CREATE VIRTUAL TABLE messages_fts USING fts5 (
        text, content = 'searchable', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
    """,
    "INSERT INTO messages_fts (messages_fts) VALUES ('rebuild')",
)

_VERSION_3 = (
    # No reference: without an index of its own, each message that is deleted would search all chats for it.
    "ALTER TABLE conversations ADD COLUMN chosen_id TEXT NOT NULL DEFAULT ''",
    # In the database and not in the program, so that an older program beside a newer one keeps to it too.
    """
    CREATE TRIGGER messages_newest AFTER INSERT ON messages BEGIN
        UPDATE conversations SET chosen_id = '' WHERE id = new.conversation_id AND chosen_id <> '';
    END
    """,
    "DROP VIEW chats",
    """
    CREATE VIEW chats AS
    SELECT id, title, system, sampling, created_at, updated_at,
        coalesce(
            (SELECT m.id FROM messages m WHERE m.id = c.chosen_id AND m.conversation_id = c.id),
            (SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1)
        ) AS leaf_id,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count
    FROM conversations c
    """,
)

_VERSION_4 = (
    "ALTER TABLE conversations ADD COLUMN documents TEXT NOT NULL DEFAULT '[]'",
    "DROP VIEW chats",
    """
    CREATE VIEW chats AS
    SELECT id, title, system, sampling, documents, created_at, updated_at,
        coalesce(
            (SELECT m.id FROM messages m WHERE m.id = c.chosen_id AND m.conversation_id = c.id),
            (SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1)
        ) AS leaf_id,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count
    FROM conversations c
    """,
)


_VERSION_5 = (
    "ALTER TABLE conversations ADD COLUMN recipe TEXT NOT NULL DEFAULT '{}'",
    "DROP VIEW chats",
    """
    CREATE VIEW chats AS
    SELECT id, title, system, sampling, documents, recipe, created_at, updated_at,
        coalesce(
            (SELECT m.id FROM messages m WHERE m.id = c.chosen_id AND m.conversation_id = c.id),
            (SELECT m.id FROM messages m WHERE m.conversation_id = c.id ORDER BY m.seq DESC LIMIT 1)
        ) AS leaf_id,
        (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS message_count
    FROM conversations c
    """,
)


def _create(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_1:
        connection.execute(statement)


def _prepare_for_screens(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_2:
        connection.execute(statement)


def _keep_the_chosen_branch(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_3:
        connection.execute(statement)


def _keep_the_chosen_documents(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_4:
        connection.execute(statement)


def _keep_the_recipe(connection: sqlite3.Connection) -> None:
    for statement in _VERSION_5:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (
    _create,
    _prepare_for_screens,
    _keep_the_chosen_branch,
    _keep_the_chosen_documents,
    _keep_the_recipe,
)
"""Step N leads from version N-1 to N. Never change one that was released; add the next."""


def version_of(connection: sqlite3.Connection) -> int:
    """Returns the schema version of a database; 0 has no tables yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path | None, migrations: Sequence[Migration]) -> None:
    """Brings a database to the newest version, one transaction a step; a kill leaves the version before or after.

    Args:
        connection: a writable connection outside any transaction.
        path: the file, for the backup before the first step; None in memory.
        migrations: all steps from version 0.
    """
    start = version_of(connection)
    if start == len(migrations):
        return
    for number in range(start, len(migrations)):
        _step(connection, path if number == start else None, number, migrations[number])
    # A power cut that tears the log may cost its newest messages, never the tables under them.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _step(connection: sqlite3.Connection, save: Path | None, version: int, migration: Migration) -> None:
    with transaction(connection, durable=True):
        if version_of(connection) > version:  # another instance was faster
            return
        if save is not None and version > 0:
            _back_up(save, version)
        migration(connection)
        connection.execute(f"PRAGMA user_version = {version + 1}")


def _back_up(path: Path, version: int) -> None:
    """Copies the committed database; the caller's write lock keeps it still."""
    backup = path.with_name(f"{path.name}.backup-v{version}")
    part = backup.with_name(f"{backup.name}.part")
    part.unlink(missing_ok=True)
    private.make_file(part)
    with closing(connect(path, "ro")) as source, closing(connect(part, "rw")) as target:
        source.backup(target)
    private.sync(part)
    part.replace(backup)
    private.sync(path.parent)
