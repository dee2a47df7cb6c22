"""How much of a text stands in a notice of three lines: its beginning, its end, and what helps. Paints nothing."""

from __future__ import annotations

import textwrap

ROWS = 3
WIDTH = 60
_SHARE = 0.9
_FRAME = 4
"""Columns of a notice's edge and padding, and one for a percentage that is rounded."""


def fitted(text: str, hint: str, screen_width: int) -> str:
    """Returns a notice; what is too long loses its middle, for an error's reason stands at its end.

    Args:
        text: what happened.
        hint: what helps, on a line of its own; may be empty.
        screen_width: columns of the terminal.
    """
    columns = max(1, min(WIDTH, int(screen_width * _SHARE)) - _FRAME)
    hint = _cut(hint, columns, ROWS - 1)
    below = len(textwrap.wrap(hint, columns))
    return "\n".join(part for part in (_cut(text, columns, ROWS - below), hint) if part)


def _cut(text: str, columns: int, rows: int) -> str:
    """Returns a text that takes no more than so many rows."""
    shown, kept = text, columns * rows
    while len(textwrap.wrap(shown, columns)) > rows:
        shown = f"{text[: kept // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"
        kept -= 2
    return shown
