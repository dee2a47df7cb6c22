"""What the commands of `llmchat docs` share: opening the store and its models, asking, and naming collections.

Knows no single command. Imports the document room when a command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_rag.store import Collection, Library
    from llmchat_rag.types import Embedder
    from llmchat_rag.vector_store import VectorStore
    from llmchat_tui.cli.app import App


@contextmanager
def open_library(app: App, *, make: bool = False) -> Iterator[Library]:
    """Yields the store of all documents.

    Args:
        app: this run.
        make: begin one where there is none.

    Raises:
        CollectionMissing: there is none yet.
        StoreError: it cannot be used.
    """
    from llmchat_rag.store import Library

    if not make and not Library.is_there(app.paths.docs_dir):
        raise no_documents()
    with Library(app.paths.docs_dir) as library:
        yield library


def no_documents() -> Exception:
    """Returns the failure of a question to documents where there are none."""
    from llmchat_rag.errors import CollectionMissing

    return CollectionMissing("there are no documents yet", "", "llmchat docs add PATH")


def chosen(library: Library, names: Sequence[str]) -> list[Collection]:
    """Returns the collections of these names, all of them where none is named.

    Raises:
        CollectionMissing: one is not there; checked before anything is done to the others.
    """
    if not names:
        return library.collections()
    return [library.collection(name) for name in dict.fromkeys(map(as_name, names))]


def as_name(text: str) -> str:
    """Returns a name that can be stored; bytes that are no UTF-8 become a backslash, x and digits.

    Raises:
        UsageError: it is empty.
    """
    name = os.fsencode(text).decode("utf-8", "backslashreplace").strip()
    if not name:
        raise UsageError("the name of a collection is empty", hint="llmchat docs ls")
    return name


def vectors_of(app: App, library: Library, embedder: Embedder) -> VectorStore | None:
    """Returns the index on the vector server of the settings; None where vectors are searched on this machine.

    Args:
        app: this run.
        library: whose vectors; only those of the user's own store are on the server.
        embedder: that made them.

    Raises:
        VectorServerError: it does not answer.
    """
    from llmchat_rag.search import open_server

    address = app.config.settings.vector_server if library.folder == app.paths.docs_dir else ""
    return open_server(address, embedder.dimension, library.folder)


def agreed(question: str, hint: str) -> bool:
    """Asks on the terminal.

    Args:
        question: answered with y or n.
        hint: what to do where nobody is there to ask.

    Raises:
        UsageError: nobody is there.
    """
    if not can_ask():
        raise UsageError("cannot ask before removing", "stdin is not a terminal", hint)
    return click.confirm(question, default=False, err=True)


def can_ask() -> bool:
    """Returns whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty()


def many(count: int, one: str, more: str = "") -> str:
    """Returns a number with its noun: `1 file`, `12 files`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def file_of(collection: Collection, relative: str) -> Path:
    """Returns the file of a document; a collection may be one file."""
    root = collection.root
    return root if root.name == relative and root.is_file() else root / relative
