"""What finds the nearest vectors, and how it keeps up with the store. Knows neither FAISS nor Milvus.

An index of vectors is a copy: it says at which position of the store's journal it stands, and catches up from there
or is filled anew. Texts, words and citations always stay in the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from llmchat_rag.halves import from_blobs
from llmchat_rag.store import Library, Position

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors


class VectorStore(Protocol):
    """An index of vectors by the ids of their passages."""

    name: str
    dimension: int

    @property
    def position(self) -> Position | None:
        """The state of the store that it holds; None where it holds nothing that can be used."""

    @property
    def settled(self) -> Position | None:
        """The state that outlives this process; what the store forgets of its journal must be older."""

    def begin(self, expected: int, *, patient: bool) -> None:
        """Empties it.

        Args:
            expected: how many vectors will be added.
            patient: whether time may be spent now so that searches are fast later.
        """

    def add(self, ids: Sequence[int], vectors: Vectors, collection: int) -> None:
        """Adds the vectors of one collection; ids only ever grow."""

    def delete(self, ids: Sequence[int]) -> None:
        """Takes vectors out; ids that are not there are no harm."""

    def search(self, vector: Vector, k: int, collections: Sequence[int] = ()) -> list[tuple[int, float]]:
        """Returns the nearest ids and their cosines, best first.

        Args:
            vector: of length 1.
            k: how many, unless there are fewer.
            collections: only vectors of these, left out before the search and not after; empty is all.
        """

    def count(self) -> int:
        """Returns how many vectors can be found."""

    def outgrown(self) -> bool:
        """Returns whether so much changed since `begin` that it should be filled anew."""

    def flush(self, position: Position) -> None:
        """Makes what was added last, and remembers which state of the store that is."""

    def close(self) -> None:
        """Gives back what it holds."""


def catch_up(vectors: VectorStore, library: Library, *, patient: bool = False) -> None:
    """Brings an index to the state of the store.

    Args:
        vectors: the index.
        library: the store.
        patient: whether an index that has outgrown its form is made anew now; otherwise only one that is no use.
    """
    if vectors.position == library.position() and not (patient and vectors.outgrown()):
        return
    with library.snapshot():
        now = library.position()
        since = None if vectors.position is None else library.last_chunk(vectors.position)
        if vectors.position is None or since is None:
            _fill(vectors, library, now, patient=patient)
            return
        vectors.delete(library.removed_since(vectors.position.generation))
        if now != vectors.position:
            _add_after(vectors, library, since)
            vectors.flush(now)
        if patient and vectors.outgrown():
            _fill(vectors, library, now, patient=True)


def in_background(fill: Callable[[], None]) -> threading.Thread:
    """Starts filling an index in a thread of its own, which ends with the process."""
    thread = threading.Thread(target=fill, name="llmchat-vectors", daemon=True)
    thread.start()
    return thread


def _fill(vectors: VectorStore, library: Library, now: Position, *, patient: bool) -> None:
    vectors.begin(library.count(), patient=patient)
    _add_after(vectors, library, 0)
    vectors.flush(now)


def _add_after(vectors: VectorStore, library: Library, last_chunk: int) -> None:
    for batch in library.vectors_after(last_chunk):
        vectors.add(batch.ids, from_blobs(batch.vectors, vectors.dimension), batch.collection_id)
