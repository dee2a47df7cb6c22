"""From a question to passages: nearest vectors, best words, one ranking. Knows no engine, no screen and no prompt.

A question is encoded on one thread, collections are chosen before the search, and every cosine that is shown was
computed from the vectors in the store: an index of vectors only proposes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from llmchat_rag.errors import EmbedderMismatch, NothingRead
from llmchat_rag.fuse import blended, fused, ranked
from llmchat_rag.halves import from_blobs
from llmchat_rag.picking import Candidate, Fate, fates, pick
from llmchat_rag.query import Hit, Query, Results, Timings
from llmchat_rag.question import standing_alone
from llmchat_rag.store import EmbedderMark, Library, StoredVector
from llmchat_rag.types import Embedder, Passage, Scores
from llmchat_rag.vector_store import VectorStore, catch_up, in_background
from llmchat_rag.wording import Words, words_of

if TYPE_CHECKING:
    import threading

    from llmchat_rag.types import Vector

RERANKED = 20
"""Passages that a cross-encoder reads: 0.4 to 0.7 s on a CPU."""
LOOKED_AT = 100
"""Candidates whose texts are read; ten for each passage that is asked for are more than copies use up."""


class Searcher:
    """Answers one question after the other; keeps its index of vectors open and up to date.

    Args:
        library: the store.
        embedder: the one that made the vectors of the store.
        vectors: another index than the one on this machine.
        background: whether an index that has outgrown its form is made anew in a thread of its own.
    """

    def __init__(
        self, library: Library, embedder: Embedder, vectors: VectorStore | None = None, *, background: bool = False
    ) -> None:
        refuse_other_embedder(library.embedder(), embedder)
        self._library = library
        self._embedder = embedder
        self._given = vectors
        self._own: VectorStore | None = None
        self._background = background
        self._filling: threading.Thread | None = None

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the index of vectors; not the store."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def search(self, query: Query) -> Results:
        """Returns the passages that fit a question.

        Raises:
            CollectionMissing: a collection is not there.
            EmbedderMismatch: the vectors were made by another embedder.
            NothingRead: all documents wait to be read again.
            StoreError: the store cannot be read.
        """
        everything = self.rank(query)
        clock = _Clock()
        candidates, texts = self._read(everything.candidates, query.k)
        strong = [one for one in candidates if one.fused >= query.min_score]
        pool = pick(strong, max(query.k, RERANKED) if query.rerank else query.k)
        picked = clock.lap()
        reranked = _reranked(query, everything.question, pool, texts)
        shown = (reranked or pool)[: query.k]
        timings = replace(everything.timings, rank=everything.timings.rank + picked, rerank=clock.lap())
        now = {one.chunk_id: one for one in (*candidates, *pool, *(reranked or ()))}
        became = fates(list(now.values()), shown, candidates[len(strong) :])
        return replace(
            everything,
            passages=tuple(replace(texts[one.chunk_id], scores=_scores(one)) for one in shown),
            hits=tuple(_hit(now[key], texts[key], fate) for key, fate in became.items()),
            timings=timings,
            rerank_left_out=bool(query.rerank and pool and reranked is None),
        )

    def rank(self, query: Query) -> Results:
        """Returns all candidates in their order, before anything is left out or re-ranked.

        Raises:
            CollectionMissing: a collection is not there.
            EmbedderMismatch: the vectors were made by another embedder.
            NothingRead: all documents wait to be read again.
            StoreError: the store cannot be read.
        """
        mark = self._library.embedder()
        refuse_other_embedder(mark, self._embedder)
        owners = self._library.collection_ids(query.collections)
        question = standing_alone(query.text, query.history)
        clock = _Clock()
        vector = self._embedder.encode_query(question)
        encode = clock.lap()
        index = self._vectors() if mark and not query.documents else None
        opened = clock.lap()
        near = self._near(index, vector, query, owners)
        searched = clock.lap()
        words = words_of(self._library, question, owners)
        found = clock.lap()
        stored = self._library.vectors([*near, *(() if query.documents else words.first(query.depth))])
        candidates = _candidates(stored, near, words, vector, query)
        if not candidates:
            _refuse_unread(self._library, owners)
        timings = Timings(encode, opened, searched, found, clock.lap())
        best = max((one.dense for one in candidates), default=0.0)
        return Results((), best, question, tuple(candidates), timings)

    def _near(self, index: VectorStore | None, vector: Vector, query: Query, owners: Sequence[int]) -> Sequence[int]:
        """Returns the passages with the nearest vectors, or all of the documents that are asked."""
        if index is not None:
            return [key for key, _ in index.search(vector, query.depth, owners)]
        return [key for document in query.documents for key in self._library.chunk_ids(document)]

    def _vectors(self) -> VectorStore:
        """Returns the index of vectors in the state of the store."""
        if self._given is not None:
            catch_up(self._given, self._library)
            return self._given
        if self._filling is not None and not self._filling.is_alive():
            self.close()
            self._filling = None
        if self._own is None:
            self._own = open_index(self._library, self._embedder.dimension)
        catch_up(self._own, self._library)
        if self._background and self._filling is None and self._own.outgrown():
            self._filling = in_background(_filler(self._library.folder, self._embedder.dimension))
        return self._own

    def _read(self, candidates: Sequence[Candidate], k: int) -> tuple[list[Candidate], dict[int, Passage]]:
        """Returns the first candidates with their texts, as far down as anything can be shown from."""
        first = candidates[: max(LOOKED_AT, 10 * k)]
        texts = self._library.passages(one.chunk_id for one in first)
        return [replace(one, text=texts[one.chunk_id].text) for one in first if one.chunk_id in texts], texts


def search(library: Library, embedder: Embedder, query: Query, vectors: VectorStore | None = None) -> Results:
    """Answers one question; a `Searcher` answers many.

    Args:
        library: the store.
        embedder: the one that made the vectors of the store.
        query: the question.
        vectors: another index than the one on this machine.

    Raises:
        CollectionMissing: a collection is not there.
        EmbedderMismatch: the vectors were made by another embedder.
        NothingRead: all documents wait to be read again.
        StoreError: the store cannot be read.
    """
    with Searcher(library, embedder, vectors) as searcher:
        return searcher.search(query)


def open_index(library: Library, dimension: int) -> VectorStore:
    """Returns the index of vectors on this machine, as its file holds it; empty where there is none that fits."""
    from llmchat_rag.vectors import FaissVectors

    return FaissVectors(library.folder, dimension, lambda position: library.last_chunk(position) is not None)


def fill_index(library: Library, dimension: int) -> None:
    """Brings the index of vectors on this machine to the state of the store, and into the form that suits it."""
    with closing(open_index(library, dimension)) as index:
        catch_up(index, library, patient=True)


def open_server(address: str, dimension: int, folder: Path) -> VectorStore | None:
    """Returns the index of vectors on a server; None where no address is given.

    Args:
        address: of the server.
        dimension: of the vectors.
        folder: of the store.

    Raises:
        VectorServerError: it does not answer, or what speaks to it is not installed.
    """
    if not address:
        return None
    from llmchat_rag.milvus import server_vectors

    return server_vectors(address, dimension, folder)


def refuse_other_embedder(mark: EmbedderMark | None, embedder: Embedder) -> None:
    """Raises EmbedderMismatch where vectors of two embedders would be compared."""
    if mark is None or (mark.fingerprint, mark.dimension) == (embedder.fingerprint, embedder.dimension):
        return
    raise EmbedderMismatch(
        f"the documents were indexed with {mark.name}",
        f"{embedder.name} makes other vectors, and the two cannot be compared",
        f"llmchat docs update --force reads them again with {embedder.name}",
    )


def _refuse_unread(library: Library, owners: Sequence[int]) -> None:
    """Raises NothingRead where an empty answer would say that the documents hold none."""
    asked = [row for row in library.status().collections if not owners or row.collection.id in owners]
    waiting = sum(row.pending for row in asked)
    if waiting and not any(row.chunks for row in asked):
        raise NothingRead(waiting)


def _candidates(
    stored: dict[int, StoredVector],
    near: Sequence[int],
    words: Words,
    vector: Vector,
    query: Query,
) -> list[Candidate]:
    """Returns what is in the store of both searches, with exact cosines, best first."""
    if not stored:
        return []
    keys = list(stored)
    matrix = from_blobs([one.blob for one in stored.values()], len(vector))
    dense = {key: min(1.0, float(cosine)) for key, cosine in zip(keys, matrix @ vector, strict=True)}
    scored = {key: words.score(key, one.document_id, one.of_passages) for key, one in stored.items()}
    bm25 = {key: score for key, score in scored.items() if score > 0}
    scores = fused(dense, bm25, alpha=query.alpha, fusion=query.fusion)
    dense_ranks = ranked({key: dense[key] for key in near if key in dense})
    bm25_ranks = ranked(bm25)
    rows = {key: row for row, key in enumerate(keys)}
    return [
        Candidate(
            chunk_id=key,
            document_id=stored[key].document_id,
            fused=scores[key],
            dense=dense[key],
            bm25=bm25.get(key, 0.0),
            vector=matrix[rows[key]],
            dense_rank=dense_ranks.get(key, 0),
            bm25_rank=bm25_ranks.get(key, 0),
        )
        for key in sorted(keys, key=lambda key: (-scores[key], key))
    ]


def _reranked(
    query: Query, question: str, pool: Sequence[Candidate], texts: dict[int, Passage]
) -> list[Candidate] | None:
    """Returns the pool in its new order; None where nobody was asked or the time was not enough."""
    if query.rerank is None or not pool:
        return None
    read = pool[:RERANKED]
    given = query.rerank.score(question, [_read_text(texts[one.chunk_id]) for one in read], query.rerank_seconds)
    if given is None:
        return None
    scores = {one.chunk_id: float(score) for one, score in zip(read, given, strict=True)}
    order = blended({one.chunk_id: one.fused for one in read}, scores)
    scored = [replace(one, rerank=scores[one.chunk_id]) for one in read]
    return [*sorted(scored, key=lambda one: -order[one.chunk_id]), *pool[RERANKED:]]


def _hit(one: Candidate, passage: Passage, fate: Fate) -> Hit:
    return Hit(one.chunk_id, passage.source, _scores(one), one.dense_rank, one.bm25_rank, fate)


def _filler(folder: Path, dimension: int) -> Callable[[], None]:
    def fill() -> None:
        with Library(folder) as library:
            fill_index(library, dimension)

    return fill


def _scores(one: Candidate) -> Scores:
    return Scores(one.fused, one.dense, one.bm25, one.rerank)


def _read_text(passage: Passage) -> str:
    above = " › ".join(part for part in (passage.title, passage.heading) if part)
    return f"{above}\n{passage.text}" if above else passage.text


class _Clock:
    def __init__(self) -> None:
        self._at = time.perf_counter()

    def lap(self) -> float:
        before, self._at = self._at, time.perf_counter()
        return self._at - before
