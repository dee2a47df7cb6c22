"""`History`: the conversations on disk, one method per thing that can happen to them.

Holds the connection, the lock and the transactions; the SQL is in tree.py, whole.py, typed.py and search.py, the
checks in opening.py.
Knows no engine and no screen.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from llmchat_tui.history import opening, rows, search, tree, typed, whole
from llmchat_tui.history.connection import transaction
from llmchat_tui.history.faults import translated
from llmchat_tui.history.ids import IdClock
from llmchat_tui.history.liveness import Liveness
from llmchat_tui.history.values import Begun, Conversation, Hit, ReplyEnd, StoredMessage

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
_FOREIGN_MODE = 0o077
_NOT_SET: Mapping[str, Any] = MappingProxyType({})


def _guarded(
    method: Callable[Concatenate[History, _Given], _Result],
) -> Callable[Concatenate[History, _Given], _Result]:
    """Serialises the callers of one instance and translates what SQLite and the file system raise."""

    @wraps(method)
    def call(self: History, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with self._lock, translated(self.file):
            return method(self, *args, **kwargs)

    return call


class History:
    """The conversations of one database. Safe from any thread; any number of instances may share the file.

    Every method raises StorageError where the database cannot be used, and NotFound where an id fits nothing.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, instance: str, live: Liveness | None) -> None:
        self.file = path
        """The database; None in memory."""
        self._db = connection
        self._instance = instance
        self._live = live
        self._ids = IdClock()
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Returns the history in a file, made with its folder where there is none.

        What dead instances left streaming is marked interrupted; after such a death every page is checked first.

        Args:
            path: the database, `chats.db`; `live/` beside it says who is writing.

        Raises:
            StorageDamaged: it is damaged.
            StorageForeign: it is another program's, a newer llmchat's, or no file at all.
            StorageUnwritable: it is read-only, or the disk is full.
        """
        path = path.absolute()
        instance = IdClock().next()
        live = Liveness(path.parent / "live", instance)
        with translated(path), live.dead() as dead:
            history = cls(opening.open_file(path, unclean=bool(dead)), path, instance, live)
            try:
                history._interrupt(dead)
            except BaseException:
                history.close()
                raise
        return history

    @classmethod
    def in_memory(cls) -> Self:
        """Returns an empty history that leaves nothing on disk."""
        return cls(opening.open_memory(), None, IdClock().next(), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @_guarded
    def close(self) -> None:
        """Closes the database and says that this instance writes no more. Closing twice is fine."""
        self._db.close()
        if self._live is not None:
            self._live.release()

    @_guarded
    def begin(
        self,
        question: str,
        *,
        conversation_id: str = "",
        parent_id: str = "",
        system: str = "",
        title: str = "",
        sampling: Mapping[str, Any] = _NOT_SET,
    ) -> Begun:
        """Puts a question on disk, and an empty reply under it; both survive a power cut when this returns.

        Args:
            question: the text as the model will see it.
            conversation_id: the chat it belongs to; empty starts a new one.
            parent_id: the reply it follows; empty for a first question.
            system: the system prompt of a new chat.
            title: of a new chat; empty takes the first line of the question.
            sampling: what the user set for a new chat, by the field names of `Sampling`.
        """
        self._come_alive()
        begun = Begun(conversation_id or self._ids.next(), self._ids.next(), self._ids.next())
        with transaction(self._db, durable=True):
            if not conversation_id:
                tree.add_conversation(self._db, begun.conversation_id, title or question, system, sampling)
            tree.add_question(self._db, begun.question_id, begun.conversation_id, parent_id, question)
            tree.add_reply(self._db, begun.reply_id, begun.question_id, self._instance)
        return begun

    @_guarded
    def begin_reply(self, question_id: str) -> Begun:
        """Puts one more empty reply under a question that has one already."""
        self._come_alive()
        reply_id = self._ids.next()
        with transaction(self._db, durable=True):
            conversation_id = tree.add_reply(self._db, reply_id, question_id, self._instance)
        return Begun(conversation_id, question_id, reply_id)

    @_guarded
    def checkpoint(self, reply_id: str, text: str) -> None:
        """Saves a reply so far, against a kill but not a power cut. A reply that ended or was deleted stays so."""
        with transaction(self._db, durable=False):
            tree.grow_reply(self._db, reply_id, text)

    @_guarded
    def finish(self, reply_id: str, end: ReplyEnd) -> None:
        """Writes how a reply ended; it survives a power cut when this returns.

        Raises:
            ValueError: the reply has ended already, or `end` says that it streams.
        """
        if end.status == "streaming":
            raise ValueError("a reply cannot end streaming")
        with transaction(self._db, durable=True):
            tree.end_reply(self._db, reply_id, end)

    @_guarded
    def recover(self) -> int:
        """Marks as interrupted what instances left streaming that have died; returns how many replies."""
        if self._live is None:
            return 0
        with self._live.dead() as dead:
            return self._interrupt(dead)

    @_guarded
    def path(self, message_id: str) -> tuple[StoredMessage, ...]:
        """Returns the messages from the first question to this one."""
        return tree.path_to(self._db, message_id)

    @_guarded
    def tail(self, message_id: str, limit: int) -> tuple[StoredMessage, ...]:
        """Returns the last messages of the path that ends at this one, oldest first; at least one, however long it is.

        Args:
            message_id: where the path ends.
            limit: the most messages.
        """
        return tree.path_to(self._db, message_id, max(1, limit))

    @_guarded
    def path_ids(self, message_id: str) -> list[str]:
        """Returns the ids of the messages from the first question to this one."""
        return tree.ids_to(self._db, message_id)

    @_guarded
    def messages(self, conversation_id: str) -> list[StoredMessage]:
        """Returns the whole tree of a chat in the order the messages came."""
        return tree.all_messages(self._db, conversation_id)

    @_guarded
    def conversation(self, ref: str) -> Conversation:
        """Returns the chat with this id, whose id alone begins so (4 characters or more), or with this title."""
        return search.find_conversation(self._db, ref)

    @_guarded
    def latest(self) -> Conversation | None:
        """Returns the chat written last."""
        return next(iter(tree.newest(self._db, 1, 0)), None)

    @_guarded
    def conversations(self, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Returns chats, the one written last first."""
        return tree.newest(self._db, limit, offset)

    @_guarded
    def search(self, query: str, limit: int = 50, *, prefix: bool = False) -> list[Hit]:
        """Returns the messages that hold every word of the query, the best first; any text is a valid query.

        Args:
            query: the words.
            limit: the most hits.
            prefix: whether the last word stands for all that begin so, as while it is typed; then the newest first.
        """
        return search.find_messages(self._db, query, limit, prefix)

    @_guarded
    def titled(self, query: str, limit: int = 50) -> list[Conversation]:
        """Returns the chats whose title holds every word of the query, in any case, the one written last first."""
        return search.find_titles(self._db, query, limit)

    @_guarded
    def prompts(self, limit: int = 100) -> list[str]:
        """Returns the questions of all chats that were typed, the newest first, each once."""
        return typed.prompts(self._db, limit)

    @_guarded
    def draft(self, conversation_id: str) -> str:
        """Returns what was typed into a chat and not sent; the empty id is the chat not begun."""
        return typed.draft(self._db, conversation_id)

    @_guarded
    def keep_draft(self, conversation_id: str, text: str) -> None:
        """Keeps what was typed and not sent, against a kill but not a power cut; no text removes it."""
        with transaction(self._db, durable=False):
            typed.keep_draft(self._db, conversation_id, text)

    @_guarded
    def add(self, conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
        """Records a chat from elsewhere with its whole tree and its times, all or nothing; returns its new id.

        Args:
            conversation: the chat; its ids, its leaf and its count are made anew.
            messages: parents before their children; what streams there is interrupted here.

        Raises:
            ValueError: the messages are no tree of questions and replies.
        """
        whole.check_tree(messages)
        with transaction(self._db, durable=True):
            return whole.add_chat(self._db, conversation, messages, self._ids.next)

    @_guarded
    def configure(
        self, conversation_id: str, *, system: str | None = None, sampling: Mapping[str, Any] | None = None
    ) -> None:
        """Gives a chat another system prompt or sampling; None leaves it as it is.

        Args:
            conversation_id: the chat.
            system: the system prompt.
            sampling: what the user set for this chat, by the field names of `Sampling`; it replaces what was set.
        """
        prompt = None if system is None else rows.clean(system)
        packed = None if sampling is None else rows.pack_object(sampling)
        with transaction(self._db, durable=True):
            tree.configure(self._db, conversation_id, prompt, packed)

    @_guarded
    def rename(self, conversation_id: str, title: str) -> None:
        """Gives a chat another title: the first line of it, at most 80 characters."""
        with transaction(self._db, durable=True):
            tree.set_title(self._db, conversation_id, title)

    @_guarded
    def delete(self, conversation_id: str) -> None:
        """Deletes a chat and overwrites its text in the file, its index and its log. Backups keep what they hold."""
        with transaction(self._db, durable=True):
            tree.remove(self._db, conversation_id)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @_guarded
    def check(self) -> list[str]:
        """Returns what is wrong with the database, nothing where all is well: pages, references, index, permissions."""
        problems = []
        try:
            problems += opening.quick_check(self._db)
            problems += [f"a row of {row[0]} refers to none" for row in self._db.execute("PRAGMA foreign_key_check")]
            self._db.execute("INSERT INTO messages_fts (messages_fts, rank) VALUES ('integrity-check', 1)")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            problems.append("its pages or its search index are damaged")
        if self.file is not None and self.file.stat().st_mode & _FOREIGN_MODE:
            problems.append(f"others can read it: chmod 600 {self.file}")
        return problems

    def _come_alive(self) -> None:
        if self._live is not None:
            self._live.hold()

    def _interrupt(self, dead: list[str]) -> int:
        owners = tree.streaming_owners(self._db)
        gone = [owner for owner in owners if owner in dead or not (self._live and self._live.is_known(owner))]
        if not gone:  # no write lock for a start that finds all well
            return 0
        with transaction(self._db, durable=True):
            return tree.interrupt(self._db, gone)
