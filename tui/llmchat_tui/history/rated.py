"""The replies that the user rated, in SQL. Writes nothing."""

from __future__ import annotations

import sqlite3

from llmchat_tui.history import rows
from llmchat_tui.history.values import StoredMessage

# LIKE first: most replies are not rated, and their settings need not be read as JSON.
_RATED = """
    SELECT * FROM messages
    WHERE role = 'assistant' AND settings LIKE '%"rating"%'
        AND CASE WHEN json_valid(settings) THEN json_extract(settings, '$.rating') END IN (1, -1)
    ORDER BY seq
"""


def rated(db: sqlite3.Connection) -> list[tuple[StoredMessage, StoredMessage]]:
    """Returns the rated replies of all chats, the oldest first, each behind its question."""
    replies = [rows.message(row) for row in db.execute(_RATED)]
    return [(_question(db, reply), reply) for reply in replies]


def _question(db: sqlite3.Connection, reply: StoredMessage) -> StoredMessage:
    return rows.message(db.execute("SELECT * FROM messages WHERE id = ?", (reply.parent_id,)).fetchone())
