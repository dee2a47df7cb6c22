"""The collections of documents as a page keeps them: adding, updating in a thread, forgetting. Headless.

Knows no screen. Imports the document room when something is asked of it; each thread opens the store for itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmchat_rag.ingest import Event
    from llmchat_rag.store import Collection, CollectionStatus, Library
    from llmchat_rag.types import Embedder


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the collections are, and what an update needs."""

    folder: Path
    open_embedder: Callable[[], Embedder]
    vector_server: str = ""
    """Where vectors are searched; empty is this machine."""

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

    def update(self, name: str, cancelled: Callable[[], bool], *, accept_missing: bool = False) -> Iterator[Event]:
        """Brings a collection to the state of its folder.

        Raises:
            Cancelled: it was asked to stop; what was done is kept.
            RagError: as `ingest.update`, or there is no embedding model.
        """
        from llmchat_rag.ingest import update
        from llmchat_rag.parse.pool import ParserPool
        from llmchat_rag.search import open_server

        embedder = self.open_embedder()
        with ExitStack() as stack:
            vectors = open_server(self.vector_server, embedder.dimension, self.folder)
            if vectors is not None:
                stack.callback(vectors.close)
            library, pool = stack.enter_context(self._library()), stack.enter_context(ParserPool())
            yield from update(
                library,
                name,
                embedder,
                pool,
                accept_missing=accept_missing,
                cancelled=cancelled,
                vectors=vectors,
            )

    def _library(self) -> AbstractContextManager[Library]:
        from llmchat_rag.store import Library

        return Library(self.folder)


def _with_root(library: Library, root: Path) -> Collection | None:
    return next((one for one in library.collections() if one.root == root), None)


def _name_of(root: Path) -> str:
    name = os.fsencode(root.stem if root.is_file() else root.name).decode("utf-8", "backslashreplace")
    return name.strip() or "root"
