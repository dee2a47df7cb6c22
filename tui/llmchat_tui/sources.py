"""What a reply was answered from, as its settings keep it: passages by number, and the verdict on each sentence.

Knows no store and no screen. The text is kept too: a document that is deleted later can still be read where it was
cited. Settings from a file may say anything; what is no source is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmchat_rag.context import Source
    from llmchat_rag.types import Passage
    from llmchat_rag.verify import Verified

SOURCES = "sources"
VERDICTS = "verdicts"
SIGNS = {"supported": "✓", "weak": "~", "unsupported": "✗"}


_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class KeptSource:
    """What `[n]` means in a reply. Lines and pages count from 1; 0 is none."""

    n: int
    collection: str
    path: str
    """Below the collection's root."""
    source: str
    """Where it stands, as it is cited: `rome.md:12-18`."""
    title: str
    heading: str
    text: str
    """The whole passage."""
    start: int = 0
    """Where it begins in the document's text, in characters from 0."""
    end: int = 0
    line: int = 0
    last_line: int = 0
    page: int = 0
    last_page: int = 0


@dataclass(frozen=True, slots=True)
class KeptVerdict:
    """Whether a sentence of a reply is in what it cites."""

    start: int
    """Where the sentence stands in the reply."""
    end: int
    ids: tuple[int, ...]
    """The sources that it cites."""
    mark: str
    """`supported`, `weak` or `unsupported`."""
    why: str = ""
    better: int | None = None
    """A source that says more of it."""


def kept_source(number: int, passage: Passage, source: str = "") -> KeptSource:
    """Returns a passage under its number.

    Args:
        number: that it is cited by.
        passage: what was found.
        source: where it stands, on one line; as the passage says where empty.
    """
    span = passage.span
    return KeptSource(
        number,
        passage.collection,
        passage.path,
        source or passage.source,
        passage.title,
        passage.heading,
        passage.text,
        span.start,
        span.end,
        span.line,
        span.last_line,
        span.page,
        span.last_page,
    )


def passage_of(source: KeptSource) -> Passage:
    """Returns a source as the passage that it was; the store may have forgotten it."""
    from llmchat_rag.types import Passage, Scores, Span

    span = Span(source.start, source.end, source.line, source.last_line, source.page, source.last_page)
    return Passage(
        0, 0, source.collection, source.path, source.title, source.heading, source.text, span, Scores(-source.n)
    )


def numbered(sources: Sequence[KeptSource]) -> tuple[KeptSource, ...]:
    """Returns sources that are numbered from 1 without a gap; none where some of them were not kept."""
    whole = [source.n for source in sources] == list(range(1, len(sources) + 1))
    return tuple(sources) if whole else ()


def kept_sources(sources: Sequence[Source]) -> tuple[KeptSource, ...]:
    """Returns the sources of a context block as they are kept."""
    return tuple(kept_source(source.number, source.passage, source.source) for source in sources)


def packed_sources(sources: Sequence[KeptSource]) -> dict[str, Any]:
    """Returns what goes into the settings of a reply."""
    return {SOURCES: [asdict(source) for source in sources]}


def packed_verdicts(verified: Verified) -> dict[str, Any]:
    """Returns what goes into the settings of a reply once it was checked."""
    kept = (KeptVerdict(v.start, v.end, v.ids, v.mark, v.why, v.better) for v in verified.sentences)
    return {VERDICTS: [asdict(verdict) for verdict in kept]}


def sources_of(settings: Mapping[str, Any]) -> tuple[KeptSource, ...]:
    """Returns the sources of a reply."""
    return _rows(settings.get(SOURCES), KeptSource)


def verdicts_of(settings: Mapping[str, Any]) -> tuple[KeptVerdict, ...]:
    """Returns the verdicts on the sentences of a reply."""
    return _rows(settings.get(VERDICTS), KeptVerdict)


def _rows(found: Any, kind: type[_Kept]) -> tuple[_Kept, ...]:
    """Returns the values that rows of JSON make; a row that makes none is left out."""
    if not isinstance(found, list):
        return ()
    import msgspec

    kept = []
    for row in found:
        with suppress(msgspec.ValidationError):
            kept.append(msgspec.convert(row, kind))
    return tuple(kept)
