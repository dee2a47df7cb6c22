"""Lines of a document with their numbers beside them; a line that is wrapped goes on behind its number.

Shows what it is told, as data. Knows no document.
"""

from __future__ import annotations

from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import Static

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.surroundings import numbered_lines

_LEAST_WIDTH = 8


class NumberedText(Static):
    """A stretch of a document; hidden where it is empty."""

    DEFAULT_CSS = """
    NumberedText { height: auto; }
    NumberedText.-empty { display: none; }
    """

    class Wrapped(Message):
        """The lines are others than before, and what stands below them is elsewhere."""

    def __init__(self, id: str, classes: str = "") -> None:  # noqa: A002 - the toolkit's name
        super().__init__("", id=id, classes=f"{classes} -empty".strip(), markup=False)
        self._rows: list[tuple[str, Content]] = []
        self._digits = 0
        self._laid_out_for = -1

    def show(self, text: str, line: int = 0, *, goes_on: bool = False, digits: int = 4) -> None:
        """Shows a text.

        Args:
            text: any; an empty one shows nothing.
            line: of its first line; 0 where lines have no numbers.
            goes_on: whether the first line is the rest of a line that stands before it.
            digits: of the longest number beside it.
        """
        rows = numbered_lines(text, line, goes_on=goes_on) if text else ()
        self._rows = [(number, Content(sanitize_line(part))) for number, part in rows]
        self._digits = digits if line else 0
        self.set_class(not text, "-empty")
        self._lay_out(self.content_size.width)

    def on_resize(self, event: Resize) -> None:
        """Wraps the lines for another width."""
        width = event.size.width - self.gutter.width
        if width != self._laid_out_for:
            self._lay_out(width)
            self.post_message(self.Wrapped())

    def _lay_out(self, width: int) -> None:
        self._laid_out_for = width
        if not width:
            self.update(Content("\n").join(part for _, part in self._rows))  # to be shown: it has no width before
            return
        lines = (line for number, part in self._rows for line in self._wrapped(number, part, width))
        self.update(Content("\n").join(lines))

    def _wrapped(self, number: str, part: Content, width: int) -> list[Content]:
        if not self._digits:
            return [part]
        first, *rest = part.wrap(max(_LEAST_WIDTH, width - self._digits - 1)) or [Content("")]
        blank = " " * (self._digits + 1)
        return [
            Content.assemble((f"{number:>{self._digits}} ", "$text-muted"), first),
            *(Content.assemble(blank, line) for line in rest),
        ]
