"""What can be completed where the cursor stands: a command, a collection, a file behind an `@`. Text in, choices out.

Knows no screen and reads no disk; which files there are is found in file_matches.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmchat_tui.attachments import mention, quoted, unquoted
from llmchat_tui.commands import Command, matching
from llmchat_tui.documents_words import as_typed, typed_names
from llmchat_tui.sanitize import sanitize_line

_MENTION = re.compile(r"""(?<![^\s(\[{"'])@(?:"((?:[^"\\]|\\.)*)|([^\s"]*))$""")
_COMMAND = re.compile(r"/(\S*)$")
_DOCS = re.compile(r"/docs\s+(?P<before>(?:(?:\"[^\"]*\"|[^\s\"]+)\s+)*)(?P<word>\"[^\"]*|[^\s\"]*)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word that is being typed."""

    kind: str
    """`command`, `collection` or `file`."""
    word: str
    """What was typed of it, without its sign."""
    start: int
    """The column of its sign."""
    before: str = ""
    """The collections that stand before it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that the word can become."""

    text: str
    """What takes the word's place, exact."""
    name: str
    """As it is shown."""
    note: str = ""
    """What is shown behind the name, dim."""
    sends: bool = False
    """Whether the text says all, so that Enter sends it."""
    goes_on: bool = False
    """Whether more of the word follows: a directory."""


def wanted_at(line: str, column: int, *, only_line: bool) -> Wanted | None:
    """Returns the word at the cursor that can be completed.

    Args:
        line: the line that the cursor stands in.
        column: where in it.
        only_line: whether the text has no other; a command has none.
    """
    before, after = line[:column], line[column:]
    if only_line and not after and (match := _COMMAND.match(before)):
        return Wanted("command", match[1], 0)
    if only_line and not after and (match := _DOCS.match(before)):
        return Wanted("collection", match["word"].removeprefix('"'), match.start("word"), match["before"])
    match = _MENTION.search(before)
    if match is None or (after and not after[0].isspace() and after[0] != '"'):
        return None
    in_quotes, bare = match.groups()
    return Wanted("file", bare if in_quotes is None else unquoted(in_quotes), match.start())


def command_choices(word: str) -> list[Choice]:
    """Returns the commands that begin with a word: one that is typed in full, then names, then other names."""
    typed = word.lower()
    commands = sorted(
        matching(word), key=lambda command: (typed not in _names(command), not command.name.startswith(typed))
    )
    return [_command_choice(command) for command in commands]


def collection_choices(names: Iterable[str], wanted: Wanted) -> list[Choice]:
    """Returns what can follow /docs: the collections that begin with a word, without those that are named already."""
    named, word = typed_names(wanted.before), wanted.word.lower()
    choices = [Choice(as_typed(name), name) for name in names if name not in named and name.lower().startswith(word)]
    if named:
        return choices
    others = (Choice("all", "all", "every collection"), Choice("off", "off", "no documents"))
    return [*choices, *(choice for choice in others if choice.text.startswith(word))]


def is_whole_command(word: str) -> bool:
    """Returns whether a word is a command that needs nothing more."""
    return any(word.lower() in _names(command) and not command.needs_argument for command in matching(word))


def file_choices(paths: Iterable[str]) -> list[Choice]:
    """Returns paths as choices; directories end with a slash."""
    return [_file_choice(path) for path in paths]


def _names(command: Command) -> tuple[str, ...]:
    return (command.name, *command.aliases)


def _command_choice(command: Command) -> Choice:
    name = f"/{command.name} {command.argument}".rstrip()
    return Choice(f"/{command.name}", name, command.help, sends=not command.needs_argument)


def _file_choice(path: str) -> Choice:
    if not path.endswith("/"):
        return Choice(mention(path), sanitize_line(path))
    # The quotes stay open: the rest of the path is still to come.
    text = f"@{path}" if mention(path) == f"@{path}" else f'@"{quoted(path)}'
    return Choice(text, sanitize_line(path), goes_on=True)
