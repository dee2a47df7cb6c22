"""`Reader`: all that can be asked of the conversations on disk, and the lock and the connection it takes.

Writes nothing; the SQL is in tree.py, branches.py, typed.py, rated.py and search.py. Knows no engine and no screen.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from llmchat_tui.history import branches, rated, search, tree, typed
from llmchat_tui.history.faults import translated
from llmchat_tui.history.values import Conversation, Hit, Node, StoredMessage

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_Self = TypeVar("_Self", bound="Reader")


def guarded(
    method: Callable[Concatenate[_Self, _Given], _Result],
) -> Callable[Concatenate[_Self, _Given], _Result]:
    """Serialises the callers of one instance and translates what SQLite and the file system raise."""

    @wraps(method)
    def call(self: _Self, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with self._lock, translated(self.file):
            return method(self, *args, **kwargs)

    return call


class Reader:
    """The conversations of one database, for reading. Safe from any thread.

    Every method raises StorageError where the database cannot be used, and NotFound where an id fits nothing.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self.file = path
        """The database; None in memory."""
        self._db = connection
        self._lock = threading.RLock()

    @guarded
    def path(self, message_id: str) -> tuple[StoredMessage, ...]:
        """Returns the messages from the first question to this one."""
        return tree.path_to(self._db, message_id)

    @guarded
    def tail(self, message_id: str, limit: int) -> tuple[StoredMessage, ...]:
        """Returns the last messages of the path that ends at this one, oldest first; at least one, however long it is.

        Args:
            message_id: where the path ends.
            limit: the most messages.
        """
        return tree.path_to(self._db, message_id, max(1, limit))

    @guarded
    def path_ids(self, message_id: str) -> list[str]:
        """Returns the ids of the messages from the first question to this one."""
        return tree.ids_to(self._db, message_id)

    @guarded
    def messages(self, conversation_id: str) -> list[StoredMessage]:
        """Returns the whole tree of a chat in the order the messages came."""
        return tree.all_messages(self._db, conversation_id)

    @guarded
    def siblings(self, message_id: str) -> list[str]:
        """Returns the ids of the messages that follow the same one, oldest first, this one among them.

        Those beside a first question are the other first questions of its chat.
        """
        return branches.siblings_of(self._db, message_id)

    @guarded
    def leaf_under(self, message_id: str) -> str:
        """Returns the newest message below this one, itself where nothing follows it."""
        return branches.leaf_under(self._db, message_id)

    @guarded
    def nodes(self, conversation_id: str) -> list[Node]:
        """Returns the whole tree of a chat without its texts, in the order the messages came."""
        return branches.nodes_of(self._db, conversation_id)

    @guarded
    def conversation(self, ref: str) -> Conversation:
        """Returns the chat with this id, whose id alone begins so (4 characters or more), or with this title."""
        return search.find_conversation(self._db, ref)

    @guarded
    def latest(self) -> Conversation | None:
        """Returns the chat written last."""
        return next(iter(tree.newest(self._db, 1, 0)), None)

    @guarded
    def conversations(self, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Returns chats, the one written last first."""
        return tree.newest(self._db, limit, offset)

    @guarded
    def search(self, query: str, limit: int = 50, *, prefix: bool = False) -> list[Hit]:
        """Returns the messages that hold every word of the query, the best first; any text is a valid query.

        Args:
            query: the words.
            limit: the most hits.
            prefix: whether the last word stands for all that begin so, as while it is typed; then the newest first.
        """
        return search.find_messages(self._db, query, limit, prefix)

    @guarded
    def titled(self, query: str, limit: int = 50) -> list[Conversation]:
        """Returns the chats whose title holds every word of the query, in any case, the one written last first."""
        return search.find_titles(self._db, query, limit)

    @guarded
    def rated(self) -> list[tuple[StoredMessage, StoredMessage]]:
        """Returns the replies of all chats that the user rated, the oldest first, each behind its question."""
        return rated.rated(self._db)

    @guarded
    def prompts(self, limit: int = 100) -> list[str]:
        """Returns the questions of all chats that were typed, the newest first, each once."""
        return typed.prompts(self._db, limit)

    @guarded
    def draft(self, conversation_id: str) -> str:
        """Returns what was typed into a chat and not sent; the empty id is the chat not begun."""
        return typed.draft(self._db, conversation_id)
