"""The lines of a chat's tree, of which only those in sight are rendered, and the cursor that walks through them.

Knows no database: it is given lines, and posts the one that was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.tree_lines import TreeLine

_LEAST_TEXT = 24
"""Columns that a message keeps before its facts are left out."""


class TreeView(ScrollView, can_focus=True):
    """A list of any length with a cursor."""

    DEFAULT_CSS = """
    TreeView { height: 1fr; background: transparent; overflow-x: hidden; scrollbar-size-vertical: 1; }
    TreeView > .tree--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    TreeView:ansi > .tree--cursor { color: ansi_bright_white; background: ansi_blue; }
    """
    COMPONENT_CLASSES = {"tree--line", "tree--cursor"}  # noqa: RUF012 - the toolkit's own way to name parts
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "go there"),
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "move(-1000000000)", "first", show=False),
        Binding("end,G", "move(1000000000)", "last", show=False),
    ]
    cursor: reactive[int] = reactive(0)

    @dataclass
    class Chosen(Message):
        """A message was chosen."""

        message_id: str

    def __init__(self, lines: Sequence[TreeLine], cursor: int = 0) -> None:
        super().__init__()
        self._lines = lines
        self.set_reactive(TreeView.cursor, cursor)

    def on_mount(self) -> None:
        """Shows the cursor in the middle, with what comes before and behind it."""
        self.virtual_size = Size(0, len(self._lines))
        self.call_after_refresh(self._show_cursor, center=True)

    def _show_cursor(self, *, center: bool = False) -> None:
        region = Region(0, self.cursor, 1, 1)
        self.scroll_to_region(region, animate=False, force=True, center=center, immediate=True)

    def validate_cursor(self, cursor: int) -> int:
        """Keeps the cursor on a line."""
        return max(0, min(cursor, len(self._lines) - 1))

    def watch_cursor(self) -> None:
        """Goes where the cursor is."""
        self._show_cursor()
        self.refresh()

    def action_move(self, lines: int) -> None:
        """Moves the cursor."""
        self.cursor += lines

    def action_page(self, pages: int) -> None:
        """Moves the cursor by what is in sight."""
        self.cursor += pages * max(1, self.size.height - 1)

    def action_choose(self) -> None:
        """Chooses the message at the cursor."""
        if self._lines:
            self.post_message(self.Chosen(self._lines[self.cursor].id))

    def on_click(self, event: Click) -> None:
        """Moves the cursor to a line; a second click chooses it."""
        at = event.y + self.scroll_offset.y
        if at < len(self._lines):
            self.cursor = at
            if event.chain > 1:
                self.action_choose()

    def render_line(self, y: int) -> Strip:
        """Returns one line of the screen."""
        at, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        style = self.get_visual_style("tree--cursor" if at == self.cursor else "tree--line")
        if at >= len(self._lines):
            return Strip.blank(width, style.rich_style)
        content = line_content(self._lines[at], width, plain=at == self.cursor)
        (strip,) = Visual.to_strips(self, content, width, 1, style, pad=True, apply_selection=False)
        return strip


def line_content(line: TreeLine, width: int, *, plain: bool = False) -> Content:
    """Returns one line: branches, a filled mark on the shown branch, the text, and the facts at the right end.

    Args:
        line: the line.
        width: of the screen.
        plain: without colours of its own, as under the cursor.
    """
    start = f"{line.cut_stem(width // 2)}{'●' if line.on_path else '○'} "
    facts = f"  {line.facts}" if line.facts else ""
    if width - len(start) - len(facts) < _LEAST_TEXT:
        facts = ""
    text = Content(sanitize_line(line.text)).truncate(max(1, width - len(start) - len(facts)), ellipsis=True, pad=True)
    if plain:
        return Content.assemble(start, text, facts)
    colour = "$text-accent" if line.is_question else "$foreground" if line.on_path else "$text-muted"
    return Content.assemble(
        (start, "$text-accent" if line.on_path else "$text-muted"), text.stylize(colour), (facts, "$text-muted")
    )
