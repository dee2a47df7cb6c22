"""The values that cross the document room's door, and those that travel between its parts.

Frozen. Knows no files, no database and no model. Characters are counted from 0, lines and pages from 1; 0 is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]
    """Shape (dimension,), of length 1."""
    Vectors = npt.NDArray[np.float32]
    """Shape (n, dimension), each row of length 1."""

BlockKind = Literal["title", "heading", "paragraph", "list", "table", "code", "fence", "quote", "row"]
Fusion = Literal["convex", "rrf"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be indexed."""

    path: Path
    relative: str
    """Below the root, with slashes; bytes that are no UTF-8 are escaped as Python escapes them."""
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not indexed, and why, in words for the user."""

    relative: str
    reason: str
    failed: bool = False
    """True where it should have been; False where a rule leaves it out."""


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a parsed text that belongs together."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Of a heading: 1 is the highest."""
    page: int = 0
    name: str = ""
    """Of a heading: its words; of code: what it defines; of a fence: its language."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The text of a document as it is stored, and its blocks: in order, disjoint, inside the text."""

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    parser: str = ""
    version: int = 1
    """Of the parser: a newer one reads the file again."""
    own_lines: bool = True
    """Whether a line of the text is that line of the file; where not, a passage names none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was opened and could not be read, and why, in words for the user."""

    reason: str
    failed: bool = True
    """False where there is nothing to read: an empty file, an executable."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a passage stands in its document."""

    start: int
    end: int
    line: int = 0
    last_line: int = 0
    page: int = 0
    last_page: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage to be; `text` is exactly `parsed.text[span.start:span.end]`."""

    text: str
    span: Span
    heading: str = ""
    """The headings above it, joined with ` › `."""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """How well a passage fits a question."""

    fused: float
    dense: float = 0.0
    """The cosine."""
    bm25: float = 0.0
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that was found."""

    chunk_id: int
    document_id: int
    collection: str
    path: str
    """Below the collection's root."""
    title: str
    heading: str
    text: str
    span: Span
    scores: Scores

    @property
    def source(self) -> str:
        """Where it stands, as it is cited: `rome.md:12-18`, `guide.pdf p. 4`."""
        span = self.span
        if span.page:
            pages = f"p. {span.page}" if span.last_page <= span.page else f"pp. {span.page}-{span.last_page}"
            return f"{self.path} {pages}"
        if not span.line:
            return self.path
        return f"{self.path}:{span.line}" + (f"-{span.last_line}" if span.last_line > span.line else "")


class Embedder(Protocol):
    """What makes vectors of texts."""

    name: str
    fingerprint: str
    """Hex; vectors of two fingerprints are never compared."""
    dimension: int
    gate: float
    """The cosine under which a question has no answer in the documents."""

    @property
    def limit(self) -> int:
        """Tokens of a text that it sees; what is longer is cut silently."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Returns the tokens of each text, without those that the model puts around it."""

    def encode_query(self, text: str) -> Vector:
        """Returns the vector of a question."""

    def encode_passages(
        self,
        texts: Sequence[str],
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """Returns the vectors of passages, in their order.

        Args:
            texts: what is embedded.
            progress: told how many are done.
            cancelled: asked between two batches; true ends it with `Cancelled`.
        """


class Cancelled(Exception):
    """Long work was stopped because it was asked to."""


class Reranker(Protocol):
    """What reads a question together with each passage."""

    name: str
    fingerprint: str

    def score(self, question: str, texts: Sequence[str], seconds: float) -> Vector | None:
        """Returns one score for each text, higher is better; None where the time was not enough for all."""
