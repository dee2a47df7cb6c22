"""What a reply was answered from, as its settings keep it: passages by number, and the verdict on each sentence.

Knows no store and no screen. The text is kept too: a document that is deleted later can still be read where it was
cited. Settings from a file may say anything; what is no source is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmchat_rag.context import Source
    from llmchat_rag.types import Passage
    from llmchat_rag.verify import Verified

SOURCES = "sources"
VERDICTS = "verdicts"
SIGNS = {"supported": "✓", "weak": "~", "unsupported": "✗"}


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
    return tuple(KeptSource(**row) for row in _rows(settings, SOURCES, KeptSource))


def verdicts_of(settings: Mapping[str, Any]) -> tuple[KeptVerdict, ...]:
    """Returns the verdicts on the sentences of a reply."""
    rows = _rows(settings, VERDICTS, KeptVerdict)
    return tuple(KeptVerdict(**{**row, "ids": tuple(row["ids"])}) for row in rows)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str,),
    "int | None": (int, type(None)),
    "tuple[int, ...]": (list, tuple),
}


def _rows(settings: Mapping[str, Any], name: str, kind: type[KeptSource | KeptVerdict]) -> list[dict[str, Any]]:
    """Returns what can be the fields of a kind, without what is no field of it."""
    found = settings.get(name)
    types = {field.name: _TYPES[str(field.type)] for field in fields(kind)}
    rows = [
        {key: row[key] for key in types if key in row}
        for row in (found if isinstance(found, list) else ())
        if isinstance(row, dict)
    ]
    return [row for row in rows if _fits(row, types, kind)]


def _fits(row: Mapping[str, Any], types: Mapping[str, tuple[type, ...]], kind: type[KeptSource | KeptVerdict]) -> bool:
    needed = next(iter(types)), *(("source", "text") if kind is KeptSource else ("end", "ids", "mark"))
    right = all(isinstance(value, types[key]) for key, value in row.items())
    return right and all(key in row for key in needed)
