"""How much of a text stands in a notice of three lines: its beginning, its end, and what helps. Paints nothing."""

from __future__ import annotations

ROWS = 3
WIDTH = 60
_SHARE = 0.9
_SHORT_WORD = 24
"""Characters that say enough of a path."""
_MOST = 1000
"""Characters of an error that are looked at; three rows have 180."""
_FRAME = 4
"""Columns of a notice's edge and padding, and one for a percentage that is rounded."""


def fitted(text: str, hint: str, screen_width: int) -> str:
    """Returns a notice; what is too long loses its middle: an error's reason stands at its end.

    Args:
        text: what happened.
        hint: what helps, on a line of its own; may be empty.
        screen_width: columns of the terminal.
    """
    columns = max(1, min(WIDTH, int(screen_width * _SHARE)) - _FRAME)
    hint = _cut(hint, columns, ROWS - 1)
    below = rows_of(hint, columns)
    return "\n".join(part for part in (_cut(text, columns, ROWS - below), hint) if part)


def rows_of(text: str, columns: int) -> int:
    """Returns how many rows a text takes; a word that is longer than one begins on a row of its own."""
    rows, used = 0, columns
    for word in text.split():
        used += 1 + len(word)
        if used > columns:
            more = -(-len(word) // columns)
            rows, used = rows + more, len(word) - (more - 1) * columns
    return rows


def _cut(text: str, columns: int, rows: int) -> str:
    """Returns a text that takes no more than so many rows: long words such as paths are cut before sentences are."""
    shown = text if len(text) <= _MOST else _without_middle(text, _MOST)
    while rows_of(shown, columns) > rows and len(longest := max(shown.split(), key=len)) > _SHORT_WORD:
        shown = shown.replace(longest, _without_middle(longest, len(longest) - 2))
    kept = columns * rows
    while rows_of(shown, columns) > rows:
        shown = _without_middle(text, kept)
        kept -= 2
    return shown


def _without_middle(text: str, kept: int) -> str:
    """Returns the beginning and the end of a text, so many characters with the mark between them."""
    half = max(0, kept - 1) // 2
    return f"{text[:half]}…{text[len(text) - half :]}"
