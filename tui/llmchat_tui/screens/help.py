"""The help page: every key by place, with the user's own keys, and every slash command.

Written from the tables in keymap.py and commands.py; knows nothing of what the actions do.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from llmchat_tui.commands import COMMANDS
from llmchat_tui.keymap import Place, actions_of, shown_key
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.panel import Panel

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Resize


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the page; a heading where there is nothing to press or type."""

    term: str
    text: str
    note: str = ""
    """Stands dim behind the text."""


_PLACES: tuple[tuple[Place, str], ...] = (
    ("prompt", "Prompt"),
    ("message", "A message"),
    ("drafts", "Drafts"),
    ("chats", "List of chats"),
    ("models", "List of models"),
    ("documents", "Documents"),
    ("anywhere", "Anywhere"),
)
_LONGEST_TERM = 26
_GAP = 2
_LEAST_WORDS = 8
_TWO_COLUMNS = 60
"""From this width on, a term and its words stand side by side."""


class HelpScreen(Panel[None]):
    """Shows all keys and commands in one scroll."""

    DEFAULT_CSS = """
    HelpScreen > #panel { height: 100%; }
    HelpScreen.-wide > #panel { max-width: 180; max-height: 60; }
    HelpScreen VerticalScroll { height: 1fr; }
    HelpScreen.-wide VerticalScroll { layout: horizontal; }
    HelpScreen.-wide Entries { width: 1fr; margin-right: 3; }
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__("Keys and commands")
        self._keys = keys

    def compose_body(self) -> ComposeResult:
        """Yields the keys, then the commands."""
        with VerticalScroll():
            yield Entries(list(key_entries(self._keys)))
            yield Entries(list(command_entries()))


class Entries(Static):
    """Entries in two columns, wrapped anew for every width."""

    DEFAULT_CSS = "Entries { height: auto; }"

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._entries = entries

    def on_resize(self, event: Resize) -> None:
        """Writes the entries for this width."""
        self.update(laid_out(self._entries, event.size.width))


def key_entries(keys: Mapping[str, str]) -> Iterator[Entry]:
    """Yields the keys of every place, a heading before each, with the name that config.toml has for the action.

    Args:
        keys: the user's own, by action.
    """
    for place, heading in _PLACES:
        yield Entry("", heading)
        for action in actions_of(place):
            shown = dict.fromkeys(shown_key(key) for key in keys.get(action.id, action.keys).split(",") if key)
            yield Entry(sanitize_line("  ".join(shown)), action.help, action.id)


def command_entries() -> Iterator[Entry]:
    """Yields every command with its other names, a heading before them."""
    yield Entry("", "Commands")
    for command in COMMANDS:
        others = ", ".join(f"/{alias}" for alias in command.aliases)
        text = command.help[:1].upper() + command.help[1:]
        yield Entry(f"/{command.name} {command.argument}".rstrip(), text, others)


def laid_out(entries: Sequence[Entry], width: int) -> Content:
    """Returns the entries as lines no longer than `width`, in two columns, or in one where that is narrow."""
    column = min(_LONGEST_TERM, max(len(entry.term) for entry in entries)) if width >= _TWO_COLUMNS else 0
    lines: list[Content] = []
    for entry in entries:
        term = entry.term
        if not term:
            lines += [Content(""), Content.styled(entry.text, "bold")]
            continue
        if len(term) > column:
            lines.append(Content.styled(term, "$text-accent"))
            term = ""
        for words in wrapped(entry, max(_LEAST_WORDS, width - column - _GAP)):
            lines.append(Content.assemble((term.ljust(column + _GAP), "$text-accent"), words))
            term = ""
    return Content("\n").join(lines[1:])


def wrapped(entry: Entry, width: int) -> list[Content]:
    """Returns the text of an entry with its note behind it, as lines."""
    *lines, last = textwrap.wrap(entry.text, width)
    note = (("  " if len(last) + 2 + len(entry.note) <= width else "\n") + entry.note) if entry.note else ""
    return [*map(Content, lines), *Content.assemble(last, (note, "$text-muted")).split()]
