"""The settings as they stand in config.toml, one row each, generated from the schema; a change is saved at once.

Applies nothing: it ends with the names of what was changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from llmchat_tui.config import Config, load_config, set_value, unset_value
from llmchat_tui.errors import ConfigError, UserError
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.fields import Field, fields, value_text
from llmchat_tui.screens.panel import Panel, SafeInput, line
from llmchat_tui.screens.setting_row import Row, Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

_GROUPS = {"": "llmchat", "sampling": "How tokens are chosen"}
_BUILT_IN = "built-in"


class SettingsScreen(Panel[frozenset[str]]):
    """Edits config.toml."""

    DEFAULT_CSS = """
    SettingsScreen > #panel { height: 100%; max-height: 52; }
    SettingsScreen Rows { margin-top: 1; }
    SettingsScreen.-low Rows { margin-top: 0; }
    SettingsScreen.-low > #panel > .heading { display: none; }
    SettingsScreen .group { height: auto; }
    SettingsScreen .group-name { text-style: bold; margin-bottom: 1; }
    SettingsScreen #path { margin-top: 1; }
    SettingsScreen.-low #path { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "filter", "filter")]

    def __init__(self, config_path: Path, environ: Mapping[str, str]) -> None:
        super().__init__("Settings")
        self._path, self._environ = config_path, environ
        self._changed: set[str] = set()
        self._fields = {field.name: field for field in fields()}

    def compose_body(self) -> ComposeResult:
        """Yields a row for every setting, or what is wrong with the file."""
        try:
            config = load_config(self._path, self._environ)
        except ConfigError as error:
            yield line(str(error), "error")
            yield line(error.hint, "hint")
            return
        yield SafeInput(placeholder="filter", compact=True, id="filter")
        with Rows():
            for table, heading in _GROUPS.items():
                with Vertical(classes="group"):
                    yield Static(heading, classes="group-name")
                    yield from (self._row(field, config) for field in self._fields.values() if field.table == table)
        yield Static(Content(sanitize_line(str(self._path))), id="path", classes="hint")

    def on_row_edited(self, message: Row.Edited) -> None:
        """Saves a new value."""
        self._save(message.row)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Leaves the rows in sight that have the words in them."""
        if event.input.id != "filter":
            return
        words = event.value.casefold().split()
        for group in self.query(".group"):
            shown = [self._matches(row, words) for row in group.query(Row)]
            group.display = any(shown)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hides the key of the filter where it is a character to type."""
        return action != "filter" or (bool(self.query("#filter")) and not isinstance(self.focused, Input))

    def action_filter(self) -> None:
        """Goes to the filter."""
        self.query_one("#filter", Input).focus()

    def action_leave(self) -> None:
        """Closes the page; saves what was typed last, and stays where that is refused."""
        row = next((row for row in self.query(Row) if row.is_pending), None)
        if row:
            self._save(row)
        if not row or not row.is_refused:
            self.dismiss(frozenset(self._changed))

    def _matches(self, row: Row, words: list[str]) -> bool:
        text = f"{row.field} {self._fields[row.field].description}".casefold()
        row.display = all(word in text for word in words)
        return row.display

    def _save(self, row: Row) -> None:
        """Checks and writes one value; everything else in the file stays as it is."""
        try:
            self._write(self._fields[row.field], row.text)
            config = load_config(self._path, self._environ)
        except UserError as error:
            row.refuse(str(error))
            return
        self._changed.add(row.field)
        row.settle(value_text(getattr(config.settings, row.field)))
        for other in self.query(Row):
            other.note(*self._notes(self._fields[other.field], config))

    def _write(self, field: Field, text: str) -> None:
        """Writes one value; an emptied one is taken out, so that its default holds."""
        if text.strip():
            set_value(self._path, field.name, text)
        else:
            unset_value(self._path, field.name)

    def _row(self, field: Field, config: Config) -> Row:
        text = value_text(getattr(config.settings, field.name))
        choices = ("", *sorted(self.app.available_themes)) if field.name == "theme" else field.choices
        placeholder = "by the terminal" if field.name == "theme" else field.placeholder
        note, lock = self._notes(field, config)
        return Row(field.name, text, placeholder=placeholder, choices=choices, note=note, lock=lock)

    def _notes(self, field: Field, config: Config) -> tuple[str, str]:
        """Returns what a setting is and where it comes from, and why it cannot be edited here."""
        origin = config.origin(field.name)
        if origin in self._environ:
            return field.description, f"set by {origin}"
        if "\n" in value_text(getattr(config.settings, field.name)):
            return field.description, f"it has several lines: edit it in {self._path.name}"
        place = origin if origin == _BUILT_IN else f"{self._path.name}:{origin.rpartition(':')[2]}"
        return f"{field.description} · {place}", ""
