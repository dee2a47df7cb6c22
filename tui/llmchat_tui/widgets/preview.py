"""What the documents have on the words that are being typed, in two lines over the prompt, a moment after a key.

Looks in a thread, one look at a time. Knows no store: how one looks is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from llmchat_tui.sanitize import sanitize_line

WAIT_SECONDS = 0.4
"""Behind the last key."""
LINES = 2
_LEAST_CHARACTERS = 8
"""Fewer say nothing that could be searched."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is typed, and in which collections it is looked for."""

    text: str
    collections: tuple[str, ...]


Look = Callable[[Sought], Sequence[str]]


@dataclass
class PreviewFound(Message):
    """A look came to its end, in its thread."""

    sought: Sought
    lines: Sequence[str]


class DocumentPreview(Static):
    """The lines; hidden where there is nothing to say."""

    DEFAULT_CSS = """
    DocumentPreview { display: none; height: auto; max-height: 2; padding: 0 4; color: $text-muted; }
    DocumentPreview { text-wrap: nowrap; text-overflow: ellipsis; }
    DocumentPreview.-some { display: block; }
    """

    def __init__(self, look: Look) -> None:
        super().__init__("", markup=False)
        self._look = look
        self._wanted: Sought | None = None
        self._timer: Timer | None = None
        self._looking = False
        self.closed = False
        """Set where the program leaves: nothing is looked for any more."""

    def want(self, text: str, collections: Sequence[str]) -> None:
        """Looks a moment later, if nothing else was typed by then; shows nothing where the chat asks no documents."""
        if self._timer is not None:
            self._timer.stop()
        text = text.strip()
        is_searched = bool(collections) and len(text) >= _LEAST_CHARACTERS and not text.startswith("/")
        self._wanted = Sought(text, tuple(collections)) if is_searched else None
        if self._wanted is None:
            self._show(())
        else:
            self._timer = self.set_timer(WAIT_SECONDS, self._begin)

    def on_preview_found(self, message: PreviewFound) -> None:
        """Shows what was found, if that is still what is typed."""
        message.stop()
        self._looking = False
        if message.sought == self._wanted:
            self._show(message.lines)
        elif self._wanted is not None and self._timer is None:
            self._begin()

    def _begin(self) -> None:
        self._timer = None
        if self._wanted is not None and not self._looking and not self.closed:
            self._looking = True
            look = partial(self._seek, self._wanted)
            self.run_worker(look, thread=True, group="preview", exit_on_error=False)

    def _seek(self, sought: Sought) -> None:
        """Looks; in a thread."""
        lines: Sequence[str] = ()
        try:
            lines = self._look(sought)
        finally:
            with suppress(RuntimeError):  # the loop has gone: the program is leaving
                self.post_message(PreviewFound(sought, lines))

    def _show(self, lines: Sequence[str]) -> None:
        self.set_class(bool(lines), "-some")
        self.update(Content("\n".join(map(sanitize_line, lines[:LINES]))))
