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
from llmchat_tui.screens.collection_rows import collection_row, name_width, place_of_collection
from llmchat_tui.screens.panel import Panel, is_open, live_key
from llmchat_tui.screens.path_input import PathInput
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

    def __init__(self, rows: Sequence[CollectionStatus], added: str) -> None:
        super().__init__()
        self.rows, self.added = rows, added


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
    DocumentsScreen #about { height: auto; max-height: 5; color: $text-muted; }
    DocumentsScreen.-low #about { max-height: 3; }
    DocumentsScreen #about.-amber { color: $text-warning; }
    DocumentsScreen #about.-red { color: $text-error; }
    """

    def __init__(self, shelf: Shelf, updates: Updates, in_use: Sequence[str], home: str = "") -> None:
        """Shows nothing yet.

        Args:
            shelf: the collections.
            updates: what updates them.
            in_use: those that the chat is answered from.
            home: the user's directory, for paths to be short.
        """
        super().__init__("Documents")
        self._shelf, self._updates, self._in_use, self._home = shelf, updates, tuple(in_use), home
        self._rows: Sequence[CollectionStatus] = ()
        self._doomed = ""
        self._was_running = ""

    def compose_body(self) -> ComposeResult:
        """Yields the field for a path, what is wrong, the list, and what is told of the collection under its cursor."""
        yield PathInput("add a folder or a file: its path")
        yield Static("", id="problem", classes="error", markup=False)
        yield CollectionList(compact=True, markup=False)
        yield Static("", id="about", markup=False)

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
        """Shows the collections, the cursor on the one that was added, for Enter to use it."""
        if not is_open(self):
            return
        name = message.added or (self.row.collection.name if self.row else "")
        self._rows = message.rows
        self._write(name)
        if message.added:
            self._say("")
            self.query_one(PathInput).clear()
            self.query_one(CollectionList).focus()

    def on_told(self, message: Told) -> None:
        """Shows what failed."""
        if is_open(self):
            self._say(message.problem)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Adds a folder, and begins to read it."""
        if path := event.value.strip():
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

    def can(self, action: str) -> bool:
        """Returns whether an action of the list makes sense now; its key is shown only then."""
        row = self.row
        match action:
            case "use_collection" | "update_collection" | "remove_collection":
                return row is not None
            case "update_all":
                return len(self._rows) > 1
            case "stop_update":
                return bool(self._updates.running)
            case "show_failures":
                return row is not None and row.refused > 0
            case "accept_missing":
                return row is not None and row.collection.name in self._updates.missing
            case _:
                return True

    def update(self, *, accept_missing: bool = False) -> None:
        """Updates the collection under the cursor.

        Args:
            accept_missing: forget files that are gone, also where they are half of all.
        """
        if row := self.row:
            self._say("")
            self._updates.start(row.collection.name, accept_missing=accept_missing)
            self._write()

    def update_all(self) -> None:
        """Updates all of them, one after the other."""
        self._say("")
        for row in self._rows:
            self._updates.start(row.collection.name)
        self._write()

    def forget(self) -> None:
        """Forgets the collection under the cursor, when it is said twice."""
        row = self.row
        if row is None:
            return
        name = row.collection.name
        if self._updates.is_at(name):
            self._say(f"{name} is being updated; {live_key(self, 'stop_update')} stops that first")
        elif self._doomed != name:
            self._say(
                f"{live_key(self, 'remove_collection')} once more forgets {name}: {row.chunks:,} passages. "
                "Its files stay"
            )
            self._doomed = name
        else:
            self._say("")
            self._in_thread(lambda: self._shelf.remove(name))

    def show_failures(self) -> None:
        """Opens the files that could not be read, with the reasons."""
        if row := self.row:
            self._in_thread(partial(self._open_failures, row.collection.name))

    def stop(self) -> None:
        """Stops the update; the next one goes on from there."""
        self._updates.stop()
        self._write()

    def moved(self) -> None:
        """Tells of the collection that the cursor is on now; another one is not to be removed any more."""
        row = self.row
        if self._doomed and row is not None and row.collection.name != self._doomed:
            self._say("")
        self._tell_of(row)
        self.refresh_bindings()

    def _changed(self) -> None:
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.post_message(UpdatesChanged())

    def _read(self) -> None:
        self._in_thread(lambda: None)

    def _in_thread(self, work: Callable[[], str | None]) -> None:
        """Does something to the store and reads it anew, in a thread.

        Args:
            work: returns the collection that it added, where it did.
        """

        def run() -> None:
            try:
                added = work()
                self.post_message(RowsRead(self._shelf.rows(), added or ""))
            except (RagError, UserError) as error:
                self.post_message(Told(f"{error}" + (f"   {error.hint}" if error.hint else "")))

        self.run_worker(run, thread=True, group="shelf", exit_on_error=False)

    def _add(self, path: str) -> str:
        name = self._shelf.add(path)
        self._updates.start(name)
        return name

    def _open_failures(self, name: str) -> None:
        from llmchat_tui.screens.info import InfoScreen

        text = "\n".join(f"{sanitize_line(path)}: {sanitize_line(why)}" for path, why in self._shelf.failures(name))
        self.app.call_later(self.app.push_screen, InfoScreen(f"could not be read in {name}", text))

    def _say(self, problem: str) -> None:
        """Shows a line over the list; what was to be removed is not to be any more."""
        self._doomed = ""
        widget = self.query_one("#problem", Static)
        widget.set_class(bool(problem), "-some")
        widget.update(Content(sanitize_line(problem)))

    def _write(self, name: str = "") -> None:
        """Writes all rows; where they are as many as before, the list and its cursor stay what they are.

        Args:
            name: the collection that the cursor goes to; empty leaves it where it is.
        """
        options, lines = self.query_one(CollectionList), self._lines()
        was_empty = bool(options.option_count) and options.get_option_at_index(0).disabled
        if len(lines) == options.option_count and was_empty != bool(self._rows):
            for at, shown in enumerate(lines):
                options.replace_option_prompt_at_index(at, shown)
        else:
            options.set_options([Option(shown, disabled=not self._rows) for shown in lines])
        names = [row.collection.name for row in self._rows]
        if self._rows and (name in names or options.highlighted is None):
            options.highlighted = names.index(name) if name in names else 0
        self.moved()

    def _lines(self) -> list[Content]:
        if not self._rows:
            return [Content(NOTHING)]
        width, updates = name_width(self._rows), self._updates
        return [
            collection_row(
                row,
                width,
                updates.lines.get(name, ""),
                used=self._is_used(row),
                running=updates.is_at(name),
                failed=name in updates.problems or name in updates.missing,
            )
            for row in self._rows
            if (name := row.collection.name)
        ]

    def _is_used(self, row: CollectionStatus) -> bool:
        return ALL in self._in_use or row.collection.name in self._in_use

    def _tell_of(self, row: CollectionStatus | None) -> None:
        """Tells where a collection lies, or why it could not be updated."""
        text, level = "", ""
        if row is not None:
            name = row.collection.name
            text = place_of_collection(row, self._home, used=self._is_used(row))
            if name in self._updates.missing:
                text, level = self._missing(name), "-amber"
            elif name in self._updates.problems:
                text, level = self._updates.problems[name], "-red"
        about = self.query_one("#about", Static)
        about.set_classes(level)
        about.update(Content(sanitize_line(text)))

    def _missing(self, name: str) -> str:
        return (
            f"{self._updates.missing[name]}; nothing was changed, because a disk that is not mounted looks like this. "
            f"{live_key(self, 'accept_missing')} forgets these files, {live_key(self, 'update_collection')} looks again"
        )


class CollectionList(OptionList):
    """The list; its keys are for the collection under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_of("documents")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Returns whether a key works now."""
        page = self.screen if self.is_mounted else None
        return page.can(action) if isinstance(page, DocumentsScreen) else super().check_action(action, parameters)

    def action_use_collection(self) -> None:
        """Ends the page with the collection."""
        self.action_select()

    def action_update_collection(self) -> None:
        """Updates it."""
        self._page.update()

    def action_update_all(self) -> None:
        """Updates all."""
        self._page.update_all()

    def action_accept_missing(self) -> None:
        """Updates it, and forgets what is gone."""
        self._page.update(accept_missing=True)

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
        self.screen.query_one(PathInput).focus()

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Tells of what the cursor is on now."""
        super().watch_highlighted(highlighted)
        if self.is_mounted and isinstance(self.screen, DocumentsScreen):
            self.screen.moved()

    @property
    def _page(self) -> DocumentsScreen:
        page = self.screen
        assert isinstance(page, DocumentsScreen)
        return page
