"""The choice of a template: a list that is narrowed by typing, and beside it what the one under the cursor does.

Reads no file: the list is handed in. Uses nothing: the screen ends with the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from llmchat_tui.screens.panel import Panel, SafeInput, line
from llmchat_tui.screens.template_facts import preview, template_row
from llmchat_tui.templates.finding import Listed
from llmchat_tui.templates.values import Template

if TYPE_CHECKING:
    from textual.app import ComposeResult

_WIDEST_NAME = 24


class TemplatesScreen(Panel[Template | None]):
    """Lists templates with a preview; the filter keeps the focus while the arrows walk the list."""

    DEFAULT_CSS = """
    TemplatesScreen > #panel { max-width: 120; height: 100%; max-height: 44; }
    TemplatesScreen.-low > #panel > .heading { display: none; }
    TemplatesScreen Container { height: 1fr; margin-top: 1; layout: vertical; }
    TemplatesScreen.-wide Container { layout: horizontal; }
    TemplatesScreen.-low Container { margin-top: 0; }
    TemplatesScreen OptionList { height: auto; max-height: 50%; background: transparent; }
    TemplatesScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    TemplatesScreen.-wide OptionList { width: 50%; max-height: 100%; margin-right: 2; }
    TemplatesScreen VerticalScroll { height: 1fr; border-left: outer $panel; padding-left: 1; margin-top: 1; }
    TemplatesScreen.-wide VerticalScroll { margin-top: 0; }
    TemplatesScreen.-low VerticalScroll { margin-top: 0; }
    TemplatesScreen #preview { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "walk(1)", "next", priority=True),
        Binding("up", "walk(-1)", "before", show=False, priority=True),
        Binding("pagedown", "turn_page(1)", "scroll", priority=True),
        Binding("pageup", "turn_page(-1)", "scroll back", show=False, priority=True),
    ]

    def __init__(self, listed: Sequence[Listed], current: str = "") -> None:
        """Shows nothing yet.

        Args:
            listed: what there is.
            current: the name of the one that the chat is asked by.
        """
        super().__init__("Templates: how the questions of this chat are asked")
        self._listed, self._current = tuple(listed), current
        self._shown: list[Listed] = []

    def compose_body(self) -> ComposeResult:
        """Yields the filter, the list and the preview."""
        yield TemplateFilter(placeholder="filter by name or words", compact=True)
        with Container():
            options = OptionList(compact=True, markup=False)
            options.can_focus = False  # what is typed is always for the filter
            yield options
            with VerticalScroll(can_focus=False):
                yield Static("", id="preview", markup=False)
        if self._current:
            yield line("/template off asks as you write it again", "hint")

    def on_mount(self) -> None:
        """Goes to the template in use."""
        self.query_one(TemplateFilter).focus()
        self._write("")
        at = next((index for index, one in enumerate(self._shown) if one.name == self._current), 0)
        self._go(at)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Narrows the list."""
        self._write(message.value)

    def on_input_submitted(self) -> None:
        """Ends with the template under the cursor."""
        self._use(self.query_one(OptionList).highlighted)

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Shows what the cursor is on."""
        self._preview(message.option_index)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Ends with the template that was clicked."""
        self._use(message.option_index)

    def action_walk(self, step: int) -> None:
        """Goes to the next template, or the one before."""
        at = self.query_one(OptionList).highlighted
        self._go(0 if at is None else at + step)

    def action_turn_page(self, pages: int) -> None:
        """Scrolls the preview."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)

    def _go(self, index: int) -> None:
        options = self.query_one(OptionList)
        options.highlighted = min(max(0, index), len(self._shown) - 1) if self._shown else None
        self._preview(options.highlighted)

    def _write(self, wanted: str) -> None:
        words = wanted.casefold().split()
        self._shown = [one for one in self._listed if all(word in _words(one) for word in words)]
        width = min(_WIDEST_NAME, max((len(one.name) for one in self._listed), default=0))
        options = self.query_one(OptionList)
        rows = (template_row(one, width, used=one.name == self._current) for one in self._shown)
        options.set_options(Option(row) for row in rows)
        self._go(0)

    def _preview(self, index: int | None) -> None:
        known = index is not None and index < len(self._shown)
        shown = preview(self._shown[index]) if known and index is not None else Content("no template has these words")
        self.query_one("#preview", Static).update(shown)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _use(self, index: int | None) -> None:
        found = self._shown[index] if index is not None and index < len(self._shown) else None
        if found is None:
            return
        if found.template is None:
            self.notify("this template cannot be used; the reason stands beside it", severity="warning", markup=False)
        else:
            self.dismiss(found.template)


class TemplateFilter(SafeInput):
    """The filter; Enter takes the template under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "use")]


def _words(listed: Listed) -> str:
    """Returns what a filter looks in."""
    return f"{listed.name} {listed.description}".casefold()
