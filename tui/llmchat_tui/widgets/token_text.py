"""The tokens of a reply as text, each in the colour of its probability, and the cursor that walks through them.

Renders only the lines in sight. Knows no engine; posts where the cursor is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from llmchat_tui.sanitize import sanitize
from llmchat_tui.token_view import ShownToken, step_of
from llmchat_tui.widgets.painting import paint_now
from llmchat_tui.widgets.token_lines import Span, TokenLines, laid_out

_FAR = 1_000_000
_DIM = Style(dim=True)


class TokenText(ScrollView, can_focus=True):
    """A text of any length with a cursor on one of its tokens."""

    DEFAULT_CSS = """
    TokenText { height: 1fr; min-height: 1; background: transparent; overflow-x: hidden; scrollbar-size-vertical: 1; }
    TokenText > .token--0 { color: $text; }
    TokenText > .token--1 { color: $text-success; }
    TokenText > .token--2 { color: $text-warning; text-style: bold; }
    TokenText > .token--3 { color: $text-warning; text-style: underline; }
    TokenText > .token--4 { color: $text-error; text-style: bold underline; }
    TokenText > .token--cursor { color: $input-cursor-foreground; background: $input-cursor-background; }
    TokenText:blur > .token--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    TokenText:ansi > .token--0 { color: ansi_default; }
    TokenText:ansi > .token--1 { color: ansi_green; }
    TokenText:ansi > .token--2 { color: ansi_yellow; }
    TokenText:ansi > .token--3 { color: ansi_yellow; }
    TokenText:ansi > .token--4 { color: ansi_red; }
    TokenText:ansi > .token--cursor { color: ansi_default; background: ansi_default; text-style: reverse; }
    """
    COMPONENT_CLASSES = {"token--cursor", *(f"token--{step}" for step in range(5))}  # noqa: RUF012 - the toolkit's way
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,tab,shift+tab", "leave_text", "alternatives"),
        Binding("left,h", "move(-1)", "before", show=False),
        Binding("right,l", "move(1)", "← token"),
        Binding("n", "unlikely(1)", "next unlikely"),
        Binding("N", "unlikely(-1)", "unlikely before", show=False),
        Binding("up,k", "move_line(-1)", "up", show=False),
        Binding("down,j", "move_line(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", f"move(-{_FAR})", "first", show=False),
        Binding("end,G", f"move({_FAR})", "last", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    @dataclass
    class Moved(Message):
        """The cursor is on another token."""

        token: int

    class Left(Message):
        """The user goes on to the alternatives."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens: Sequence[ShownToken] = ()
        self._texts: list[str] = []
        self._lines = TokenLines()
        self._steps: list[int] = []
        self._width = 0
        self._column: int | None = None
        """Where the cursor was before it went up or down, so that short lines do not move it."""

    def show(self, tokens: Sequence[ShownToken], cursor: int = 0) -> None:
        """Shows other tokens, the cursor on one of them."""
        self._tokens = tokens
        self._texts = [sanitize(token.shown) for token in tokens]
        self._steps = [step_of(token.told) for token in tokens]
        self.set_reactive(TokenText.cursor, self.validate_cursor(cursor))
        self._lay_out()
        self.post_message(self.Moved(self.cursor))

    def on_resize(self, _event: Resize) -> None:
        """Breaks the lines anew."""
        if self.scrollable_content_region.width != self._width:
            self._lay_out()

    def _lay_out(self) -> None:
        self._width = self.scrollable_content_region.width
        self._lines = laid_out(self._texts, self._width)
        self.virtual_size = Size(0, len(self._lines.rows))
        self.styles.max_height = len(self._lines.rows)  # what is told of a token stands near a short reply
        self.refresh()
        self.call_after_refresh(self._show_cursor)

    def _show_cursor(self) -> None:
        if self._tokens:
            row, column = self._lines.places[self.cursor]
            self.scroll_to_region(Region(min(column, 1), row, 1, 1), animate=False, force=True, immediate=True)

    def validate_cursor(self, cursor: int) -> int:
        """Keeps the cursor on a token."""
        return max(0, min(cursor, len(self._tokens) - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        """Goes where the cursor is; two lines are painted, unless the text scrolls."""
        if not self._tokens:
            return
        at = self.scroll_offset.y
        for row in {*self._lines.rows_of(before), *self._lines.rows_of(after)}:
            self.refresh(Region(0, row - at, self.size.width, 1))
        self._show_cursor()
        self.post_message(self.Moved(after))
        paint_now(self)

    def action_move(self, tokens: int) -> None:
        """Moves the cursor by tokens."""
        self._column = None
        self.cursor += tokens

    def action_unlikely(self, direction: int) -> None:
        """Goes to the next token that was not the likeliest, or not likely; round at the ends."""
        count = len(self._tokens)
        order = ((self.cursor + direction * step) % count for step in range(1, count))
        if (found := next((at for at in order if self._tokens[at].is_unlikely), None)) is not None:
            self.action_move(found - self.cursor)

    def action_move_line(self, lines: int) -> None:
        """Moves the cursor up or down, out of a token that stands on several lines too."""
        row, column = self._lines.places[self.cursor]
        column = column if self._column is None else self._column
        last, step = len(self._lines.rows) - 1, 1 if lines > 0 else -1
        target = max(0, min(row + lines, last))
        while self._lines.nearest(target, column) == self.cursor and 0 <= target + step <= last:
            target += step
        self.cursor, self._column = self._lines.nearest(target, column), column

    def action_page(self, pages: int) -> None:
        """Moves the cursor by what is in sight."""
        self.action_move_line(pages * max(1, self.size.height - 1))

    def action_leave_text(self) -> None:
        """Goes on to the alternatives."""
        self.post_message(self.Left())

    def on_click(self, event: Click) -> None:
        """Moves the cursor to a token."""
        row = event.y + self.scroll_offset.y
        if row < len(self._lines.rows) and (token := self._lines.nearest(row, event.x)) >= 0:
            self.action_move(token - self.cursor)

    def render_line(self, y: int) -> Strip:
        """Returns one line of the screen."""
        row, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        ground = self.rich_style
        if row >= len(self._lines.rows):
            return Strip.blank(width, ground)
        spans = self._lines.rows[row]
        strip = Strip([Segment(span.text, self._style_of(span)) for span in spans], sum(span.width for span in spans))
        return strip.adjust_cell_length(width, ground)

    def _style_of(self, span: Span) -> Style:
        if span.token == self.cursor:
            return self.get_component_rich_style("token--cursor")
        style = self.get_component_rich_style(f"token--{self._steps[span.token]}")
        token = self._tokens[span.token]
        return style + _DIM if token.is_thought or not token.text else style
