"""Where the user writes, as one part: what is queued, the list of completions, and the prompt with its mark.

Joins prompt and completions; what can be completed is worked out in completing.py and file_matches.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static, TextArea
from textual.worker import get_current_worker

from llmchat_tui.completing import (
    Choice,
    Wanted,
    collection_choices,
    command_choices,
    file_choices,
    is_whole_command,
    wanted_at,
)
from llmchat_tui.file_matches import FileWalk, best, entries_of, here, is_path
from llmchat_tui.messages import DraftChanged
from llmchat_tui.recall import Prompts
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.widgets.completion import Completions
from llmchat_tui.widgets.prompt import Prompt

_WALK_AGAIN_SECONDS = 10.0
"""For how long the files that were found are taken for those that there are."""


@dataclass
class FilesFound(Message):
    """A search in a thread found files for a word."""

    word: str
    paths: list[str]


@dataclass
class CollectionsFound(Message):
    """The collections of documents were read, in a thread."""

    names: Sequence[str]


class Composer(Vertical):
    """The place to write, and what stands around it."""

    DEFAULT_CSS = """
    Composer {
        height: auto; padding: 0 2;
        & > #queued { display: none; height: 1; color: $text-muted; }
        & > #queued.-some { display: block; }
        & > #queued > #queued-text { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #queued > #queued-key { width: auto; padding: 0 0 0 3; }
        & > #line { height: auto; }
        & > #line > #mark { width: 2; height: 1; color: $text-accent; }
    }
    """

    def __init__(
        self,
        prompts: Prompts = tuple,
        collections: Callable[[], Sequence[str]] = tuple,
        id: str | None = None,  # noqa: A002 - the toolkit's name
    ) -> None:
        """Makes an empty place to write.

        Args:
            prompts: returns what was written before.
            collections: returns the names of the collections of documents; called in a thread.
            id: of the widget.
        """
        super().__init__(id=id)
        self._collections = collections
        self._names: Sequence[str] | None = None
        """The collections, while one is being named; None until they are asked for."""
        self.prompt = Prompt(prompts, id="prompt")
        self.prompt.take_key = self._take_key
        self.completions = Completions()
        self._closed_at: Wanted | None = None
        """The word for which the user closed the list."""
        self._walk: FileWalk | None = None
        self._walk_began = 0.0
        self._found: FilesFound | None = None
        """What is known of the files for the word at the cursor."""

    def compose(self) -> ComposeResult:
        """Makes the parts."""
        with Horizontal(id="queued"):
            yield Static("", id="queued-text", markup=False)
            yield Static("Esc takes it back", id="queued-key", markup=False)
        yield self.completions
        with Horizontal(id="line"):
            yield Static("❯", id="mark", markup=False)
            yield self.prompt

    def show_queued(self, text: str) -> None:
        """Shows the message that waits for the reply to end, or none where the text is empty."""
        self.query_one("#queued").set_class(bool(text), "-some")
        self.query_one("#queued-text", Static).update(Content(f"queued: {sanitize_line(text)}"))

    # --- the word at the cursor

    def on_draft_changed(self, _message: DraftChanged) -> None:
        """Offers what fits; the message goes on to the screen."""
        self._look()

    def on_text_area_selection_changed(self, message: TextArea.SelectionChanged) -> None:
        """Offers what fits where the cursor is now."""
        message.stop()
        self._look()

    def _wanted(self) -> Wanted | None:
        prompt = self.prompt
        if not prompt.selection.is_empty:
            return None
        row, column = prompt.cursor_location
        line = prompt.document.get_line(row)
        return wanted_at(line, column, only_line=prompt.document.line_count == 1)

    def _look(self) -> None:
        """Shows the choices for the word at the cursor, at once those that are known."""
        wanted = self._wanted()
        closed = self._closed_at
        if closed and (wanted is None or (wanted.kind, wanted.start) != (closed.kind, closed.start)):
            self._closed_at = closed = None
        if wanted is None or wanted.kind != "collection":
            self._names = None
        if wanted is None or closed:
            self._found = None
            self.completions.show(())
        elif wanted.kind == "collection":
            self._look_for_collections(wanted)
        elif wanted.kind == "command":
            self.completions.show(command_choices(wanted.word))
        else:
            self._look_for_files(wanted.word)

    # --- collections of documents

    def _look_for_collections(self, wanted: Wanted) -> None:
        """Shows the collections that are known to fit, and has them read when the first one is begun."""
        if self._names is None:
            self._names = ()
            self.run_worker(self._read_collections, thread=True, exclusive=True, group="names", exit_on_error=False)
        self.completions.show(collection_choices(self._names, wanted))

    def _read_collections(self) -> None:
        """Reads the names; in a thread."""
        names = self._collections()
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.post_message(CollectionsFound(names))

    def on_collections_found(self, message: CollectionsFound) -> None:
        """Shows them, if one is still being named."""
        message.stop()
        if self._names is not None:
            self._names = message.names
            self._look()

    # --- files

    def _look_for_files(self, word: str) -> None:
        """Shows the files that are known to fit, and has others looked for."""
        if self._found is None or self._found.word != word:
            known = [] if self._found is None or is_path(word) else best(self._found.paths, word)
            self._found = FilesFound(word, known)
            look = partial(self._list, word) if is_path(word) else partial(self._search, self._fresh_walk(), word)
            self.run_worker(look, thread=True, exclusive=True, group="files", exit_on_error=False)
        self.completions.show(file_choices(self._found.paths))

    def _fresh_walk(self) -> FileWalk:
        now = time.monotonic()
        if self._walk is None or now - self._walk_began > _WALK_AGAIN_SECONDS:
            self._walk, self._walk_began = FileWalk(here()), now
        return self._walk

    def _list(self, word: str) -> None:
        """Lists one directory; in a thread."""
        self._tell(word, entries_of(word, here()))

    def _search(self, walk: FileWalk, word: str) -> None:
        """Walks and tells what it found after each slice; in a thread."""
        worker = get_current_worker()
        while not worker.is_cancelled:
            walk.go_on()
            self._tell(word, best(walk.paths, word))
            if walk.done:
                return

    def _tell(self, word: str, paths: list[str]) -> None:
        with suppress(RuntimeError):  # the loop has gone: the program is leaving
            self.post_message(FilesFound(word, paths))

    def on_files_found(self, message: FilesFound) -> None:
        """Shows what was found, if the word is still wanted."""
        message.stop()
        if self._found is not None and message.word == self._found.word:
            self._found = message
            self._look()

    # --- keys, and what is chosen

    def _take_key(self, key: str) -> bool:
        """Takes the keys of the list while it is open; returns whether it did."""
        if key not in ("up", "down", "tab", "shift+tab", "enter", "escape"):
            return False
        self._look()
        choice = self.completions.choice
        if choice is None:
            return False
        if key == "enter":
            return self._enter(choice)
        if key == "tab":
            self._accept(choice, apart=not choice.goes_on)
        elif key == "escape":
            self._closed_at = self._wanted()
            self._look()
        else:
            self.completions.move(1 if key == "down" else -1)
        return True

    def _enter(self, choice: Choice) -> bool:
        """Completes the word, and sends it where it says all; returns False where there is nothing to complete."""
        wanted = self._wanted()
        if wanted is None or self._is_complete(wanted, choice):
            return False
        self._accept(choice, apart=not (choice.goes_on or choice.sends))
        if choice.sends:
            self.prompt.action_send()
        return True

    def _is_complete(self, wanted: Wanted, choice: Choice) -> bool:
        """Returns whether what is typed is meant as it stands."""
        if wanted.kind == "collection" and not wanted.word:
            return not self.completions.moved
        if wanted.kind == "command":
            return not self.completions.moved and is_whole_command(wanted.word)
        return choice.text == self._typed(wanted)

    def _typed(self, wanted: Wanted) -> str:
        row, column = self.prompt.cursor_location
        return self.prompt.document.get_line(row)[wanted.start : column]

    def _accept(self, choice: Choice, *, apart: bool) -> None:
        """Puts a choice in the word's place, with a space behind it for what is to follow."""
        wanted = self._wanted()
        if wanted is None:
            return
        prompt = self.prompt
        row, column = prompt.cursor_location
        after = prompt.document.get_line(row)[column:]
        if wanted.kind == "file" and after.startswith('"'):
            column, after = column + 1, after[1:]
        text = prompt.as_shown(choice.text)
        if apart:
            text, column = f"{text} ", column + after.startswith(" ")
        prompt.replace(text, (row, wanted.start), (row, column), maintain_selection_offset=False)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Takes what was clicked on."""
        message.stop()
        if choice := self.completions.choice:
            self._accept(choice, apart=not choice.goes_on)
            self.prompt.focus()
