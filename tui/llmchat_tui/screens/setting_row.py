"""One setting to edit: its name, its control, what it is, and in red why a value was refused.

Checks and saves nothing: it tells the screen of a new text, and the screen tells it what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Select, Static, Switch

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import SafeInput

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import DescendantBlur
    from textual.widget import Widget


class Row(Vertical):
    """A setting. `text` is what stands in its control, as one would type it."""

    DEFAULT_CSS = """
    Row { height: auto; margin-bottom: 1; }
    Row Static { height: auto; }
    Row Horizontal { height: 1; }
    Row .name { width: 20; padding-right: 1; }
    Row:focus-within .name { color: $text-accent; text-style: bold; }
    Row Input, Row Select { width: 1fr; max-width: 44; }
    Row Switch { border: none; height: 1; padding: 0; background: $panel; &:focus { border: none; } }
    Row .note { color: $text-muted; padding-left: 20; }
    """

    @dataclass
    class Edited(Message):
        """Another text stands in the control and the user is done with it."""

        row: Row

    def __init__(
        self,
        field: str,
        text: str,
        *,
        placeholder: str = "",
        choices: Sequence[str] = (),
        note: str = "",
        lock: str = "",
    ) -> None:
        """Builds nothing yet.

        Args:
            field: the name of the setting.
            text: its value, as one types it.
            placeholder: what stands in an empty control.
            choices: the values there are; `true` and `false` make a switch; none make a line to type in.
            note: stands dim below.
            lock: why it cannot be edited here, or empty.
        """
        super().__init__()
        self.field = field
        self._settled = text
        self._refused: str | None = None
        self._placeholder, self._choices = placeholder, choices
        self._note, self._lock, self._error = note, lock, ""

    def compose(self) -> ComposeResult:
        """Yields the row."""
        with Horizontal():
            yield Static(Content(sanitize_line(self.field)), classes="name")
            yield self._control()
        yield Static(classes="note")

    def on_mount(self) -> None:
        """Writes what stands below."""
        self.control.disabled = bool(self._lock)
        self._tell("")

    @property
    def text(self) -> str:
        """What stands in the control; where it is as it was shown, the exact value."""
        control = self.control
        if isinstance(control, Switch):
            return "true" if control.value else "false"
        if isinstance(control, Select):
            return str(control.value)
        return self._settled if control.value == sanitize_line(self._settled) else control.value

    @property
    def control(self) -> Switch | Select[str] | Input:
        """The widget that is edited."""
        control = self.query("Switch, Select, Input").first()
        assert isinstance(control, Switch | Select | Input)
        return control

    @property
    def is_pending(self) -> bool:
        """Whether the control has a text that was neither taken nor refused."""
        return self.text not in (self._settled, self._refused)

    @property
    def is_refused(self) -> bool:
        """Whether what stands there was refused."""
        return bool(self._error)

    def settle(self, text: str) -> None:
        """Takes a text as the value."""
        control = self.control
        self._settled, self._refused = text, None
        if isinstance(control, Input):
            with control.prevent(Input.Changed):
                control.value = sanitize_line(text)
        self._tell("")

    def refuse(self, why: str) -> None:
        """Says why the text cannot be the value."""
        self._refused = self.text
        self._tell(why)
        # The line that came in may push the row, or the one that the focus went to, out of sight.
        shown = self if self.has_focus_within else self.screen.focused
        if shown:
            self.call_after_refresh(shown.scroll_visible, animate=False)

    def note(self, note: str, lock: str = "") -> None:
        """Writes what stands below, and locks the control where there is a reason to."""
        if (note, lock) != (self._note, self._lock):
            self._note, self._lock = note, lock
            self.control.disabled = bool(lock)
            self._tell(self._error)

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """Takes what was typed when the focus goes."""
        if event.widget is self.control:
            self._done()

    def on_input_submitted(self) -> None:
        """Takes what was typed."""
        self._refused = None
        self._done()

    def on_switch_changed(self) -> None:
        """Takes the new state."""
        self._done()

    def on_select_changed(self) -> None:
        """Takes the choice."""
        self._done()

    def _done(self) -> None:
        if self.is_pending:
            self.post_message(self.Edited(self))
        elif self._error and self.text == self._settled:
            self._tell("")

    def _tell(self, error: str) -> None:
        """Writes the note, and below it why a text was refused."""
        self._error = error
        note = sanitize_line(" · ".join(filter(None, (self._note, self._lock))))
        lines = [note] if note else []
        below = (("\n" if lines else "") + sanitize_line(error), "$text-error")
        self.query_one(".note", Static).update(Content.assemble(*lines, *([below] if error else [])))

    def _control(self) -> Widget:
        if set(self._choices) == {"true", "false"}:
            return Switch(self._settled == "true", animate=False)
        if self._choices:
            values = list(dict.fromkeys((*self._choices, self._settled)))
            options = [(Content(sanitize_line(value) or self._placeholder), value) for value in values]
            return Choice(options, value=self._settled, allow_blank=False, compact=True)
        return SafeInput(sanitize_line(self._settled), placeholder=sanitize_line(self._placeholder), compact=True)


class Choice(Select[str], inherit_bindings=False):
    """A choice that leaves the arrows to the rows until it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "show_overlay", "choose")]


class Rows(VerticalScroll, can_focus=False, inherit_bindings=False):
    """Rows below each other; the arrows go from one to the next."""

    SCOPED_CSS = False
    DEFAULT_CSS = """
    Rows { height: 1fr; }
    Panel.-narrow Rows Row .note { padding-left: 2; }
    Panel.-low Rows Row { margin-bottom: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
    ]
