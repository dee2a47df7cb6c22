"""A question as it is searched, and what comes of it. Frozen; knows no store and no model."""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_rag.fuse import ALPHA
from llmchat_rag.picking import Candidate, Fate
from llmchat_rag.types import Fusion, Passage, Reranker, Scores


@dataclass(frozen=True, slots=True)
class Query:
    """A question and how it is searched."""

    text: str
    collections: tuple[str, ...] = ()
    """Empty is all."""
    k: int = 5
    alpha: float = ALPHA
    fusion: Fusion = "convex"
    min_score: float = 0.0
    """Of the fused score; passages under it are not shown."""
    depth: int = 100
    """Candidates of each of the two searches."""
    rerank: Reranker | None = None
    rerank_seconds: float = 0.8
    history: tuple[str, ...] = ()
    """The questions before it in the chat, oldest first."""
    documents: tuple[int, ...] = ()
    """Only these, and then all of their passages are looked at; empty is all."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate, and what became of it: a row of `--explain`."""

    chunk_id: int
    source: str
    scores: Scores
    dense_rank: int
    bm25_rank: int
    fate: Fate


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of each step."""

    encode: float = 0.0
    opening: float = 0.0
    """Of the index of vectors: once a process, and after each change of the store."""
    vectors: float = 0.0
    words: float = 0.0
    rank: float = 0.0
    rerank: float = 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """What was found."""

    passages: tuple[Passage, ...]
    """Best first."""
    best_cosine: float
    """Of any candidate: what an abstaining gate compares; a fused score always has a 1 at its top."""
    question: str
    """What was searched: with the questions before it where it leans on them."""
    candidates: tuple[Candidate, ...]
    timings: Timings
    rerank_left_out: bool = False
    """Whether re-ranking was asked for and there was not enough time."""
    hits: tuple[Hit, ...] = ()
