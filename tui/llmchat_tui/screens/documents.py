"""The collections of documents: what is in them, what failed, adding a folder, updating and forgetting.

The store is read in threads, and updates go on when the page is closed. Knows no chat but by the name it ends with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from llmchat_rag.errors import RagError
from llmchat_tui.asked import ALL
from llmchat_tui.bindings import bindings_of
from llmchat_tui.errors import UserError
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel, SafeInput, is_open
from llmchat_tui.shelf import Shelf
from llmchat_tui.updates import Updates

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from llmchat_rag.store import CollectionStatus

NOTHING = "There are no documents yet. Type the path of a folder above and press Enter."


class UpdatesChanged(Message):
    """An update went on, in its thread."""


class RowsRead(Message):
    """The store was read, in a thread."""

    def __init__(self, rows: Sequence[CollectionStatus]) -> None:
        super().__init__()
        self.rows = rows


class Told(Message):
    """Something failed, in a thread."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem


class DocumentsScreen(Panel[str | None]):
    """Lists the collections; ends with the one that the chat shall be answered from, or no longer."""

    DEFAULT_CSS = """
    DocumentsScreen > #panel { max-width: 110; height: 100%; max-height: 40; }
    DocumentsScreen.-low > #panel > .heading { display: none; }
    DocumentsScreen OptionList { height: 1fr; margin-top: 1; background: transparent; text-wrap: nowrap; }
    DocumentsScreen OptionList { text-overflow: ellipsis; }
    DocumentsScreen.-low OptionList { margin-top: 0; }
    DocumentsScreen #problem { display: none; }
    DocumentsScreen #problem.-some { display: block; max-height: 3; }
    """

    def __init__(self, shelf: Shelf, updates: Updates, in_use: Sequence[str]) -> None:
        """Shows nothing yet.

        Args:
            shelf: the collections.
            updates: what updates them.
            in_use: those that the chat is answered from.
        """
        super().__init__("Documents")
        self._shelf, self._updates, self._in_use = shelf, updates, tuple(in_use)
        self._rows: Sequence[CollectionStatus] = ()
        self._doomed = ""
        self._was_running = ""

    def compose_body(self) -> ComposeResult:
        """Yields the field for a path, what is wrong, and the list."""
        yield SafeInput(placeholder="add a folder or a file: its path", compact=True)
        yield Static("", id="problem", classes="error", markup=False)
        yield CollectionList(compact=True, markup=False)

    def on_mount(self) -> None:
        """Reads the store, and follows the updates."""
        self._updates.listener = self._changed
        self.query_one(CollectionList).focus()
        self._read()

    def on_unmount(self) -> None:
        """Follows them no longer; they go on."""
        self._updates.listener = None

    def on_updates_changed(self) -> None:
        """Shows how far an update is; what it came to is read from the store."""
        if not is_open(self):
            return
        if self._was_running != self._updates.running:
            self._was_running = self._updates.running
            self._read()
        self._write()

    def on_rows_read(self, message: RowsRead) -> None:
        """Shows the collections."""
        self._rows = message.rows
        if is_open(self):
            self._write()

    def on_told(self, message: Told) -> None:
        """Shows what failed."""
        if is_open(self):
            self._say(message.problem)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Adds a folder, and begins to read it."""
        if path := event.value.strip():
            event.input.clear()
            self._in_thread(partial(self._add, path))

    def on_option_list_option_selected(self) -> None:
        """Ends with the collection under the cursor."""
        if row := self.row:
            self.dismiss(row.collection.name)

    @property
    def row(self) -> CollectionStatus | None:
        """The collection under the cursor."""
        at = self.query_one(CollectionList).highlighted
        return self._rows[at] if at is not None and at < len(self._rows) else None

    def update(self) -> None:
        """Updates the collection under the cursor."""
        if row := self.row:
            self._say("")
            self._updates.start(row.collection.name)
            self._write()

    def forget(self) -> None:
        """Forgets the collection under the cursor, when it is said twice."""
        row = self.row
        if row is None:
            return
        name = row.collection.name
        if self._doomed != name:
            self._doomed = name
            self._say(f"d once more forgets {name}: {row.chunks:,} passages. Its files stay")
        else:
            self._say("")
            self._in_thread(lambda: self._shelf.remove(name))

    def show_failures(self) -> None:
        """Opens the files that could not be read, with the reasons."""
        row = self.row
        if row is None or not row.refused:
            self._say("every file here could be read")
            return
        self._in_thread(partial(self._open_failures, row.collection.name))

    def stop(self) -> None:
        """Stops the update; the next one goes on from there."""
        self._updates.stop()

    def forgive(self) -> None:
        """Forgets that something was to be removed: the cursor has moved."""
        if self._doomed and (self.row is None or self.row.collection.name != self._doomed):
            self._say("")

    def _changed(self) -> None:
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.post_message(UpdatesChanged())

    def _read(self) -> None:
        self._in_thread(lambda: None)

    def _in_thread(self, work: Callable[[], None]) -> None:
        """Does something to the store and reads it anew, in a thread."""

        def run() -> None:
            try:
                work()
                self.post_message(RowsRead(self._shelf.rows()))
            except (RagError, UserError) as error:
                self.post_message(Told(f"{error}" + (f"   {error.hint}" if error.hint else "")))

        self.run_worker(run, thread=True, group="shelf", exit_on_error=False)

    def _add(self, path: str) -> None:
        self._updates.start(self._shelf.add(path))

    def _open_failures(self, name: str) -> None:
        from llmchat_tui.screens.info import InfoScreen

        text = "\n".join(f"{sanitize_line(path)}: {sanitize_line(why)}" for path, why in self._shelf.failures(name))
        self.app.call_later(self.app.push_screen, InfoScreen(f"could not be read in {name}", text))

    def _say(self, problem: str) -> None:
        """Shows a line over the list; nothing is about to be removed unless it says so."""
        if not problem.startswith("d once more"):
            self._doomed = ""
        widget = self.query_one("#problem", Static)
        widget.set_class(bool(problem), "-some")
        widget.update(Content(sanitize_line(problem)))

    def _write(self) -> None:
        """Writes all rows; the cursor stays on its collection."""
        options = self.query_one(CollectionList)
        at = options.highlighted or 0
        options.set_options([Option(self._line(row)) for row in self._rows] or [Option(NOTHING, disabled=True)])
        options.highlighted = min(at, len(self._rows) - 1) if self._rows else None

    def _line(self, row: CollectionStatus) -> Content:
        name = row.collection.name
        used = "●" if name in self._in_use or ALL in self._in_use else " "
        width = min(24, max(len(one.collection.name) for one in self._rows))
        count = f"{row.files:,} file{'s' * (row.files != 1)} · {row.chunks:,} passage{'s' * (row.chunks != 1)}"
        failed = f" · {row.refused:,} failed: f" if row.refused else ""
        return Content.assemble(
            (f"{used} ", "$text-accent"),
            f"{sanitize_line(name)[:width]:<{width}}  {count}",
            (failed, "$text-warning"),
            (f"   {sanitize_line(self._updates.lines.get(name) or _state(row))}", "$text-muted"),
        )


class CollectionList(OptionList):
    """The list; its keys are for the collection under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("documents")

    def action_use_collection(self) -> None:
        """Ends the page with the collection."""
        self.action_select()

    def action_update_collection(self) -> None:
        """Updates it."""
        self._page.update()

    def action_stop_update(self) -> None:
        """Stops what runs."""
        self._page.stop()

    def action_remove_collection(self) -> None:
        """Forgets it."""
        self._page.forget()

    def action_show_failures(self) -> None:
        """Shows what could not be read."""
        self._page.show_failures()

    def action_add_folder(self) -> None:
        """Goes to the field."""
        self.screen.query_one(SafeInput).focus()

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Forgets what was to be removed."""
        super().watch_highlighted(highlighted)
        if self.is_mounted and isinstance(self.screen, DocumentsScreen):
            self.screen.forgive()

    @property
    def _page(self) -> DocumentsScreen:
        page = self.screen
        assert isinstance(page, DocumentsScreen)
        return page


def _state(row: CollectionStatus) -> str:
    if row.pending:
        return f"{row.pending:,} to be read again: u"
    return "" if row.collection.updated_at else "not finished: u goes on"
