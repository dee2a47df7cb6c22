"""What the user typed: the drafts that were not sent, and the questions that were. Knows no transaction and no tree."""

from __future__ import annotations

import sqlite3

from llmchat_tui.history import rows

MAX_QUESTIONS_READ = 10_000
"""The newest questions that are looked at: 12 ms where all are the same."""
LONGEST_PROMPT = 10_000
"""Characters of a question that is offered again; a longer one holds files, and nobody typed it."""


def prompts(db: sqlite3.Connection, limit: int) -> list[str]:
    """Returns the newest questions of all chats, each once."""
    found = db.execute(
        "SELECT text FROM (SELECT text FROM messages WHERE role = 'user' ORDER BY seq DESC LIMIT ?)"
        " WHERE length(text) <= ?",
        (MAX_QUESTIONS_READ, LONGEST_PROMPT),
    )
    unique: dict[str, None] = {}
    for row in found:
        if len(unique) >= limit:
            break
        unique[row["text"]] = None
    return list(unique)


def draft(db: sqlite3.Connection, conversation_id: str) -> str:
    """Returns the draft of a chat, or of the one not begun; empty where there is none."""
    row = db.execute("SELECT text FROM drafts WHERE conversation_id = ?", (conversation_id,)).fetchone()
    return str(row["text"]) if row else ""


def keep_draft(db: sqlite3.Connection, conversation_id: str, text: str) -> None:
    """Replaces the draft of a chat, or of the one not begun; empty text removes it. A deleted chat keeps none."""
    db.execute("DELETE FROM drafts WHERE conversation_id = ?", (conversation_id,))
    db.execute(
        "INSERT INTO drafts (conversation_id, text) SELECT ?1, ?2"
        " WHERE ?2 <> '' AND (?1 = '' OR EXISTS (SELECT 1 FROM conversations WHERE id = ?1))",
        (conversation_id, rows.clean(text)),
    )
