"""Eight fixed texts, and how far two encoders agree on them. Knows no encoder; numpy is loaded where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

PROBES = (
    "Where is the key kept?",
    "The capital of France is Paris, which lies on the river Seine.",
    "def read(path): return open(path).read()",
    "Invoice 2041 of 3 March 2024: 17 items, 1,284.50 EUR, due within 30 days.",
    "Photosynthesis turns light into chemical energy; chlorophyll absorbs mostly blue and red light.",
    "Die Katze schläft auf dem Sofa, während es draußen regnet.",
    "error: connection refused (os error 111)",
    "A vaccine trains the immune system to recognise a pathogen. " * 12,
)


def agreement(left: Vectors, right: Vectors) -> float:
    """Returns the smallest cosine between the rows of two sets of vectors of length 1; -1 where they do not fit."""
    if left.shape != right.shape:
        return -1.0
    lowest = float((left * right).sum(axis=1).min())
    return -1.0 if lowest != lowest else lowest


def unit(vectors: Vectors) -> Vectors:
    """Returns vectors of length 1; one of length 0 stays."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return scaled
