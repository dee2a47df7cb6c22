"""Passages as they are printed: where each stands, how it begins, and as JSON. Knows no turn and no store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmchat_rag.types import Passage


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
