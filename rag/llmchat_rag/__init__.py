"""Files in, passages out. The door of the document room: import from here, not from the files behind it.

A name is looked up in its file when it is asked for: the door costs nothing, and the class of a failure no database.
What has a house of its own in here is imported from there: `embed`, `evaluate`, `doctor`, `verify`, `map_reduce`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmchat_rag.context import UNKNOWN, ContextBlock, Source, build_context
    from llmchat_rag.embed.opening import open_embedder, open_query_encoder
    from llmchat_rag.errors import (
        CollectionExists,
        CollectionMissing,
        EmbedderBroken,
        EmbedderError,
        EmbedderMismatch,
        EmbedderMissing,
        FilesMissing,
        NothingToRead,
        ParseError,
        RagError,
        RootMissing,
        StoreBusy,
        StoreDamaged,
        StoreError,
        StoreUnwritable,
        VectorServerError,
    )
    from llmchat_rag.events import Done, Indexed, Progress, Removed
    from llmchat_rag.ingest import Event, update
    from llmchat_rag.parse.pool import ParserPool
    from llmchat_rag.query import Hit, Query, Results, Timings
    from llmchat_rag.search import Searcher, open_server
    from llmchat_rag.store import Collection, CollectionStatus, Document, EmbedderMark, Library, StoreStatus
    from llmchat_rag.types import Cancelled, Embedder, Passage, Reranker, Scores, Skipped, Span
    from llmchat_rag.vector_store import VectorStore
    from llmchat_rag.verify import Verified

_FILES = {
    "context": ("UNKNOWN", "ContextBlock", "Source", "build_context"),
    "embed.opening": ("open_embedder", "open_query_encoder"),
    "errors": (
        "CollectionExists",
        "CollectionMissing",
        "EmbedderBroken",
        "EmbedderError",
        "EmbedderMismatch",
        "EmbedderMissing",
        "FilesMissing",
        "NothingToRead",
        "ParseError",
        "RagError",
        "RootMissing",
        "StoreBusy",
        "StoreDamaged",
        "StoreError",
        "StoreUnwritable",
        "VectorServerError",
    ),
    "events": ("Done", "Indexed", "Progress", "Removed"),
    "ingest": ("Event", "update"),
    "parse.pool": ("ParserPool",),
    "query": ("Hit", "Query", "Results", "Timings"),
    "search": ("Searcher", "open_server"),
    "store": ("Collection", "CollectionStatus", "Document", "EmbedderMark", "Library", "StoreStatus"),
    "types": ("Cancelled", "Embedder", "Passage", "Reranker", "Scores", "Skipped", "Span"),
    "vector_store": ("VectorStore",),
    "verify": ("Verified",),
}

__all__ = [
    "UNKNOWN",
    "Cancelled",
    "Collection",
    "CollectionExists",
    "CollectionMissing",
    "CollectionStatus",
    "ContextBlock",
    "Document",
    "Done",
    "Embedder",
    "EmbedderBroken",
    "EmbedderError",
    "EmbedderMark",
    "EmbedderMismatch",
    "EmbedderMissing",
    "Event",
    "FilesMissing",
    "Hit",
    "Indexed",
    "Library",
    "NothingToRead",
    "ParseError",
    "ParserPool",
    "Passage",
    "Progress",
    "Query",
    "RagError",
    "Removed",
    "Reranker",
    "Results",
    "RootMissing",
    "Scores",
    "Searcher",
    "Skipped",
    "Source",
    "Span",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreStatus",
    "StoreUnwritable",
    "Timings",
    "VectorServerError",
    "VectorStore",
    "Verified",
    "build_context",
    "open_embedder",
    "open_query_encoder",
    "open_server",
    "update",
]


if not TYPE_CHECKING:  # a type checker shall see which names there are, and that there are no others

    def __getattr__(name: str) -> object:
        file = next((file for file, names in _FILES.items() if name in names), "")
        if not file:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{file}"), name)
