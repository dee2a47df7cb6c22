"""Two small questions: yes or no, and one line of text. Know nothing of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel, SafeInput

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ConfirmScreen(Panel[bool]):
    """Asks yes or no; no is what Enter says unless the user moves. Esc is no."""

    DEFAULT_CSS = """
    ConfirmScreen > #panel { max-width: 60; }
    ConfirmScreen > #panel > .heading { text-style: none; max-height: 6; }
    ConfirmScreen #answers { height: auto; align-horizontal: right; }
    ConfirmScreen #answers Button {
        width: auto; min-width: 8; margin-left: 2; padding: 0 2; background: $panel; color: $foreground;
        &:focus { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        &:focus:ansi { color: ansi_bright_white; background: ansi_blue; text-style: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n", "answer(False)", "no"),
        Binding("left,right", "app.focus_next", "move", show=False),
        Binding("escape", "leave", "no", show=False),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, yes: str = "Yes", no: str = "No") -> None:
        super().__init__(question)
        self._yes, self._no = yes, no

    def compose_body(self) -> ComposeResult:
        """Yields the two answers."""
        with Horizontal(id="answers"):
            yield Button(Content(sanitize_line(self._yes)), id="yes", compact=True)
            yield Button(Content(sanitize_line(self._no)), id="no", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Takes the answer that was pressed."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Takes the answer of a key."""
        self.dismiss(answer)

    def action_leave(self) -> None:
        """Leaves everything as it is."""
        self.dismiss(False)


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
