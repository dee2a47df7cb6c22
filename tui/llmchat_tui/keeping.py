"""Drafts and deletions of the chat: written a moment later, in a thread, so that no key waits for a disk. Headless.

A draft that was kept for half a second survives a kill. A deletion can be taken back for ten seconds: until then the
chat is only hidden, and a kill brings it back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from llmchat_engine import EngineError
from llmchat_tui.errors import NotFound, UserError
from llmchat_tui.history import Conversation, History, Hit

DRAFT_SECONDS = 0.3
UNDO_SECONDS = 10.0
HITS = 60
"""Messages that a search shows: more than anybody reads."""


class Keeper:
    """One thread that writes what has become due."""

    def __init__(
        self,
        history: History,
        failed: Callable[[UserError], None],
        *,
        draft_seconds: float = DRAFT_SECONDS,
        undo_seconds: float = UNDO_SECONDS,
        forget: Callable[[str], object] = lambda _conversation_id: None,
    ) -> None:
        """Starts nothing yet.

        Args:
            history: where it is written.
            failed: told what could not be written, from the thread.
            draft_seconds: how long a draft rests before it is written.
            undo_seconds: how long a deletion can be taken back.
            forget: has the engine drop what it keeps of a deleted chat; called in the thread, may take seconds.
        """
        self._forget = forget
        self._history, self._failed = history, failed
        self._draft_seconds, self._undo_seconds = draft_seconds, undo_seconds
        self._changed = threading.Condition()
        self._drafts: dict[str, tuple[float, str]] = {}
        self._doomed: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def keep_draft(self, conversation_id: str, text: str) -> None:
        """Writes a draft soon; an empty one removes it."""
        with self._changed:
            self._drafts[conversation_id] = (time.monotonic() + self._draft_seconds, text)
            self._wake()

    def draft(self, conversation_id: str) -> str:
        """Returns the draft of a chat, written or not yet."""
        with self._changed:
            if conversation_id in self._drafts:
                return self._drafts[conversation_id][1]
        return self._history.draft(conversation_id)

    def doom(self, conversation_id: str) -> None:
        """Hides a chat, and deletes it when its time is up."""
        with self._changed:
            self._doomed[conversation_id] = time.monotonic() + self._undo_seconds
            self._drafts.pop(conversation_id, None)
            self._wake()

    def spare(self, conversation_id: str = "") -> str:
        """Takes back the deletion of a chat, or the last one; returns the chat, or nothing where there is none."""
        with self._changed:
            if conversation_id:
                return conversation_id if self._doomed.pop(conversation_id, None) is not None else ""
            return self._doomed.popitem()[0] if self._doomed else ""

    def look(self, query: str, limit: int) -> tuple[list[Conversation], list[Hit]]:
        """Returns the chats whose title alone fits a query and the messages that do; with no query the newest chats."""
        with self._changed:
            doomed = set(self._doomed)
        most = limit + len(doomed)
        chats = self._history.titled(query, most) if query else self._history.conversations(most)
        hits = self._history.search(query, HITS, prefix=True) if query else []
        return (
            [chat for chat in chats if chat.id not in doomed][:limit],
            [hit for hit in hits if hit.conversation.id not in doomed],
        )

    def close(self) -> None:
        """Writes and deletes everything at once, and ends the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._write_due(float("inf"))

    def _wake(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                due = min([*(due for due, _ in self._drafts.values()), *self._doomed.values()], default=None)
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._write_due(time.monotonic())

    def _write_due(self, now: float) -> None:
        with self._changed:
            drafts = {key: text for key, (due, text) in self._drafts.items() if due <= now}
            doomed = [key for key, due in self._doomed.items() if due <= now]
        for key, text in drafts.items():
            self._write_draft(key, text)
        for key in doomed:
            self._delete(key)

    def _write_draft(self, key: str, text: str) -> None:
        try:
            self._history.keep_draft(key, text)
        except NotFound:  # its chat was deleted meanwhile
            pass
        except UserError as error:
            self._failed(error)
        with self._changed:
            if self._drafts.get(key, (0.0, ""))[1] == text:
                self._drafts.pop(key, None)

    def _delete(self, key: str) -> None:
        with self._changed:
            if self._doomed.pop(key, None) is None:
                return
        try:
            with suppress(NotFound):  # another llmchat was faster
                self._history.delete(key)
            self._forget(key)
        except UserError as error:
            self._failed(error)
        except EngineError as error:
            self._failed(UserError(error.what, error.why, error.hint))
