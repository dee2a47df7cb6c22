"""The message tree in SQL: how it grows, and how it is read. Knows no transaction, no lock and no file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llmchat_tui.errors import NotFound
from llmchat_tui.history import rows
from llmchat_tui.history.values import Conversation, ReplyEnd, StoredMessage

LIST_HINT = "llmchat chats list"
_WHOLE = -1
"""SQLite's word for no limit."""


def add_conversation(
    db: sqlite3.Connection,
    conversation_id: str,
    title: str,
    system: str,
    sampling: Mapping[str, Any],
    collections: Sequence[str] = (),
    recipe: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Adds a conversation without messages."""
    now = time.time()
    own = (rows.pack_object(sampling), rows.pack_names(collections), rows.pack_object(recipe))
    db.execute(
        "INSERT INTO conversations (id, title, system, sampling, documents, recipe, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation_id, rows.title_of(title), rows.clean(system), *own, now, now),
    )


def created_at(db: sqlite3.Connection, conversation_id: str) -> float:
    """Returns when a conversation that is there began."""
    return float(db.execute("SELECT created_at FROM conversations WHERE id = ?", (conversation_id,)).fetchone()[0])


def add_question(db: sqlite3.Connection, question_id: str, conversation_id: str, parent_id: str, text: str) -> None:
    """Adds a question under a reply of the same conversation, or as a first one.

    Raises:
        NotFound: there is no such conversation, or no such reply in it.
    """
    _touch(db, conversation_id)
    if parent_id and _place_of(db, parent_id) != (conversation_id, "assistant"):
        raise NotFound(f"no reply {parent_id} in this chat", "a question follows a reply", LIST_HINT)
    db.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
        " VALUES (?, ?, nullif(?, ''), 'user', ?, 'complete', ?)",
        (question_id, conversation_id, parent_id, rows.clean(text), time.time()),
    )


def add_reply(db: sqlite3.Connection, reply_id: str, question_id: str, owner: str, text: str) -> str:
    """Adds a reply that begins with a text and that `owner` writes; returns its conversation.

    Raises:
        NotFound: there is no such question.
    """
    conversation_id, role = _place_of(db, question_id)
    if role != "user":
        raise NotFound(f"no question {question_id}", "a reply follows a question", LIST_HINT)
    _touch(db, conversation_id)
    db.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, owner, created_at)"
        " VALUES (?, ?, ?, 'assistant', ?, 'streaming', ?, ?)",
        (reply_id, conversation_id, question_id, rows.clean(text), owner, time.time()),
    )
    return conversation_id


def grow_reply(db: sqlite3.Connection, reply_id: str, text: str, settings: str | None) -> None:
    """Replaces the text of a reply that still streams, and its packed settings; the search index is left alone."""
    db.execute(
        "UPDATE messages SET text = ?, settings = coalesce(?, settings) WHERE id = ? AND status = 'streaming'",
        (rows.clean(text), settings, reply_id),
    )


def end_reply(db: sqlite3.Connection, reply_id: str, end: ReplyEnd) -> None:
    """Writes how a reply ended. It wins over `interrupted`, which was another instance's guess.

    Raises:
        NotFound: there is no such message any more.
        ValueError: it is a question, or has ended already.
    """
    conversation_id, _ = _place_of(db, reply_id)
    if not conversation_id:
        raise NotFound(f"no reply {reply_id}", "its chat was deleted meanwhile", LIST_HINT)
    written = db.execute(
        "UPDATE messages SET text = ?, status = ?, owner = '', token_ids = ?, model_key = ?, settings = ?, stats = ?,"
        " error = ? WHERE id = ? AND role = 'assistant' AND status IN ('streaming', 'interrupted')",
        (
            rows.clean(end.text),
            end.status,
            rows.pack_ids(end.token_ids),
            rows.clean(end.model_key),
            rows.pack_object(end.settings),
            rows.pack_object(end.stats),
            rows.clean(end.error),
            reply_id,
        ),
    )
    if written.rowcount == 0:
        raise ValueError(f"message {reply_id} has ended already")
    _touch(db, conversation_id)


def withdraw(db: sqlite3.Connection, reply_ids: Iterable[str]) -> None:
    """Deletes replies that still stream and have no text."""
    statement = "DELETE FROM messages WHERE id = ? AND status = 'streaming' AND text = ''"
    for reply_id in reply_ids:
        db.execute(statement, (reply_id,))


def streaming_owners(db: sqlite3.Connection) -> list[str]:
    """Returns the instances that have a reply unfinished."""
    return [row[0] for row in db.execute("SELECT DISTINCT owner FROM messages WHERE status = 'streaming'")]


def interrupt(db: sqlite3.Connection, owners: Iterable[str]) -> int:
    """Marks what the owners left unfinished, which puts it into the search index; returns how many replies."""
    statement = "UPDATE messages SET status = 'interrupted', owner = '' WHERE status = 'streaming' AND owner = ?"
    return sum(db.execute(statement, (owner,)).rowcount for owner in owners)


def path_to(db: sqlite3.Connection, message_id: str, limit: int = _WHOLE) -> tuple[StoredMessage, ...]:
    """Returns the messages from the first question to this one, or the last of them.

    Args:
        db: the database.
        message_id: where the path ends.
        limit: of so many messages; the walk stops there, so a long chat costs no more than a short one.

    Raises:
        NotFound: there is no such message.
    """
    # A parent is older than its child; that bounds the walk even where damage made a circle.
    found = db.execute(
        """
        WITH RECURSIVE up (seq, parent_id) AS (
            SELECT seq, parent_id FROM messages WHERE id = ?
            UNION ALL
            SELECT m.seq, m.parent_id FROM up JOIN messages m ON m.id = up.parent_id AND m.seq < up.seq
            LIMIT ?
        )
        SELECT m.* FROM up JOIN messages m USING (seq) ORDER BY m.seq
        """,
        (message_id, limit),
    )
    path = tuple(rows.message(row) for row in found)
    if not path:
        raise NotFound(f"no message {message_id}", "", LIST_HINT)
    return path


def ids_to(db: sqlite3.Connection, message_id: str) -> list[str]:
    """Returns the ids of the messages from the first question to this one, without reading their texts."""
    found = db.execute(
        """
        WITH RECURSIVE up (seq, id, parent_id) AS (
            SELECT seq, id, parent_id FROM messages WHERE id = ?
            UNION ALL
            SELECT m.seq, m.id, m.parent_id FROM up JOIN messages m ON m.id = up.parent_id AND m.seq < up.seq
        )
        SELECT id FROM up ORDER BY seq
        """,
        (message_id,),
    )
    return [row[0] for row in found]


def all_messages(db: sqlite3.Connection, conversation_id: str) -> list[StoredMessage]:
    """Returns every message of a conversation in the order they came.

    Raises:
        NotFound: there is no such conversation.
    """
    found = db.execute("SELECT * FROM messages WHERE conversation_id = ? ORDER BY seq", (conversation_id,))
    messages = [rows.message(row) for row in found]
    if not messages:
        raise no_chat(conversation_id)
    return messages


def newest(db: sqlite3.Connection, limit: int, offset: int) -> list[Conversation]:
    """Returns conversations, the one written last first."""
    found = db.execute("SELECT * FROM chats ORDER BY updated_at DESC, id DESC LIMIT ? OFFSET ?", (limit, offset))
    return [rows.conversation(row) for row in found]


def set_title(db: sqlite3.Connection, conversation_id: str, title: str) -> None:
    """Gives a conversation another title.

    Raises:
        NotFound: there is no such conversation.
    """
    changed = db.execute("UPDATE conversations SET title = ? WHERE id = ?", (rows.title_of(title), conversation_id))
    if changed.rowcount == 0:
        raise no_chat(conversation_id)


def annotate(db: sqlite3.Connection, reply_id: str, patch: Mapping[str, Any], stats: Mapping[str, Any]) -> None:
    """Adds to the settings and the stats of a reply that ended; what is there under the same names is replaced.

    Raises:
        NotFound: there is no such reply any more.
    """
    row = db.execute(
        "SELECT settings, stats FROM messages WHERE id = ? AND role = 'assistant' AND status <> 'streaming'",
        (reply_id,),
    ).fetchone()
    if row is None:
        raise NotFound(f"no reply {reply_id}", "its chat was deleted meanwhile", LIST_HINT)
    packed = (rows.pack_object(rows.unpack_object(row[0]) | dict(patch)),
              rows.pack_object(rows.unpack_object(row[1]) | dict(stats)))  # fmt: skip
    db.execute("UPDATE messages SET settings = ?, stats = ? WHERE id = ?", (*packed, reply_id))


def configure(
    db: sqlite3.Connection,
    conversation_id: str,
    system: str | None,
    sampling: str | None,
    documents: str | None,
    recipe: str | None = None,
) -> None:
    """Replaces the system prompt, or the packed sampling, collections or recipe of a conversation; None leaves it.

    Raises:
        NotFound: there is no such conversation.
    """
    changed = db.execute(
        "UPDATE conversations SET system = coalesce(?, system), sampling = coalesce(?, sampling),"
        " documents = coalesce(?, documents), recipe = coalesce(?, recipe) WHERE id = ?",
        (system, sampling, documents, recipe, conversation_id),
    )
    if changed.rowcount == 0:
        raise no_chat(conversation_id)


def remove(db: sqlite3.Connection, conversation_id: str) -> None:
    """Deletes a conversation, its draft, its messages and their words in the search index.

    Raises:
        NotFound: there is no such conversation.
    """
    if db.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,)).rowcount == 0:
        raise no_chat(conversation_id)
    # FTS5 only notes a deletion; the words leave the file when its segments are merged.
    db.execute("INSERT INTO messages_fts (messages_fts) VALUES ('optimize')")


def no_chat(ref: str) -> NotFound:
    """Returns the error for a reference that fits no chat."""
    return NotFound(f"no chat {ref!r}", "it is no id, no start of an id and no title", LIST_HINT)


def _touch(db: sqlite3.Connection, conversation_id: str) -> None:
    now = time.time()
    if db.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation_id)).rowcount == 0:
        raise no_chat(conversation_id)


def _place_of(db: sqlite3.Connection, message_id: str) -> tuple[str, str]:
    """Returns the conversation and the role of a message, empty where there is none."""
    row = db.execute("SELECT conversation_id, role FROM messages WHERE id = ?", (message_id,)).fetchone()
    return (row[0], row[1]) if row else ("", "")
