"""What brings collections of documents to the state of their folders, one after the other in a thread. Headless.

Tells how far it is and how it ended. Knows no screen and no store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from llmchat_rag.errors import FilesMissing, RagError
from llmchat_tui.documents_words import progress_line
from llmchat_tui.errors import UserError

if TYPE_CHECKING:
    from llmchat_rag.events import Done
    from llmchat_rag.ingest import Event

_TELL_SECONDS = 0.1
"""Between two words about how far an update is."""


class Updating(Protocol):
    """What does the work: `Shelf` is one."""

    def update(self, name: str, cancelled: Callable[[], bool], *, accept_missing: bool) -> Iterator[Event]:
        """Brings a collection to the state of its folder."""


class Updates:
    """One update after the other; what each came to stays until the next one of its collection."""

    def __init__(self, shelf: Updating) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._waiting: dict[str, bool] = {}
        """By collection: whether files that are gone are to be forgotten, also where they are half of all."""
        self._thread: threading.Thread | None = None
        self.running = ""
        """The collection that is updated now."""
        self.lines: dict[str, str] = {}
        """By collection: how far it is, or how it ended."""
        self.problems: dict[str, str] = {}
        """By collection: why it could not be updated, and what helps."""
        self.missing: dict[str, str] = {}
        """By collection: how many files are gone at once, which somebody has to agree to."""
        self.listener: Callable[[], None] | None = None
        """Called in the thread when something changed."""
        self.ended: Callable[[str], None] | None = None
        """Called in the thread with a collection whose update came to an end by itself."""

    def is_at(self, name: str) -> bool:
        """Returns whether a collection is updated, or waits to be."""
        return name == self.running or name in self._waiting

    def start(self, name: str, *, accept_missing: bool = False) -> None:
        """Has a collection updated, when those before it are done.

        Args:
            name: which.
            accept_missing: forget files that are gone, also where they are half of all.
        """
        with self._lock:
            if self.is_at(name):
                return
            self._waiting[name] = accept_missing
            self._forget(name)
            self.lines[name] = "waits"
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="updates", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stops the update that runs, and those that wait; the next one goes on from there."""
        with self._lock:
            for name in self._waiting:
                self.lines.pop(name, None)
            self._waiting.clear()
            self._stop.set()
            if self.running:
                self.lines[self.running] = "stopping"

    def close(self, seconds: float) -> None:
        """Stops, and waits until nothing is written any more."""
        self.listener = self.ended = None
        self.stop()
        if thread := self._thread:
            thread.join(seconds)

    def _forget(self, name: str) -> None:
        for told in (self.lines, self.problems, self.missing):
            told.pop(name, None)

    def _run(self) -> None:
        try:
            while (found := self._next()) is not None:
                self._tell()
                self.lines[found[0]] = self._update(*found)
                if not self._stop.is_set() and (ended := self.ended):
                    ended(found[0])
        finally:
            with self._lock:
                if self._thread is threading.current_thread():  # it failed in a way that nobody thought of
                    self.running, self._thread = "", None
            self._tell()

    def _next(self) -> tuple[str, bool] | None:
        """Returns what is to be done; None where nothing is, and then another start needs another thread."""
        with self._lock:
            self._stop.clear()  # what waits now was asked for behind the stop
            if self._waiting:
                self.running = next(iter(self._waiting))
                return self.running, self._waiting.pop(self.running)
            self.running, self._thread = "", None
            return None

    def _update(self, name: str, accept_missing: bool) -> str:
        """Updates a collection; returns how that ended, in a few words."""
        from llmchat_rag.events import Done, Progress
        from llmchat_rag.types import Cancelled

        told, self.lines[name] = 0.0, "looking through its files"
        try:
            for event in self._shelf.update(name, self._stop.is_set, accept_missing=accept_missing):
                if isinstance(event, Progress) and not self._stop.is_set():
                    self.lines[name] = progress_line(event)
                elif isinstance(event, Done):
                    return _outcome(event)
                if monotonic() - told >= _TELL_SECONDS:
                    told = monotonic()
                    self._tell()
        except Cancelled:
            return "stopped; u goes on"
        except FilesMissing as error:
            self.missing[name] = error.what
            return f"{error.missing:,} of {error.known:,} files are gone"
        except (RagError, UserError) as error:
            self.problems[name] = f"{error}" + (f"   {error.hint}" if error.hint else "")
            return "not updated"
        return ""

    def _tell(self) -> None:
        if listener := self.listener:
            listener()


def _outcome(done: Done) -> str:
    """Returns what an update did; nothing is told of what it did not."""
    changed = ((done.indexed, "read"), (done.removed, "removed"))
    parts = [f"{count:,} {what}" for count, what in changed if count]
    return ", ".join([*parts, f"{done.unchanged:,} unchanged"]) if parts else "nothing has changed"
