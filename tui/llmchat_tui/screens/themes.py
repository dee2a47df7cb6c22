"""The choice of colours; the whole screen shows the theme that the cursor is on. Saves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ThemesScreen(Panel[str | None]):
    """Lets the user walk through the themes; Esc brings back the one there was."""

    DEFAULT_CSS = """
    ThemesScreen { align: right top; background: transparent; }
    ThemesScreen > #panel { max-width: 32; height: 100%; }
    ThemesScreen OptionList { height: 1fr; background: transparent; }
    """

    def __init__(self, names: Sequence[str], current: str) -> None:
        super().__init__("Colours")
        self._names, self._current = list(names), current

    def compose_body(self) -> ComposeResult:
        """Yields the names, the current one marked."""
        yield Themes(*(Option(self._row(name)) for name in self._names), compact=True)

    def on_mount(self) -> None:
        """Puts the cursor on the theme there is."""
        if self._current in self._names:
            self.query_one(OptionList).highlighted = self._names.index(self._current)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Shows a theme."""
        self._show(self._names[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes a theme."""
        self.dismiss(self._names[event.option_index])

    def action_leave(self) -> None:
        """Brings back what was."""
        self._show(self._current)
        self.dismiss(None)

    def _show(self, name: str) -> None:
        if name in self.app.available_themes:
            self.app.theme = name

    def _row(self, name: str) -> Content:
        return Content(("● " if name == self._current else "  ") + sanitize_line(name))


class Themes(OptionList):
    """A list that tells of its Enter in the line of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "use")]
