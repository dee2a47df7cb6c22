"""Passages and sources as they are printed: where each stands, how it begins, and as JSON. Knows no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmchat_tui.sources import SIGNS, packed_sources, packed_verdicts

if TYPE_CHECKING:
    from llmchat_rag.types import Passage
    from llmchat_rag.verify import Mark, Verdict, Verified
    from llmchat_tui.cli.talk import Outcome
    from llmchat_tui.sources import KeptSource

_WORST_LAST: tuple[Mark, ...] = ("supported", "weak", "unsupported")


def source_lines(sources: Sequence[KeptSource], verified: Verified | None) -> Iterator[str]:
    """Yields a line for each source with the mark of what cites it, then each sentence that is not well supported.

    Args:
        sources: of a reply.
        verified: the verdicts on its sentences; None where it was not checked.
    """
    sentences = verified.sentences if verified else ()
    for source in sources:
        marks = [verdict.mark for verdict in sentences if source.n in verdict.ids]
        sign = SIGNS[max(marks, key=_WORST_LAST.index)] if marks else " "
        heading = above(source.title, source.heading)
        yield f"[{source.n}] {sign} {source.collection}: {source.source}" + (f"  {heading}" if heading else "")
    yield from (_doubt(verdict) for verdict in sentences if verdict.mark != "supported")


def account(outcome: Outcome) -> Iterator[str]:
    """Yields what is told below an answer from documents; nothing where none were asked."""
    if outcome.retrieval is None:
        return
    if outcome.abstained:
        yield f"nearest, and not near enough: cosine {outcome.retrieval.best_cosine:.2f}"
    yield from source_lines(outcome.sources, outcome.verified)
    if outcome.verified:
        yield tally(outcome.verified)


def tally(verified: Verified) -> str:
    """Returns how many sentences have which mark: `3 sentences: 2 ✓, 1 ✗`."""
    total = len(verified.sentences)
    found = [verdict.mark for verdict in verified.sentences]
    marks = ", ".join(f"{found.count(mark)} {SIGNS[mark]}" for mark in _WORST_LAST if mark in found)
    return f"{total} sentence{'s' * (total != 1)}: {marks}" if total else "no sentence claims anything"


def documents_line(outcome: Outcome) -> str:
    """Returns what the documents had part in a reply, in one line; empty where none were asked."""
    found = outcome.retrieval
    if found is None:
        return ""
    many = len(outcome.sources)
    room = f", {outcome.block_tokens:,} tokens" if outcome.block_tokens else ""
    closest = "read whole" if found.whole else f"closest {found.best_cosine:.2f}"
    return f"{many} passage{'s' * (many != 1)}{room} · {closest} · found in {found.seconds:.2f} s"


def documents_facts(outcome: Outcome) -> dict[str, Any] | None:
    """Returns the same as a JSON object; None where no documents were asked."""
    found = outcome.retrieval
    if found is None:
        return None
    return {
        "verdict": found.verdict,
        "best_cosine": round(found.best_cosine, 4),
        "seconds": round(found.seconds, 4),
        "tokens": outcome.block_tokens,
        "sources": [],
        "verdicts": [],
        **packed_sources(outcome.sources),
        **(packed_verdicts(outcome.verified) if outcome.verified else {}),
    }


def passage_facts(passage: Passage) -> dict[str, Any]:
    """Returns a passage as a JSON object, without its scores."""
    span = passage.span
    return {
        "collection": passage.collection,
        "path": passage.path,
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "text": passage.text,
        "start": span.start,
        "end": span.end,
        "line": span.line,
        "last_line": span.last_line,
        "page": span.page,
        "last_page": span.last_page,
    }


def above(title: str, heading: str) -> str:
    """Returns the title of a document and the headings of a passage in one line; a title is often the first of them."""
    is_heading = heading == title or heading.startswith(f"{title} › ")
    return heading if is_heading or not title else " › ".join(part for part in (title, heading) if part)


def beginning(text: str, length: int = 240) -> str:
    """Returns how a text begins, in one line, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[:length].rpartition(" ")[0] + " …"


def _doubt(verdict: Verdict) -> str:
    told = not verdict.better or f"[{verdict.better}]" in verdict.why
    better = "" if told else f"; [{verdict.better}] says more of it"
    return f"{SIGNS[verdict.mark]} “{beginning(verdict.text, 90)}”: {verdict.why}{better}"
