"""A page of plain text to read: the exact prompt, statistics, the context. Knows nothing of what it shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from llmchat_tui.messages import Copied
from llmchat_tui.sanitize import sanitize
from llmchat_tui.screens.panel import Panel

if TYPE_CHECKING:
    from textual.app import ComposeResult

_STEP = 12_000
"""Characters that are laid out at once: some 10 ms. All of 200,000 took 100 ms, and replies must go on streaming."""
_LONG_LINE = re.compile(r"[^\n]{4000}(?=[^\n])")
"""What is added to a line has all of it wrapped again, so the longest are broken."""


class InfoScreen(Panel[None]):
    """Shows a text of any length, character for character but for what a terminal would obey."""

    DEFAULT_CSS = """
    InfoScreen > #panel { max-width: 100; height: 100%; }
    InfoScreen TextArea { height: 1fr; background: transparent; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy_all", "copy all")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title)
        self._title, self._text = title, text
        self._rest = _LONG_LINE.sub("\\g<0>\n", sanitize(text))

    def compose_body(self) -> ComposeResult:
        """Yields the beginning of the text; the rest follows while one reads."""
        yield TextArea(self._next(), read_only=True, compact=True, show_cursor=False)

    def on_mount(self) -> None:
        """Goes on with the text."""
        self.call_after_refresh(self._go_on)

    def action_copy_all(self) -> None:
        """Copies the text as it is, not as it is shown."""
        self.post_message(Copied(self._text, self._title))

    def _go_on(self) -> None:
        if self._rest:
            area = self.query_one(TextArea)
            area.insert(self._next(), area.document.end, maintain_selection_offset=False)
            self.call_after_refresh(self._go_on)

    def _next(self) -> str:
        part, self._rest = self._rest[:_STEP], self._rest[_STEP:]
        return part
