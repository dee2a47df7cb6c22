"""Finding messages by their words and conversations by what a person calls them. Writes nothing."""

from __future__ import annotations

import sqlite3

from llmchat_tui.errors import NotFound
from llmchat_tui.history import rows
from llmchat_tui.history.ids import ALPHABET
from llmchat_tui.history.tree import LIST_HINT, no_chat
from llmchat_tui.history.values import Conversation, Hit

PREFIX_LENGTH = 4
MAX_TERMS = 64
"""More words narrow nothing; a pasted page would cost a lookup each."""
_SNIPPET_TOKENS = 16
_CANDIDATES = 5
_TITLE_HOLDS = "title LIKE ? ESCAPE '\\'"
_HITS = """
    SELECT c.*, m.id AS message_id, m.role, hit.snippet
    FROM (
        SELECT rowid AS seq, rank, snippet(messages_fts, 0, '', '', '…', ?) AS snippet
        FROM messages_fts WHERE messages_fts MATCH ? ORDER BY {one} LIMIT ?
    ) hit
    JOIN messages m USING (seq) JOIN chats c ON c.id = m.conversation_id
    ORDER BY {all}
"""
# A second column inside would make SQLite sort by itself, with a snippet for every match: 660 ms instead of 110.
_BEST = _HITS.format(one="rank", all="hit.rank, hit.seq DESC")
# Ranking reads every match, and a beginning of a word matches most messages: 190 ms over 100,000 instead of 4.
_NEWEST = _HITS.format(one="rowid DESC", all="hit.seq DESC")
_LIKE_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\%_"})


def quoted(query: str, prefix: bool = False) -> str:
    """Returns an FTS5 query in which every word of the user is only a word; empty where there is none.

    Unquoted, 9,270 of 10,000 random strings are syntax errors.

    Args:
        query: what the user wrote.
        prefix: whether the last word stands for all that begin so.
    """
    match = " ".join('"' + term.replace('"', '""') + '"' for term in _terms(query))
    return f"{match}*" if prefix and match else match


def find_messages(db: sqlite3.Connection, query: str, limit: int, prefix: bool = False) -> list[Hit]:
    """Returns the messages that hold every word of the query: the best first, of beginnings of words the newest."""
    match = quoted(query, prefix)
    if not match:
        return []
    found = db.execute(_NEWEST if prefix else _BEST, (_SNIPPET_TOKENS, match, limit))
    return [Hit(rows.conversation(row), row["message_id"], row["role"], row["snippet"]) for row in found]


def find_titles(db: sqlite3.Connection, query: str, limit: int) -> list[Conversation]:
    """Returns the conversations whose title holds every word of the query, the one written last first."""
    terms = _terms(query)
    if not terms:
        return []
    found = db.execute(
        f"SELECT * FROM chats WHERE {' AND '.join([_TITLE_HOLDS] * len(terms))}"  # noqa: S608 - only question marks
        " ORDER BY updated_at DESC, id DESC LIMIT ?",
        (*map(_like, terms), limit),
    )
    return [rows.conversation(row) for row in found]


def find_conversation(db: sqlite3.Connection, ref: str) -> Conversation:
    """Returns the conversation with this id, the only one whose id begins so, or the only one with this title.

    Raises:
        NotFound: none fits, or several do; the error names them.
    """
    ref = rows.clean(ref)
    found = _by_id(db, ref) or _by_prefix_or_title(db, ref)
    if not found:
        raise no_chat(ref)
    if len(found) > 1:
        named = "; ".join(f"{chat.id} {chat.title}" for chat in found[:_CANDIDATES])
        more = "; …" if len(found) > _CANDIDATES else ""
        raise NotFound(f"{ref!r} fits more than one chat", named + more, f"give more of the id; {LIST_HINT}")
    return found[0]


def _terms(query: str) -> list[str]:
    return rows.clean(query).replace("\x00", " ").split()[:MAX_TERMS]


def _like(term: str) -> str:
    """Returns the pattern of a text with this term in it."""
    return f"%{term.translate(_LIKE_SPECIAL)}%"


def _by_id(db: sqlite3.Connection, ref: str) -> list[Conversation]:
    return [rows.conversation(row) for row in db.execute("SELECT * FROM chats WHERE id = ?", (ref.upper(),))]


def _by_prefix_or_title(db: sqlite3.Connection, ref: str) -> list[Conversation]:
    prefix = ref.upper() if len(ref) >= PREFIX_LENGTH and set(ref.upper()) <= set(ALPHABET) else ""
    found = db.execute(
        """
        SELECT * FROM chats WHERE title = ?1 OR (?2 <> '' AND id >= ?2 AND id < ?2 || '~')
        ORDER BY updated_at DESC, id DESC LIMIT ?3
        """,
        (ref, prefix, _CANDIDATES + 1),
    )
    return [rows.conversation(row) for row in found]
