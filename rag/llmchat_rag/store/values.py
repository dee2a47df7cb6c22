"""What the store hands out. Frozen; knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["indexed", "refused", "empty", "pending"]


@dataclass(frozen=True, slots=True)
class Collection:
    """A folder and what of it is indexed."""

    id: int
    name: str
    root: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    created_at: float = 0.0
    updated_at: float = 0.0
    """When an update last went through; 0 is never."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known of a file since it was read last."""

    document_id: int
    size: int
    mtime_ns: int
    hash: bytes
    status: Status
    error: str
    parser: str
    parser_version: int
    chunker: str


@dataclass(frozen=True, slots=True)
class Document:
    """One file, as a list shows it."""

    id: int
    collection: str
    path: str
    title: str
    size: int
    chunks: int
    status: Status
    error: str
    parser: str
    indexed_at: float


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """One collection, as a list shows it."""

    collection: Collection
    files: int
    """Those that can be found."""
    refused: int
    pending: int
    """Known, but to be read again: by another embedder, or after a repair."""
    chunks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class EmbedderMark:
    """The embedder that made the vectors of a store."""

    name: str
    fingerprint: str
    dimension: int


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The whole store in numbers."""

    collections: tuple[CollectionStatus, ...]
    chunks: int
    vectors: int
    """Also those that no passage uses any more, kept for files that come back."""
    bytes: int
    """Of the database on disk."""
    embedder: EmbedderMark | None


@dataclass(frozen=True, slots=True)
class Position:
    """A state of the passages: what a copy of their vectors says it holds.

    The stamp is random: a store brought back from a backup and changed since has other stamps for the same generations.
    """

    generation: int
    stamp: str


@dataclass(frozen=True, slots=True)
class StoredVector:
    """The vector of a passage."""

    document_id: int
    of_passages: int
    """How many its document has."""
    blob: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage stands among its neighbours."""

    chunk_id: int
    document_id: int
    seq: int
    start: int
    end: int
    tokens: int
