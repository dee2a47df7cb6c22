"""What stands in for models and parsers: vectors made of the words of a text, and files read as they are."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from llmchat_rag.errors import ParseError
from llmchat_rag.reading import read_file
from llmchat_rag.types import Block, Cancelled, Found, Parsed, Refused

if TYPE_CHECKING:
    from llmchat_rag.types import Vector, Vectors

DIMENSION = 64


@dataclass
class WordEmbedder:
    """Texts with the same words are near each other; the same text has the same vector in every process."""

    name: str = "words"
    fingerprint: str = "77" * 16
    dimension: int = DIMENSION
    limit: int = 256
    gate: float = 0.3
    seconds: float = 0.0
    """What a batch takes."""
    tokens: int = 101
    """Of every text: two are more than a passage may have, so that each paragraph is one."""
    seen: list[str] = field(default_factory=list)
    """Every text that was embedded, in order."""

    def count(self, texts: Sequence[str]) -> list[int]:
        return [self.tokens] * len(texts)

    def encode_query(self, text: str) -> Vector:
        return self._vector(text)

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        if cancelled and cancelled():
            raise Cancelled
        time.sleep(self.seconds)
        self.seen += texts
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vector:
        total = np.full(self.dimension, 1e-3, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            total += _direction(f"{self.fingerprint}{word}", self.dimension)
        return (total / np.linalg.norm(total)).astype(np.float32)


@lru_cache(maxsize=10_000)
def _direction(word: str, dimension: int) -> Vector:
    seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


class PlainPool:
    """Reads files as text, one paragraph a block; one that holds `broken` cannot be read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def parse_all(self, items: Iterable[Found]) -> Iterator[tuple[Found, Parsed | Refused]]:
        for found in items:
            self.read.append(found.relative)
            yield found, self._parsed(found)

    def _parsed(self, found: Found) -> Parsed | Refused:
        try:
            text = read_file(found.path).decode("utf-8", "surrogateescape")
        except ParseError as error:
            return Refused(error.what)
        if text == "broken":
            return Refused("the parser ran out of time (30 s)")
        blocks = [Block("fence", *match.span()) for match in re.finditer(r"\S(?:.|\n(?!\n))*", text)]
        return Parsed(text, tuple(blocks), found.relative.rpartition("/")[2].partition(".")[0], "plain", 1)
