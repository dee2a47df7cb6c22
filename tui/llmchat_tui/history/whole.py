"""Records a chat that exists already, with its whole tree, under new ids. Knows no file format and no transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from llmchat_tui.history import rows
from llmchat_tui.history.values import Conversation, StoredMessage

_PARENT_ROLE = {"user": ("", "assistant"), "assistant": ("user",)}
"""What a message may follow; a first question follows nothing."""


def check_tree(messages: Sequence[StoredMessage]) -> None:
    """Checks that messages are one chat of ours: parents before children, questions and replies in turn.

    Raises:
        ValueError: naming the first message that is not in its place.
    """
    roles = {"": ""}
    for message in messages:
        if not message.id or message.id in roles:
            raise ValueError(f"two messages have the id {message.id!r}, or it is empty")
        if message.parent_id not in roles:
            raise ValueError(f"message {message.id!r} follows one that does not come before it")
        if roles[message.parent_id] not in _PARENT_ROLE[message.role]:
            raise ValueError(f"message {message.id!r} is a {message.role} message in the wrong place")
        roles[message.id] = message.role
    if not messages:
        raise ValueError("a chat has at least one message")


def add_chat(
    db: sqlite3.Connection, conversation: Conversation, messages: Sequence[StoredMessage], new_id: Callable[[], str]
) -> str:
    """Adds a chat whose tree was checked; returns its new id."""
    chat_id = new_id()
    db.execute(
        "INSERT INTO conversations (id, title, system, sampling, documents, recipe, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            chat_id,
            rows.title_of(conversation.title),
            rows.clean(conversation.system),
            rows.pack_object(conversation.sampling),
            rows.pack_names(conversation.collections),
            rows.pack_object(conversation.recipe),
            conversation.created_at,
            conversation.updated_at,
        ),
    )
    ids: dict[str, str] = {}
    for message in messages:
        ids[message.id] = new_id()
        _add_message(db, chat_id, ids[message.id], ids.get(message.parent_id), message)
    return chat_id


def _add_message(
    db: sqlite3.Connection, chat_id: str, message_id: str, parent_id: str | None, message: StoredMessage
) -> None:
    db.execute(
        "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at, token_ids, model_key,"
        " settings, stats, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message_id,
            chat_id,
            parent_id,
            message.role,
            rows.clean(message.text),
            "interrupted" if message.status == "streaming" else message.status,
            message.created_at,
            rows.pack_ids(message.token_ids),
            rows.clean(message.model_key),
            rows.pack_object(message.settings),
            rows.pack_object(message.stats),
            rows.clean(message.error),
        ),
    )
