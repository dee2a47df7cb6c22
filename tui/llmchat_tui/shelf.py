"""The collections of documents as a page keeps them: adding, updating in a thread, forgetting. Headless.

Knows no screen. Imports the document room when something is asked of it; each thread opens the store for itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from llmchat_rag.errors import RagError
from llmchat_tui.documents_words import progress_line
from llmchat_tui.errors import UserError

if TYPE_CHECKING:
    from llmchat_rag.ingest import Event
    from llmchat_rag.store import Collection, CollectionStatus, Library
    from llmchat_rag.types import Embedder

_TELL_SECONDS = 0.1
"""Between two words about how far an update is."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the collections are, and what an update needs."""

    folder: Path
    open_embedder: Callable[[], Embedder]

    def rows(self) -> tuple[CollectionStatus, ...]:
        """Returns the collections by name; none where there is no store.

        Raises:
            RagError: the store cannot be read.
        """
        from llmchat_rag.store import Library

        if not Library.is_there(self.folder):
            return ()
        with Library(self.folder) as library:
            return library.status().collections

    def failures(self, name: str) -> list[tuple[str, str]]:
        """Returns the files of a collection that could not be read, each with its reason.

        Raises:
            RagError: there is no such collection, or the store cannot be read.
        """
        with self._library() as library:
            return [(one.path, one.error) for one in library.documents(name) if one.status == "refused"]

    def add(self, path: str) -> str:
        """Makes a folder or a file a collection, if it is none yet; returns its name. Nothing is read.

        Raises:
            RagError: there is no such folder, or its name belongs to another one.
        """
        from llmchat_rag.errors import RootMissing

        root = Path(os.path.realpath(os.path.expanduser(path)))
        if not root.is_dir() and not root.is_file():
            raise RootMissing(f"{path} cannot be indexed", "there is no such folder or file")
        with self._library() as library:
            return (_with_root(library, root) or library.add_collection(_name_of(root), root)).name

    def remove(self, name: str) -> None:
        """Forgets a collection; its files stay.

        Raises:
            RagError: there is no such collection, or an update is running.
        """
        with self._library() as library:
            library.remove_collection(name)

    def update(self, name: str, cancelled: Callable[[], bool]) -> Iterator[Event]:
        """Brings a collection to the state of its folder.

        Raises:
            Cancelled: it was asked to stop; what was done is kept.
            RagError: as `ingest.update`, or there is no embedding model.
        """
        from llmchat_rag.ingest import update
        from llmchat_rag.parse.pool import ParserPool

        embedder = self.open_embedder()
        with self._library() as library, ParserPool() as pool:
            yield from update(library, name, embedder, pool, cancelled=cancelled)

    def _library(self) -> AbstractContextManager[Library]:
        from llmchat_rag.store import Library

        return Library(self.folder)


class Updates:
    """One update after the other, in a thread; what each came to stays until the next one of its collection."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._waiting: list[str] = []
        self._thread: threading.Thread | None = None
        self.running = ""
        """The collection that is updated now."""
        self.lines: dict[str, str] = {}
        """By collection: how far it is, or how it ended."""
        self.listener: Callable[[], None] | None = None
        """Called in the thread when something changed."""

    def start(self, name: str) -> None:
        """Has a collection updated, when those before it are done."""
        with self._lock:
            if name == self.running or name in self._waiting:
                return
            self._waiting.append(name)
            self.lines[name] = "waits"
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, name="updates", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stops the update that runs, and those that wait; the next one goes on from there."""
        with self._lock:
            for name in self._waiting:
                self.lines.pop(name, None)
            self._waiting.clear()
            self._stop.set()

    def close(self, seconds: float) -> None:
        """Stops, and waits until nothing is written any more."""
        self.listener = None
        self.stop()
        if thread := self._thread:
            thread.join(seconds)

    def _run(self) -> None:
        try:
            while name := self._next():
                self._tell()
                self.lines[name] = self._update(name)
        finally:
            with self._lock:
                self.running, self._thread = "", None
            self._tell()

    def _next(self) -> str:
        with self._lock:
            self.running = self._waiting.pop(0) if self._waiting and not self._stop.is_set() else ""
            return self.running

    def _update(self, name: str) -> str:
        """Updates a collection; returns how that ended."""
        from llmchat_rag.events import Done, Progress
        from llmchat_rag.types import Cancelled

        told, self.lines[name] = 0.0, "looking through its files"
        try:
            for event in self._shelf.update(name, self._stop.is_set):
                if isinstance(event, Progress):
                    self.lines[name] = progress_line(event)
                elif isinstance(event, Done):
                    return f"{event.indexed:,} read, {event.unchanged:,} unchanged, {event.removed:,} removed"
                if monotonic() - told >= _TELL_SECONDS:
                    told = monotonic()
                    self._tell()
        except Cancelled:
            return "stopped; u goes on"
        except (RagError, UserError) as error:
            return f"{error}" + (f"; {error.hint}" if error.hint else "")
        return ""

    def _tell(self) -> None:
        if listener := self.listener:
            listener()


def _with_root(library: Library, root: Path) -> Collection | None:
    return next((one for one in library.collections() if one.root == root), None)


def _name_of(root: Path) -> str:
    name = os.fsencode(root.stem if root.is_file() else root.name).decode("utf-8", "backslashreplace")
    return name.strip() or "root"
