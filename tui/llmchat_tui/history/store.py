"""`History`: the conversations on disk, one method per thing that can happen to them.

Holds the transactions; what is only read is in reading.py, the SQL in tree.py, branches.py, whole.py and typed.py, the
checks in opening.py. Knows no engine and no screen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from llmchat_tui.history import branches, opening, rows, tree, typed, whole
from llmchat_tui.history.connection import transaction
from llmchat_tui.history.faults import translated
from llmchat_tui.history.ids import IdClock
from llmchat_tui.history.liveness import Liveness
from llmchat_tui.history.reading import Reader, guarded
from llmchat_tui.history.values import Begun, Conversation, ReplyEnd, StoredMessage

_FOREIGN_MODE = 0o077
_NOT_SET: Mapping[str, Any] = MappingProxyType({})


class History(Reader):
    """The conversations of one database. Safe from any thread; any number of instances may share the file.

    Every method raises StorageError where the database cannot be used, and NotFound where an id fits nothing.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None, instance: str, live: Liveness | None) -> None:
        super().__init__(connection, path)
        self._instance = instance
        self._live = live
        self._ids = IdClock()

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

    @guarded
    def close(self) -> None:
        """Closes the database and says that this instance writes no more. Closing twice is fine."""
        self._db.close()
        if self._live is not None:
            self._live.release()

    @guarded
    def begin(
        self,
        question: str,
        *,
        conversation_id: str = "",
        parent_id: str = "",
        system: str = "",
        title: str = "",
        sampling: Mapping[str, Any] = _NOT_SET,
        collections: Sequence[str] = (),
        recipe: Mapping[str, Any] = _NOT_SET,
        reply_text: str = "",
        replies: int = 1,
    ) -> Begun:
        """Puts a question on disk, and a reply to grow under it; both survive a power cut when this returns.

        Args:
            question: the text as the model will see it.
            conversation_id: the chat it belongs to; empty starts a new one.
            parent_id: the reply it follows; empty for a first question.
            system: the system prompt of a new chat.
            title: of a new chat; empty takes the first line of the question.
            sampling: what the user set for a new chat, by the field names of `Sampling`.
            collections: of documents that a new chat is answered from.
            recipe: how a new chat has its questions asked, as recipe.py packs it.
            reply_text: what the reply begins with.
            replies: so many grow side by side; the chat goes on with the first.
        """
        self._come_alive()
        chat_id, question_id = conversation_id or self._ids.next(), self._ids.next()
        with transaction(self._db, durable=True):
            if not conversation_id:
                tree.add_conversation(self._db, chat_id, title or question, system, sampling, collections, recipe)
            tree.add_question(self._db, question_id, chat_id, parent_id, question)
            return self._add_replies(question_id, reply_text, replies)

    @guarded
    def begin_reply(self, question_id: str, text: str = "", replies: int = 1) -> Begun:
        """Puts one more reply to grow under a question that has one already.

        Args:
            question_id: the question.
            text: what the reply begins with.
            replies: so many grow side by side; the chat goes on with the first.
        """
        self._come_alive()
        with transaction(self._db, durable=True):
            return self._add_replies(question_id, text, replies)

    @guarded
    def withdraw(self, reply_ids: Sequence[str]) -> None:
        """Takes back replies in which nothing was said, while they grow; all others stay."""
        with transaction(self._db, durable=True):
            tree.withdraw(self._db, reply_ids)

    @guarded
    def checkpoint(self, reply_id: str, text: str, settings: Mapping[str, Any] | None = None) -> None:
        """Saves a reply so far, against a kill but not a power cut. A reply that ended or was deleted stays so.

        Args:
            reply_id: the reply.
            text: all of it.
            settings: what is known of how it is made; None leaves what was saved before.
        """
        packed = None if settings is None else rows.pack_object(settings)
        with transaction(self._db, durable=False):
            tree.grow_reply(self._db, reply_id, text, packed)

    @guarded
    def finish(self, reply_id: str, end: ReplyEnd) -> None:
        """Writes how a reply ended; it survives a power cut when this returns.

        Raises:
            ValueError: the reply has ended already, or `end` says that it streams.
        """
        if end.status == "streaming":
            raise ValueError("a reply cannot end streaming")
        with transaction(self._db, durable=True):
            tree.end_reply(self._db, reply_id, end)

    @guarded
    def annotate(self, reply_id: str, patch: Mapping[str, Any], stats: Mapping[str, Any] = _NOT_SET) -> None:
        """Adds to the settings of a reply that ended what is known of it only now; this is no change of the chat.

        Args:
            reply_id: the reply.
            patch: JSON values by name; they replace what is there under the same names.
            stats: the same for how it went.
        """
        with transaction(self._db, durable=False):
            tree.annotate(self._db, reply_id, patch, stats)

    @guarded
    def recover(self) -> int:
        """Marks as interrupted what instances left streaming that have died; returns how many replies."""
        if self._live is None:
            return 0
        with self._live.dead() as dead:
            return self._interrupt(dead)

    @guarded
    def keep_draft(self, conversation_id: str, text: str) -> None:
        """Keeps what was typed and not sent, against a kill but not a power cut; no text removes it."""
        with transaction(self._db, durable=False):
            typed.keep_draft(self._db, conversation_id, text)

    @guarded
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

    @guarded
    def configure(
        self,
        conversation_id: str,
        *,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
        collections: Sequence[str] | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> None:
        """Gives a chat another system prompt, sampling, recipe or other collections; None leaves it as it is.

        Args:
            conversation_id: the chat.
            system: the system prompt.
            sampling: what the user set for this chat, by the field names of `Sampling`; it replaces what was set.
            collections: the names; none asks no documents any more.
            recipe: how its questions are asked from now on, as recipe.py packs it.
        """
        prompt = None if system is None else rows.clean(system)
        packed = None if sampling is None else rows.pack_object(sampling)
        names = None if collections is None else rows.pack_names(collections)
        asked = None if recipe is None else rows.pack_object(recipe)
        with transaction(self._db, durable=True):
            tree.configure(self._db, conversation_id, prompt, packed, names, asked)

    @guarded
    def choose(self, conversation_id: str, leaf_id: str) -> None:
        """Makes any message of a chat its leaf until the next one is written; this is no change of the chat."""
        with transaction(self._db, durable=False):
            branches.choose(self._db, conversation_id, leaf_id)

    @guarded
    def rename(self, conversation_id: str, title: str) -> None:
        """Gives a chat another title: the first line of it, at most 80 characters."""
        with transaction(self._db, durable=True):
            tree.set_title(self._db, conversation_id, title)

    @guarded
    def delete(self, conversation_id: str) -> None:
        """Deletes a chat and overwrites its text in the file, its index and its log. Backups keep what they hold."""
        with transaction(self._db, durable=True):
            tree.remove(self._db, conversation_id)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @guarded
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

    def _add_replies(self, question_id: str, text: str, count: int) -> Begun:
        """Adds replies that grow under a question, within a transaction; the first is what the chat goes on with."""
        first, *others = (self._ids.next() for _ in range(count))
        chat_id = tree.add_reply(self._db, first, question_id, self._instance, text)
        for reply_id in others:
            tree.add_reply(self._db, reply_id, question_id, self._instance, text)
        if others:  # else the newest would be
            branches.choose(self._db, chat_id, first)
        return Begun(chat_id, question_id, first, tree.created_at(self._db, chat_id), tuple(others))

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
