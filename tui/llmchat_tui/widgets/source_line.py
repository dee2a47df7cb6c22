"""The line under a reply of what it stands on: each source with its number, its mark and its place, never broken apart.

Shows what it is told, as data. Knows no reply.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from llmchat_tui.cited import SourceLine
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.widgets.signs import COLOURS

_BETWEEN = 4
_LEAST_WIDTH = 10


class SourceLineView(Static):
    """The line; hidden where there are no sources."""

    def __init__(self) -> None:
        super().__init__("", classes="note -empty", markup=False)
        self._line = SourceLine()

    def show(self, line: SourceLine) -> None:
        """Shows sources; an empty line takes them away."""
        self._line = line
        self.set_class(not line.parts, "-empty")
        self.update(laid_out(line, self.content_size.width))

    def on_resize(self, event: Resize) -> None:
        """Lays the sources out for another width."""
        self.update(laid_out(self._line, event.size.width))


def laid_out(line: SourceLine, width: int) -> Content:
    """Returns sources side by side as far as they fit; one that is longer than a line loses the beginning of its place.

    Args:
        line: the sources.
        width: columns; 0 where they are not known yet.
    """
    parts = [_part(*part, width) for part in line.parts]
    if line.more:
        parts.append(Content(f"{line.more:,} more"))
    rows: list[Content] = []
    for part in parts:
        if rows and (not width or rows[-1].cell_length + _BETWEEN + part.cell_length <= width):
            rows[-1] = Content.assemble(rows[-1], " " * _BETWEEN, part)
        else:
            rows.append(part)
    return Content("\n").join(rows)


def _part(number: str, sign: str, place: str, width: int) -> Content:
    head = Content.assemble(f"{number} ", (f"{sign} " if sign else "", COLOURS.get(sign, "")))
    shown = sanitize_line(place)
    return Content.assemble(head, _end_of(shown, max(_LEAST_WIDTH, width - head.cell_length)) if width else shown)


def _end_of(place: str, room: int) -> str:
    """Returns a place, or the end of it, which says which file it is and which lines."""
    if cell_len(place) <= room:
        return place
    end = place[-room:]
    while cell_len(end) >= room:
        end = end[1:]
    return f"…{end}"
