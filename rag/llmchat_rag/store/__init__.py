"""The door of the store: what the rest of the document room imports of it."""

from llmchat_rag.store.blobs import Batch
from llmchat_rag.store.documents import Entry
from llmchat_rag.store.library import Library
from llmchat_rag.store.values import (
    Collection,
    CollectionStatus,
    Document,
    EmbedderMark,
    FileState,
    Place,
    Position,
    StoredVector,
    StoreStatus,
)

__all__ = [
    "Batch",
    "Collection",
    "CollectionStatus",
    "Document",
    "EmbedderMark",
    "Entry",
    "FileState",
    "Library",
    "Place",
    "Position",
    "StoreStatus",
    "StoredVector",
]
