"""The document room as a turn and the screens use it: one store, one encoder and one index, opened when first needed.

Safe from any thread: one caller at a time. Knows no engine (what counts tokens is handed in), no screen and no chat;
imports nothing of the document room before it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, cast

from llmchat_tui.asked import ALL, Asked, asked_in, asked_of
from llmchat_tui.reranking import Reranking, seconds_for
from llmchat_tui.sources import KeptSource, passage_of

if TYPE_CHECKING:
    from llmchat_rag.context import ContextBlock, Source
    from llmchat_rag.gate import Gate, Verdict
    from llmchat_rag.query import Query, Results
    from llmchat_rag.search import Searcher
    from llmchat_rag.store import CollectionStatus, Document, Library
    from llmchat_rag.types import Embedder, Passage, Reranker
    from llmchat_rag.vector_store import VectorStore
    from llmchat_rag.verify import Verified
    from llmchat_rag.whole import Whole

__all__ = ["ALL", "Asked", "Documents", "Retrieval", "asked_in", "asked_of"]

LONGEST_QUERY = 2000
"""Characters of a question that are searched, from its end: before it stand the files that were attached."""
_NEIGHBOURS = 0.7
"""The part of a block's budget that passages and what stands around them may take by the embedder's count, which is
not the model's."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What was found for a question."""

    hits: tuple[Passage, ...]
    """Best first. For a question about whole documents: all of them, in their order."""
    best_cosine: float
    verdict: Verdict
    """Of the gate; `abstain` is not worth the model's time."""
    seconds: float
    results: Results | None = None
    """How it came about: scores, ranks, times; None for a question about whole documents."""
    whole: Whole | None = None
    """Set where the question is about whole documents, which are read part by part."""
    recalled: bool = False
    """Whether it stands in a reply already: its order is its numbers."""
    weak_under: float = 0.0
    """The cosine under which the evidence is called weak."""


