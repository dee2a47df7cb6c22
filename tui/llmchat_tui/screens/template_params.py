"""The parameters of a template, one field each. Checks nothing but that what has no default is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from llmchat_tui.screens.panel import Panel
from llmchat_tui.screens.setting_row import Row, Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult


class TemplateParamsScreen(Panel[dict[str, str] | None]):
    """Ends with the parameters that were given, by name."""

    DEFAULT_CSS = """
    TemplateParamsScreen Rows { height: auto; max-height: 1fr; }
    TemplateParamsScreen.-low .heading { margin-bottom: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "use", "use", priority=True),
        Binding("escape", "leave", "cancel"),
    ]

    def __init__(self, name: str, params: Mapping[str, str]) -> None:
        """Shows nothing yet.

        Args:
            name: of the template.
            params: the parameters with their defaults; an empty one must be given.
        """
        super().__init__(f"Template {name}")
        self._params = params

    def compose_body(self) -> ComposeResult:
        """Yields a row for every parameter."""
        with Rows():
            for name, default in self._params.items():
                yield Row(name, "", placeholder=default or "must be given")

    def on_mount(self) -> None:
        """Goes to the first one."""
        self.query_one(Input).focus()

    def action_use(self) -> None:
        """Ends with what was given; goes to what is missing."""
        rows = list(self.query(Row))
        missing = [row for row in rows if not (row.text.strip() or self._params[row.field])]
        for row in missing:
            row.refuse("it has no default")
        if missing:
            missing[0].control.focus()
        else:
            self.dismiss({row.field: row.text.strip() for row in rows if row.text.strip()})
