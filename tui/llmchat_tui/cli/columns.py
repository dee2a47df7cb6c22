"""Rows of text in columns that fit a terminal: long cells are cut, and what matters least is left out.

Knows no model and no command. Text in cells is data and is made harmless here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_tui.console import terminal_columns
from llmchat_tui.piece_text import cell, columns_of
from llmchat_tui.sanitize import sanitize_line

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is laid out."""

    head: str
    right: bool = False
    """Whether its cells end in one line, as numbers do."""
    least: int = 0
    """The fewest characters that it may be cut to; 0 leaves it whole."""
    drops: int = 0
    """The higher, the sooner it is left out where there is no room; 0 stays."""


def room_of_stdout() -> int:
    """Returns the width that a table may have: that of the terminal; 0, without a bound, where stdout is none."""
    from llmchat_tui.cli.render import binary_stdout

    return terminal_columns(sys.stdout) if binary_stdout().isatty() else 0


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int = 0) -> list[str]:
    """Returns the lines of a table, its head first.

    Args:
        columns: how each is laid out.
        rows: a cell for each column.
        room: the widest that a line may be; 0 sets no bound.
    """
    cells = [[sanitize_line(text) for text in row] for row in ([column.head for column in columns], *rows)]
    kept = [at for at in range(len(columns)) if any(row[at] for row in cells[1:]) or not rows]
    while room and _least(columns, cells, kept) > room:
        loser = max(kept, key=lambda at: columns[at].drops)
        if not columns[loser].drops:
            break
        kept.remove(loser)
    widths = _widths(columns, cells, kept, room)
    return [_line(columns, row, kept, widths) for row in cells]


def _least(columns: Sequence[Column], cells: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    """Returns the width of the narrowest table that still has these columns."""
    widths = (min(_widest(cells, at), columns[at].least or sys.maxsize) for at in kept)
    return sum(widths) + _GAP * (len(kept) - 1)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], kept: Sequence[int], room: int) -> list[int]:
    widths = [_widest(cells, at) for at in kept]
    over = sum(widths) + _GAP * (len(kept) - 1) - room if room else 0
    while over > 0:
        spare = [widths[i] - columns[at].least if columns[at].least else 0 for i, at in enumerate(kept)]
        widest = max(range(len(kept)), key=lambda i: (spare[i] > 0, widths[i]))
        if spare[widest] <= 0:
            break
        widths[widest] -= 1
        over -= 1
    return widths


def _widest(cells: Sequence[Sequence[str]], at: int) -> int:
    return max(columns_of(row[at]) for row in cells)


def _line(columns: Sequence[Column], row: Sequence[str], kept: Sequence[int], widths: Sequence[int]) -> str:
    shown = []
    for at, width in zip(kept, widths, strict=True):
        text = cell(row[at], width)
        if columns[at].right:
            text = " " * (len(text) - len(text.rstrip())) + text.rstrip()
        shown.append(text)
    return (" " * _GAP).join(shown).rstrip()