class Documents:
    """The documents of this user. Nothing is opened before it is asked for."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        embedder: str = "",
        reranker: str = "",
        vector_server: str = "",
        *,
        encoder: Callable[[], Embedder] | None = None,
        lasting: bool = False,
    ) -> None:
        """Opens nothing.

        Args:
            folder: where the store is.
            models: where exports of embedding models are kept.
            embedder: the embedding model; empty is the default one.
            reranker: the cross-encoder; empty is the first that is found.
            vector_server: where vectors are searched; empty is this machine.
            encoder: opens another encoder of questions than the model's.
            lasting: whether the program stays long enough to make an index that has outgrown its form anew, aside.
        """
        self._folder, self._models, self._embedder = folder, models, embedder
        self._reranking = Reranking(reranker, models)
        self._vector_server = vector_server
        self._lasting = lasting
        self._open_encoder = encoder or self._local_encoder
        self._lock = threading.RLock()
        self._library: Library | None = None
        self._encoder: Embedder | None = None
        self._searcher: Searcher | None = None
        self._server: VectorStore | None = None

    def is_there(self) -> bool:
        """Returns whether there is a store; makes none."""
        from llmchat_rag.store import Library

        return Library.is_there(self._folder)

    def collections(self) -> list[CollectionStatus]:
        """Returns the collections by name.

        Raises:
            StoreError: the store cannot be read.
        """
        with self._lock:
            return list(self._opened().status().collections) if self.is_there() else []

    def read(self, source: KeptSource) -> tuple[str, str]:
        """Returns the text of the document that a source stands in, and the path of its file; nothing where it is gone.

        Raises:
            RagError: the store cannot be read.
        """
        with self._lock:
            if not self.is_there():
                return "", ""
            library = self._opened()
            there = next((one for one in library.collections() if one.name == source.collection), None)
            state = library.file_states(there).get(source.path) if there else None
            if there is None or state is None:
                return "", ""
            is_file = there.root.name == source.path and there.root.is_file()
            return library.text(state.document_id), str(there.root if is_file else there.root / source.path)

    def look_up(self, names: Sequence[str]) -> None:
        """Finds out whether collections are there.

        Raises:
            RagError: one is not, there is no store, or it cannot be read.
        """
        with self._lock:
            self._opened().collection_ids(names)

    def warm(self) -> None:
        """Opens all that a question needs; for a thread, while the user still types.

        Raises:
            RagError: it cannot be opened.
        """
        with self._lock:
            self._search().search(_query("llmchat", Asked(k=1), ()))

    def retrieve(self, question: str, asked: Asked, history: Sequence[str] = (), *, whole: bool = True) -> Retrieval:
        """Returns what the documents have on a question.

        Args:
            question: as it was asked.
            asked: how it is searched.
            history: the questions before it, oldest first.
            whole: whether a question about whole documents is answered with all of them.

        Raises:
            RagError: there is no store, no such collection, no embedder, or one of them cannot be used.
        """
        from llmchat_rag.errors import StoreError, VectorServerError

        started = perf_counter()
        with self._lock:
            try:
                found = self._retrieved(question, asked, history, whole=whole)
            except (StoreError, VectorServerError):
                self.close()  # it may have been repaired when it is opened next
                raise
        return replace(found, seconds=perf_counter() - started)

    def block(self, retrieval: Retrieval, count: Callable[[str], int], budget: int) -> ContextBlock:
        """Returns the block that stands before the question, with neighbours of the passages where there is room.

        Args:
            retrieval: what was found.
            count: the tokens of a text by the model's tokenizer.
            budget: the tokens that the block may take.

        Raises:
            RagError: the store cannot be read any more.
        """
        from llmchat_rag.context import build_context, edge_strong
        from llmchat_rag.widen import widen

        if retrieval.recalled:
            return build_context(retrieval.hits, count=count, budget=budget)
        with self._lock:
            wide = widen(self._opened(), retrieval.hits, int(_NEIGHBOURS * budget))
        block = build_context(edge_strong(wide), count=count, budget=budget)
        if wide and not block.left_out:
            return block
        return build_context(edge_strong(retrieval.hits), count=count, budget=budget)

    def recalled(self, sources: Sequence[KeptSource]) -> Retrieval:
        """Returns what a reply was answered from, as if it were found again; nothing is opened."""
        return Retrieval(tuple(map(passage_of, sources)), 1.0, "ok", 0.0, recalled=True)

    def check(self, answer: str, sources: Sequence[Source]) -> Verified:
        """Returns the verdicts on the sentences of an answer.

        Args:
            answer: what the model wrote.
            sources: the documents that it was given.

        Raises:
            RagError: the encoder cannot be used.
        """
        from llmchat_rag.verify import verify

        with self._lock:
            return verify(answer, sources, self._encoder)

    def close(self) -> None:
        """Closes what is open; it is opened again when it is needed."""
        with self._lock:
            if self._searcher is not None:
                self._searcher.close()
            if self._server is not None:
                self._server.close()
            if self._library is not None:
                self._library.close()
            self._library = self._encoder = self._searcher = self._server = None
            self._reranking.close()

    def _retrieved(self, question: str, asked: Asked, history: Sequence[str], *, whole: bool) -> Retrieval:
        library = self._opened()
        library.collection_ids(asked.collections)  # one that is not there is told before a model is opened
        if whole and (found := self._whole(library, question, asked)):
            about, documents = found
            ids = [key for one in documents for key in library.chunk_ids(one.id)]
            passages = library.passages(ids)
            hits = tuple(passages[key] for key in ids if key in passages)
            return Retrieval(hits, 1.0, "ok", 0.0, whole=about)
        query = _query(question, asked, history, self._reranking.wanted(asked.rerank))
        narrowed = self._narrowed(library, query, asked)
        if narrowed is None:
            return self._searched(library, query)
        # What goes on about a summary is looked for there first, and not refused: it may want the summary shorter.
        narrow = self._searched(library, narrowed)
        if narrow.verdict != "abstain":
            return narrow
        wide = self._searched(library, replace(narrowed, documents=()))
        return replace(narrow, verdict="weak") if wide.verdict == "abstain" and narrow.hits else wide

    def _searched(self, library: Library, query: Query) -> Retrieval:
        results = self._search().search(query)
        gate = self._gate(library)
        verdict = _judged(gate, results)
        return Retrieval(results.passages, results.best_cosine, verdict, 0.0, results, weak_under=gate.warn)

    def _narrowed(self, library: Library, query: Query, asked: Asked) -> Query | None:
        """Returns a question that goes on about whole documents as one that is asked of these alone."""
        from llmchat_rag.question import leaned_on

        earlier = leaned_on(query.text, query.history)
        for place in reversed(range(len(earlier))):
            if found := self._whole(library, earlier[place], asked):
                return replace(query, documents=tuple(one.id for one in found[1]), history=tuple(earlier[place + 1 :]))
        return None

    def _opened(self) -> Library:
        """Returns the store.

        Raises:
            CollectionMissing: nothing was ever indexed.
        """
        from llmchat_rag.errors import CollectionMissing
        from llmchat_rag.store import Library

        if self._library is None:
            if not Library.is_there(self._folder):
                raise CollectionMissing("there are no documents", "none were added yet", "llmchat docs add PATH")
            self._library = Library(self._folder)
        return self._library

    def _search(self) -> Searcher:
        from llmchat_rag.search import Searcher, open_server

        if self._searcher is None:
            library = self._opened()
            self._encoder = self._encoder or self._open_encoder()
            self._server = self._server or open_server(self._vector_server, self._encoder.dimension, self._folder)
            self._searcher = Searcher(library, self._encoder, self._server, background=self._lasting)
        return self._searcher

    def _local_encoder(self) -> Embedder:
        from llmchat_rag.embed.opening import open_query_encoder

        # A protocol's attribute counts as one that can be set, and this one's limit cannot.
        return cast("Embedder", open_query_encoder(self._embedder, self._models))

    def _gate(self, library: Library) -> Gate:
        from llmchat_rag.calibration import gate_of

        assert self._encoder is not None
        return gate_of(library, self._encoder)

    def _whole(self, library: Library, question: str, asked: Asked) -> tuple[Whole, list[Document]] | None:
        """Returns the documents that a question is about as a whole."""
        from llmchat_tui.whole_documents import about_whole

        names = asked.collections or tuple(one.name for one in library.collections())
        documents = [document for name in names for document in library.documents(name) if document.chunks]
        about = about_whole(question[-LONGEST_QUERY:], [document.path for document in documents])
        return (about, [one for one in documents if one.path in about.paths]) if about else None


def _judged(gate: Gate, results: Results) -> Verdict:
    from llmchat_rag.gate import judge

    if not results.passages:
        return "abstain"
    return judge(gate, results.best_cosine, results.question, [passage.text for passage in results.passages])


def _query(question: str, asked: Asked, history: Sequence[str], reranker: Reranker | None = None) -> Query:
    from llmchat_rag.query import Query

    return Query(
        question[-LONGEST_QUERY:],
        asked.collections,
        asked.k,
        asked.alpha,
        asked.fusion,
        asked.min_score,
        rerank=reranker,
        rerank_seconds=seconds_for(asked.rerank),
        history=tuple(earlier[-LONGEST_QUERY:] for earlier in history) if asked.history else (),
    )
