"""A small question: one line of text. Knows nothing of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel, SafeInput

if TYPE_CHECKING:
    from textual.app import ComposeResult


class TextScreen(Panel[str | None]):
    """Asks for one line of text."""

    DEFAULT_CSS = "TextScreen > #panel { max-width: 72; }"

    def __init__(self, title: str, value: str = "", placeholder: str = "") -> None:
        super().__init__(title)
        self._value, self._placeholder = value, placeholder

    def compose_body(self) -> ComposeResult:
        """Yields the line, what stood in it selected."""
        yield Line(sanitize_line(self._value), placeholder=sanitize_line(self._placeholder), compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the text; what was left alone comes back as it was, whatever was shown for it."""
        self.dismiss(self._value if event.value == sanitize_line(self._value) else event.value)

    async def action_copy_or_leave(self) -> None:
        """Leaves also where all is selected as it was when the page opened: that was not the user."""
        field = self.query_one(Line)
        if field.value == sanitize_line(self._value) == field.selected_text:
            self.action_leave()
        else:
            await super().action_copy_or_leave()


class Line(SafeInput):
    """An input that tells of its Enter in the line of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "ok")]
