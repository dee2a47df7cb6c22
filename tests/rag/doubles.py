"""What stands in for models and parsers: an embedder that remembers, and files read as they are."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from llmchat_rag.embed.fake import HashEmbedder
from llmchat_rag.errors import ParseError
from llmchat_rag.reading import read_file
from llmchat_rag.types import Block, Found, Parsed, Refused

if TYPE_CHECKING:
    from llmchat_rag.types import Vectors

DIMENSION = 256
TOKENS = 101


class WordEmbedder(HashEmbedder):
    """Counts so that each paragraph is a passage, and remembers what it was given."""

    def __init__(self, dimension: int = DIMENSION, seconds: float = 0.0) -> None:
        super().__init__(dimension)
        self.seconds = seconds
        self.seen: list[str] = []

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns more than half of what a passage may have, whatever the text."""
        return [TOKENS] * len(texts)

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        time.sleep(self.seconds)
        found = super().encode_passages(texts, progress, cancelled)
        self.seen += texts
        return found


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
