"""A passage where it stands in its document: what comes before it, what behind it, and the numbers of its lines.

Pure functions over texts. Knows no store and no screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmchat_tui.sources import KeptSource

AROUND = 20
"""Lines before and behind a passage."""
MOST_CHARACTERS = 4_000
"""Of each of them: a file can be one line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A passage and what stands around it."""

    before: str
    passage: str
    after: str
    line: int
    """Of the first line of `before`; 0 where the document has no lines of its own, as a PDF."""
    path: str = ""
    """Of the file; empty where it is not known any more."""
    note: str = ""
    """What became of the document since it was cited; empty where the passage is still where it was."""

    @property
    def passage_line(self) -> int:
        """The line that the passage begins in; 0 where there are none."""
        return self.line + self.before.count("\n") if self.line else 0


def place_of(source: KeptSource, text: str, path: str = "") -> Place:
    """Returns a source in its document, or the passage alone where the document does not have it any more.

    Args:
        source: what was cited.
        text: of the whole document as it is now; empty where it is gone.
        path: of the file.
    """
    start, note = _start_of(source, text)
    if start < 0:
        return Place("", source.text, "", source.line, path, note)
    end = start + len(source.text)
    before = "".join(text[:start][-MOST_CHARACTERS:].splitlines(keepends=True)[-AROUND:])
    after = "".join(text[end : end + MOST_CHARACTERS].splitlines(keepends=True)[: AROUND + 1])
    line = text.count("\n", 0, start) + 1 if note else source.line
    return Place(before, source.text, after, line - before.count("\n") if source.line else 0, path, note)


def _start_of(source: KeptSource, text: str) -> tuple[int, str]:
    """Returns where a passage begins in its document, below 0 where it is not in it, and what became of that."""
    if not text:
        return -1, f"{source.path} is not in {source.collection} any more; this is the passage as it was"
    if source.text and text.startswith(source.text, source.start):
        return source.start, ""
    if not source.text or (start := text.find(source.text)) < 0:
        return -1, f"{source.path} has changed since; this is the passage as it was"
    return start, f"{source.path} has changed since; the passage stands elsewhere in it now"


def numbered_lines(text: str, line: int, *, goes_on: bool = False) -> Iterator[tuple[str, str]]:
    """Yields each line of a text with its number; the number is empty where the line has none.

    Args:
        text: any.
        line: of its first line; 0 where lines have no numbers.
        goes_on: whether the first line is the rest of a line that stands before it.
    """
    for at, part in enumerate(text.removesuffix("\n").split("\n")):
        yield ("" if not line or (goes_on and not at) else str(line + at)), part.removesuffix("\r")
