"""The branches of a message tree in SQL: siblings, leaves, the whole tree without texts, and the leaf that was chosen.

Knows no transaction, no lock and no file; the path to one message is in tree.py.
"""

from __future__ import annotations

import sqlite3

from llmchat_tui.errors import NotFound
from llmchat_tui.history import rows
from llmchat_tui.history.tree import LIST_HINT, no_chat
from llmchat_tui.history.values import Node

_LINE_FROM = 400
"""Characters of a text, without the blank ones before it, that its first line is looked for in."""


def siblings_of(db: sqlite3.Connection, message_id: str) -> list[str]:
    """Returns the ids of the messages with the same parent, oldest first.

    Raises:
        NotFound: there is no such message.
    """
    row = db.execute("SELECT parent_id, conversation_id FROM messages WHERE id = ?", (message_id,)).fetchone()
    if row is None:
        raise _no_message(message_id)
    if row["parent_id"]:
        found = db.execute("SELECT id FROM messages WHERE parent_id = ? ORDER BY seq", (row["parent_id"],))
    else:
        # The plus keeps SQLite from the index of parents: there it would walk through the first questions of all chats.
        found = db.execute(
            "SELECT id FROM messages WHERE conversation_id = ? AND +parent_id IS NULL ORDER BY seq",
            (row["conversation_id"],),
        )
    return [row["id"] for row in found]


def leaf_under(db: sqlite3.Connection, message_id: str) -> str:
    """Returns the newest message below one, itself if none; what is newest has nothing below it.

    Raises:
        NotFound: there is no such message.
    """
    # A parent is older than its child; that bounds the walk even where damage made a circle.
    row = db.execute(
        """
        WITH RECURSIVE down (seq, id) AS (
            SELECT seq, id FROM messages WHERE id = ?
            UNION ALL
            SELECT m.seq, m.id FROM down JOIN messages m ON m.parent_id = down.id AND m.seq > down.seq
        )
        SELECT id FROM down ORDER BY seq DESC LIMIT 1
        """,
        (message_id,),
    ).fetchone()
    if row is None:
        raise _no_message(message_id)
    return str(row["id"])


def nodes_of(db: sqlite3.Connection, conversation_id: str) -> list[Node]:
    """Returns every message of a conversation in the order they came, without their texts.

    Raises:
        NotFound: there is no such conversation.
    """
    found = db.execute(
        "SELECT id, parent_id, role, substr(ltrim(text, char(9, 10, 11, 12, 13, 32)), 1, ?) AS start, created_at,"
        " status, length(token_ids) AS id_bytes, settings FROM messages WHERE conversation_id = ? ORDER BY seq",
        (_LINE_FROM, conversation_id),
    )
    nodes = [rows.node(row) for row in found]
    if not nodes:
        raise no_chat(conversation_id)
    return nodes


def choose(db: sqlite3.Connection, conversation_id: str, leaf_id: str) -> None:
    """Makes a message the leaf of its conversation; the next message that is added takes that back.

    Raises:
        NotFound: the conversation has no such message.
    """
    chosen = db.execute(
        "UPDATE conversations SET chosen_id = ?1 WHERE id = ?2"
        " AND EXISTS (SELECT 1 FROM messages WHERE id = ?1 AND conversation_id = ?2)",
        (leaf_id, conversation_id),
    )
    if chosen.rowcount == 0:
        raise _no_message(leaf_id)


def _no_message(message_id: str) -> NotFound:
    return NotFound(f"no message {message_id}", "", LIST_HINT)
