"""What one chat has of its own: its system prompt and how its tokens are chosen. Saves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from llmchat_engine import Sampling
from llmchat_tui.config_values import sampling_value
from llmchat_tui.errors import ConfigError
from llmchat_tui.sanitize import sanitize
from llmchat_tui.screens.fields import MODEL_DECIDES, fields, value_text
from llmchat_tui.screens.panel import Panel, line
from llmchat_tui.screens.setting_row import Row, Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

_COST = "A changed system prompt counts from the next message on; the whole chat is then read again."


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat shall have."""

    system: str
    sampling: dict[str, Any]


class ChatSettingsScreen(Panel[ChatSettings | None]):
    """Edits a chat's own settings; what is left empty it inherits."""

    DEFAULT_CSS = """
    ChatSettingsScreen > #panel { height: 100%; max-height: 52; }
    ChatSettingsScreen TextArea { height: 6; padding: 0 1; background: $panel; }
    ChatSettingsScreen.-low TextArea { height: 3; }
    ChatSettingsScreen .hint { margin-bottom: 1; }
    ChatSettingsScreen.-low .heading { display: none; }
    ChatSettingsScreen.-low .hint { margin-bottom: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save"),
        Binding("escape", "leave", "discard"),
    ]

    def __init__(
        self, title: str, system: str, sampling: Mapping[str, Any], inherited: Sampling, asked: str = ""
    ) -> None:
        """Shows nothing yet.

        Args:
            title: of the chat.
            system: its system prompt.
            sampling: what it has of its own.
            inherited: what counts where it has nothing.
            asked: how its questions are asked, where not as they are written.
        """
        super().__init__(f"This chat: {title}")
        self._system, self._sampling, self._inherited = system, dict(sampling), inherited
        self._shown_system, self._asked = "", asked

    def compose_body(self) -> ComposeResult:
        """Yields the system prompt and a row for every sampling value."""
        with Rows():
            yield line("System prompt", "title")
            yield TextArea(sanitize(self._system), compact=True, placeholder="none")
            yield line(_COST, "hint")
            if self._asked:
                yield line(f"Asked with {self._asked}. F7 and /template, /cot, /votes, /think change that.", "hint")
            yield from (self._row(field.name, field.description) for field in fields() if field.table)

    def on_mount(self) -> None:
        """Remembers how the system prompt is shown, to know whether it was edited."""
        self._shown_system = self.query_one(TextArea).text
        self.call_after_refresh(self.query_one(Rows).scroll_home, animate=False)

    def on_row_edited(self, message: Row.Edited) -> None:
        """Checks a new value."""
        self._check(message.row)

    def action_save(self) -> None:
        """Ends with what stands there, once every value fits."""
        for row in self.query(Row):
            if row.is_pending:
                self._check(row)
        if refused := next((row for row in self.query(Row) if row.is_refused), None):
            refused.control.focus()
            return
        edited = self.query_one(TextArea).text
        system = self._system if edited == self._shown_system else edited
        self.dismiss(ChatSettings(system, dict(self._sampling)))

    def _check(self, row: Row) -> None:
        """Takes a value, or says why not; an emptied one is inherited again."""
        text = row.text.strip()
        try:
            value = sampling_value(row.field, text) if text else None
        except ConfigError as error:
            row.refuse(str(error))
            return
        self._sampling.pop(row.field, None)
        if text:
            self._sampling[row.field] = list(value) if isinstance(value, tuple) else value
        row.settle(value_text(value))

    def _row(self, name: str, description: str) -> Row:
        inherited = value_text(getattr(self._inherited, name))
        own = value_text(self._sampling.get(name))
        return Row(name, own, placeholder=inherited or MODEL_DECIDES, note=description)
