"""The store: documents, their passages and vectors in one SQLite file, which is the truth of the document room.

Knows no parser, no embedder and no index of vectors: bytes in, bytes out. One `Library` is for one thread at a time;
any number of them, in any number of processes, read beside one writer.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from llmchat_rag.store import blobs, chunks, collections, documents, journal, words
from llmchat_rag.store.connection import snapshot, transaction
from llmchat_rag.store.documents import Entry
from llmchat_rag.store.faults import translated
from llmchat_rag.store.lock import writing
from llmchat_rag.store.opening import DATABASE, open_store
from llmchat_rag.store.values import (
    Collection,
    Document,
    EmbedderMark,
    FileState,
    Place,
    Position,
    StoredVector,
    StoreStatus,
)
from llmchat_rag.types import Found, Passage, Refused

_P = ParamSpec("_P")
_R = TypeVar("_R")

KEPT_UNUSED = 10_000
"""Vectors without a passage that are kept at least, for files that come back: 8 MB with 384 dimensions."""


class Library:
    """An open store.

    Args:
        folder: where it lives; made if it is not there.

    Raises:
        StoreError: it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / DATABASE
        with translated(self._path):
            self._connection = open_store(folder)

    @staticmethod
    def is_there(folder: Path) -> bool:
        """Returns whether a folder has a store, without making one."""
        return (folder / DATABASE).is_file()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes it; closing twice is no harm."""
        self._connection.close()

    # Collections

    def collections(self) -> list[Collection]:
        """Returns all collections by name."""
        return self._read(collections.every)

    def collection(self, name: str) -> Collection:
        """Returns a collection.

        Raises:
            CollectionMissing: there is none of that name.
        """
        return self._read(collections.named, name)

    def collection_ids(self, names: Iterable[str]) -> tuple[int, ...]:
        """Returns the ids of collections.

        Raises:
            CollectionMissing: one of them is not there.
        """
        return self._read(collections.ids, tuple(names))

    def add_collection(
        self, name: str, root: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Collection:
        """Adds a collection, or gives the one with this name and root new rules.

        Raises:
            CollectionExists: the name belongs to another root.
        """
        with self._write():
            return collections.add(self._connection, name, root, include, exclude)

    def remove_collection(self, name: str) -> None:
        """Forgets a collection and everything that was read for it, vectors too. The files are not touched.

        Raises:
            CollectionMissing: there is none of that name.
            StoreBusy: an update is running.
        """
        with self.writing():
            before = self.position().generation
            with self._write():
                found = collections.named(self._connection, name)
                there = documents.states(self._connection, found.id).values()
                documents.drop(self._connection, [state.document_id for state in there])
                self._connection.execute("DELETE FROM collection WHERE id = ?", (found.id,))
                blobs.sweep(self._connection)
            self.tidy(len(self.removed_since(before)))

    def updated(self, collection: Collection) -> None:
        """Remembers that an update of a collection went through now."""
        with self._write():
            self._connection.execute("UPDATE collection SET updated_at = ? WHERE id = ?", (time.time(), collection.id))

    # Documents

    def documents(self, name: str) -> list[Document]:
        """Returns the documents of a collection by path.

        Raises:
            CollectionMissing: there is none of that name.
        """
        return self._read(documents.listed, self.collection(name).id)

    def file_states(self, collection: Collection) -> dict[str, FileState]:
        """Returns what is known of each file of a collection, by its path below the root."""
        return self._read(documents.states, collection.id)

    def put_document(self, collection: Collection, entry: Entry) -> None:
        """Writes a document in place of what was there under its path, in one transaction; its vectors are there."""
        with self._write():
            documents.put(self._connection, collection.id, entry)

    def refuse_document(self, collection: Collection, found: Found, digest: bytes, refused: Refused) -> None:
        """Remembers that a file cannot be read, and why."""
        with self._write():
            documents.refuse(self._connection, collection.id, found, digest, refused)

    def touch_document(self, document_id: int, found: Found) -> None:
        """Remembers that a file is as it was, though its time is not."""
        with self._write():
            documents.touch(self._connection, document_id, found)

    def drop_documents(self, document_ids: Sequence[int]) -> None:
        """Forgets documents with everything that can be found of them."""
        with self._write():
            documents.drop(self._connection, document_ids)

    # Vectors

    def embedder(self) -> EmbedderMark | None:
        """Returns which embedder made the vectors; None before the first."""
        return self._read(blobs.mark)

    def adopt(self, made_by: EmbedderMark) -> None:
        """Takes vectors of this embedder from now on; all documents then wait to be read again."""
        with self._write():
            before = blobs.mark(self._connection)
            if before is not None and before.fingerprint != made_by.fingerprint:
                documents.void(self._connection)
            blobs.set_mark(self._connection, made_by)

    def note(self, name: str) -> str | None:
        """Returns what was noted under a name; None where nothing was."""
        return self._read(blobs.note, name)

    def set_note(self, name: str, value: str) -> None:
        """Notes something about the whole store, in place of what was noted under that name."""
        with self._write():
            blobs.set_note(self._connection, name, value)

    def known_vectors(self, hashes: Sequence[bytes]) -> set[bytes]:
        """Returns those of these hashes whose vector is here."""
        return self._read(blobs.known, hashes)

    def remember_vectors(self, hashes: Sequence[bytes], vectors: Sequence[bytes]) -> None:
        """Keeps vectors by their hash; the passages that use them may come later, or in the next run."""
        with self._write():
            blobs.remember(self._connection, hashes, vectors)

    def sweep_vectors(self, keep: int = KEPT_UNUSED) -> int:
        """Forgets the vectors that no passage uses, once they are many; returns how many."""
        with self._write():
            used = chunks.count(self._connection)
            if blobs.count(self._connection) - used <= max(keep, used // 5 if keep else 0):
                return 0
            return blobs.sweep(self._connection)

    def vectors_after(self, last_chunk: int, size: int = 8192) -> Iterator[blobs.Batch]:
        """Yields the vectors of all passages with greater ids, ascending, one collection a batch."""
        with translated(self._path):
            yield from blobs.after(self._connection, last_chunk, size)

    # Passages

    def passages(self, ids: Iterable[int]) -> dict[int, Passage]:
        """Returns the passages of these ids that are there, without scores."""
        return self._read(chunks.passages, ids)

    def vectors(self, ids: Iterable[int]) -> dict[int, StoredVector]:
        """Returns the vectors of these passages that are there."""
        return self._read(chunks.vectors, ids)

    def places(self, ids: Iterable[int]) -> dict[int, Place]:
        """Returns where these passages stand among their neighbours."""
        return self._read(chunks.places, ids)

    def around(self, place: Place, distance: int) -> list[Place]:
        """Returns the passages before and behind a passage, up to a distance, in their order."""
        return self._read(chunks.around, place, distance)

    def chunk_ids(self, document_id: int) -> list[int]:
        """Returns the ids of a document's passages in their order."""
        return self._read(chunks.of_document, document_id)

    def text(self, document_id: int) -> str:
        """Returns what was read from a document; nothing where it is not there."""
        return self._read(chunks.text, document_id)

    def find_words(
        self, table: words.Table, terms: Sequence[str], k: int, in_collections: Sequence[int] = ()
    ) -> list[tuple[int, float]]:
        """Returns the best passages, or documents, that have one of some terms and their BM25, best first."""
        return self._read(words.find, table, terms, k, in_collections)

    # The whole

    def status(self) -> StoreStatus:
        """Returns the store in numbers."""
        with self.snapshot():
            rows = collections.status(self._connection)
            size = self._path.stat().st_size
            total = sum(row.chunks for row in rows)
            return StoreStatus(rows, total, blobs.count(self._connection), size, blobs.mark(self._connection))

    def count(self) -> int:
        """Returns how many passages there are."""
        return self._read(chunks.count)

    def position(self) -> Position:
        """Returns the newest state of the passages."""
        return self._read(journal.position)

    def last_chunk(self, at: Position) -> int | None:
        """Returns the greatest id at a position; None where this store was never there, or long ago."""
        return self._read(journal.last_chunk, at)

    def removed_since(self, generation: int) -> list[int]:
        """Returns the passages that were taken away after a generation."""
        return self._read(journal.removed_since, generation)

    def forget_before(self, generation: int) -> None:
        """Drops what only copies of the vectors older than a generation would ask for."""
        with self._write():
            journal.forget_before(self._connection, generation)

    def tidy(self, changed: int) -> None:
        """Makes the index of words one piece where much has changed, and gives space that is free back to the disk.

        Args:
            changed: passages that came or went; the words of those that went stay in the file until then.
        """
        if changed > self.count() // 10:
            with self._write():
                words.optimize(self._connection)
        with translated(self._path):
            # Not `execute`, which stops behind the first page.
            self._connection.executescript("PRAGMA incremental_vacuum")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keeps every other indexing process out.

        Raises:
            StoreBusy: another one is at it.
        """
        with ExitStack() as stack:
            with translated(self._path):
                stack.enter_context(writing(self.folder))
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Reads one state of the store, whatever others write meanwhile."""
        with translated(self._path), snapshot(self._connection):
            yield

    @contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """Lends the connection to what examines and repairs the store."""
        with translated(self._path):
            yield self._connection

    @contextmanager
    def _write(self) -> Iterator[None]:
        with translated(self._path), transaction(self._connection):
            yield

    def _read(
        self, function: Callable[Concatenate[sqlite3.Connection, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        with translated(self._path):
            return function(self._connection, *args, **kwargs)
