"""The page of the hub: a search by words, and before one was made what the catalogue suggests for this machine.

The hub is asked in threads (hub_work.py); opening the page asks it for the sizes of the suggestions. Pulls nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from llmchat_engine.models.hub.types import Found, HubRepo, Reference, Variant
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens import hub_work as work
from llmchat_tui.screens.hub_rows import entry_row, found_row
from llmchat_tui.screens.hub_work import Picked
from llmchat_tui.screens.model_entries import reference_in
from llmchat_tui.screens.panel import Panel, SafeInput, is_open
from llmchat_tui.stock import Stock

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.catalogue import Entry

__all__ = ["HubScreen", "Picked"]


class HubScreen(Panel[Picked | None]):
    """Ends with what is to be pulled."""

    DEFAULT_CSS = """
    HubScreen > #panel { max-width: 110; height: 100%; max-height: 40; }
    HubScreen #told { height: auto; max-height: 3; color: $text-muted; }
    HubScreen #told.-wrong { color: $text-error; }
    HubScreen OptionList { height: 1fr; margin-top: 1; background: transparent; }
    HubScreen.-low OptionList { margin-top: 0; }
    HubScreen.-low #told { max-height: 2; }
    HubScreen.-low > #panel > .heading { display: none; }
    """

    def __init__(self, stock: Stock, words: str = "", *, at_list: bool = False) -> None:
        """Asks nothing yet.

        Args:
            stock: asks the hub.
            words: to be searched for at once; empty shows the suggestions.
            at_list: whether the suggestions have the focus, and not the field.
        """
        super().__init__("Pull a model")
        self._stock, self._words, self._at_list = stock, words, at_list
        self._asking = work.Asking(self.post_message)
        self._machine: Machine | None = None
        self._entries: tuple[Entry, ...] = ()
        self._read: dict[str, tuple[HubRepo, Variant | None]] = {}
        self._hits: tuple[Found, ...] | None = None
        """What a search found; None shows the suggestions."""

    def compose_body(self) -> ComposeResult:
        """Yields the field, what is told, and the list."""
        yield HubField(self._words, placeholder=f"search {self._stock.hub_name}, or user/repo", compact=True)
        yield Static(id="told", markup=False)
        yield HubList(compact=True, markup=False)

    def on_mount(self) -> None:
        """Searches for what was asked for, or suggests."""
        if self._words:
            self._search(self._words)
        else:
            self._suggest()
        if self._at_list:
            self.query_one(HubList).focus()

    def on_unmount(self) -> None:
        """Waits for no answer any more."""
        self._asking.stop()

    def on_resize(self) -> None:
        """Writes the rows for this width."""
        self.call_after_refresh(self._write)

    def on_suggested(self, message: work.Suggested) -> None:
        """Shows the catalogue, before the hub has told any size."""
        self._entries, self._machine = message.entries, message.machine
        self._shown()

    def on_entry_read(self, message: work.EntryRead) -> None:
        """Shows how large a model of the catalogue is."""
        self._read[message.name] = message.repo, message.variant
        self._shown()

    def on_hits(self, message: work.Hits) -> None:
        """Shows what was found."""
        if is_open(self) and message.words == self._words:
            self._hits, self._machine = message.found, message.machine
            count = len(message.found)
            self._say(f"{count} found for “{message.words}”" if count else f"nothing was found for “{message.words}”")
            self._write()
            if count:
                self.query_one(HubList).focus()

    def on_refused(self, message: work.Refused) -> None:
        """Says what is wrong."""
        if is_open(self):
            self._say(message.text, wrong=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Searches, or opens the repository that was named; with nothing new typed, goes to the list."""
        text = event.value.strip()
        if reference := reference_in(text):
            self._open(reference)
        elif text and text != self._words:
            self._search(text)
        elif not text and self._words:
            self._suggest()
        else:
            self.query_one(HubList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Opens a repository that was found, or takes a suggestion."""
        if self._hits is not None:
            self._open(Reference(self._hits[event.option_index].repo))
            return
        entry = self._entries[event.option_index]
        repo, variant = self._read.get(entry.name, (None, None))
        self.dismiss(Picked(Reference(entry.repo, variant.quant if variant else entry.quant), repo, variant))

    def _search(self, words: str) -> None:
        self._words = words
        self._say(f"searching {self._stock.hub_name} for “{words}” …")
        self._asking.ask(lambda post, _is_over: work.search(self._stock, words, post))

    def _suggest(self) -> None:
        self._words, self._hits = "", None
        self._say(f"suggested for this machine; {self._stock.hub_name} is asked how large they are")
        self._asking.ask(partial(work.suggest, self._stock))
        self._write()

    def _open(self, reference: Reference) -> None:
        from llmchat_tui.screens.hub_variants import VariantsScreen

        self.app.push_screen(VariantsScreen(self._stock, reference), self._picked)

    def _picked(self, picked: Picked | None) -> None:
        if picked is not None:
            self.dismiss(picked)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        told = self.query_one("#told", Static)
        told.set_class(wrong, "-wrong")
        told.update(Content(sanitize_line(text)))

    def _shown(self) -> None:
        if is_open(self) and self._hits is None:
            self._write()

    def _write(self) -> None:
        """Writes all rows; where they are as many as before, the cursor stays."""
        options = self.query_one(HubList)
        width = options.size.width - 2
        if self._hits is not None:
            rows = [found_row(found, self._machine, width) for found in self._hits]
        else:
            read = [(entry, *self._read.get(entry.name, (None, None))) for entry in self._entries]
            rows = [entry_row(entry, repo, variant, self._machine, width) for entry, repo, variant in read]
        before = options.highlighted if len(rows) == options.option_count else None
        options.set_options(Option(row) for row in rows)
        options.highlighted = (before or 0) if rows else None


class HubField(SafeInput):
    """The field; the arrows walk the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "search"),
        Binding("down", "to_list", "list"),
    ]

    def action_to_list(self) -> None:
        """Goes to the list."""
        self.screen.query_one(HubList).focus()


class HubList(OptionList):
    """What can be taken; its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "take"),
        Binding("slash", "to_field", "search"),
    ]

    def action_to_field(self) -> None:
        """Goes to the field."""
        self.screen.query_one(HubField).focus()

    def action_cursor_up(self) -> None:
        """Goes up, from the first row to the field."""
        if self.highlighted in (None, 0):
            self.action_to_field()
        else:
            super().action_cursor_up()
