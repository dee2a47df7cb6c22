"""The tokens of a text in lines of a width: words stay whole, every token has a place, a line break is seen.

Knows what takes how many cells; no colours, no keys and no probabilities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len

BREAK = "↵"
HALF = "◦"
"""Stands for a token that shows nothing: a part of a character."""
_CHUNK = re.compile(r"\n|[^\S\n]+|\S+")


class Span(NamedTuple):
    """A piece of a line that belongs to one token."""

    token: int
    text: str
    at: int
    width: int


@dataclass(slots=True)
class TokenLines:
    """Lines of spans."""

    rows: list[list[Span]] = field(default_factory=lambda: [[]])
    places: list[tuple[int, int]] = field(default_factory=list)
    """Row and column of each token: of its first letter, else of what else it has."""

    def rows_of(self, token: int) -> range:
        """Returns the rows on which a token stands, and one more on each side."""
        row = self.places[token][0]
        first, last = row, row
        while first > 0 and self._has(first - 1, token):
            first -= 1
        while last + 1 < len(self.rows) and self._has(last + 1, token):
            last += 1
        return range(first, last + 1)

    def _has(self, row: int, token: int) -> bool:
        spans = self.rows[row]
        return bool(spans) and spans[0].token <= token <= spans[-1].token

    def nearest(self, row: int, column: int) -> int:
        """Returns the token at a column of a row, or the one nearest to it."""
        spans = self.rows[row]
        return min(spans, key=lambda span: _distance(span, column)).token if spans else -1


def _distance(span: Span, column: int) -> int:
    return max(span.at - column, column - span.at - span.width + 1, 0)


def laid_out(texts: Sequence[str], width: int) -> TokenLines:
    """Returns the lines of tokens.

    Args:
        texts: what each token shows, harmless; an empty one gets a sign.
        width: cells of a line; the last one is for the space or the line break behind a word.
    """
    setter = _Setter(max(2, width))
    for token, text in enumerate(texts):
        for chunk in _CHUNK.findall(text or HALF):
            setter.take(token, chunk)
    setter.end_word()
    lines = setter.lines
    if len(lines.rows) > 1 and not lines.rows[-1]:
        lines.rows.pop()
    lines.places = [(0, 0)] * len(texts)
    for row, spans in reversed(list(enumerate(lines.rows))):
        for span in reversed(spans):
            if not span.text.isspace() or texts[span.token].isspace():
                lines.places[span.token] = (row, span.at)
    return lines


class _Setter:
    """Sets words into lines, one after the other."""

    def __init__(self, width: int) -> None:
        self.lines = TokenLines()
        self._width, self._at = width, 0
        self._word: list[tuple[int, str, int]] = []

    def take(self, token: int, chunk: str) -> None:
        """Takes letters, spaces or a line break."""
        if chunk == "\n":
            self.end_word()
            self._put(token, BREAK, 1)
            self._begin_row()
        elif chunk.isspace():
            self.end_word()
            for space in chunk:
                self._fit(1)
                self._put(token, " " if space != "\t" else "⇥", 1)
        else:
            self._word.append((token, chunk, cell_len(chunk)))

    def end_word(self) -> None:
        """Sets the word that was taken; one that is longer than a line is broken."""
        width = sum(part[2] for part in self._word)
        if self._at and self._at + width >= self._width:
            self._begin_row()
        for token, text, cells in self._word:
            if self._at + cells < self._width:
                self._put(token, text, cells)
                continue
            for piece, wide in _letters(text):
                self._fit(wide + 1)
                self._put(token, piece, wide)
        self._word.clear()

    def _fit(self, cells: int) -> None:
        if self._at and self._at + cells > self._width:
            self._begin_row()

    def _begin_row(self) -> None:
        self.lines.rows.append([])
        self._at = 0

    def _put(self, token: int, text: str, cells: int) -> None:
        row = self.lines.rows[-1]
        if row and row[-1].token == token and text != BREAK:
            last = row.pop()
            row.append(Span(token, last.text + text, last.at, last.width + cells))
        else:
            row.append(Span(token, text, self._at, cells))
        self._at += cells


def _letters(text: str) -> Iterator[tuple[str, int]]:
    """Yields the letters of a long word with their cells; what has no width of its own stays with the one before."""
    piece, wide = "", 0
    for letter in text:
        cells = cell_len(letter)
        if piece and cells:
            yield piece, wide
            piece, wide = "", 0
        piece, wide = piece + letter, wide + cells
    if piece:
        yield piece, wide
