"""Files that a message names: `@path`, `@"a path"`, or a path at its very beginning, put in front of the question.

Reads as inputs.py reads: bounded, checked to be text. Knows no screen, no model and no chat.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from llmchat_tui.errors import UsageError
from llmchat_tui.inputs import Limits, Reader, header
from llmchat_tui.places import whole_path

MENTION = re.compile(r"""(?<![^\s(\[{"'])@(?:"((?:[^"\\]|\\.)+)"|([^\s"]+))""", re.DOTALL)
"""An `@` word; behind a letter it is part of an e-mail address and none."""
_LEADING = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)+)"|'([^']+)'|((?:\\.|[^\s\\])+))(?=\s|$)""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PATH_STARTS = ("/", "~/", "./", "../")
_CLOSING = ".,;:!?)]}>'\"*_`…"
"""What may follow a path in a sentence without being part of it."""
_MOST_MENTIONS = 1000
"""Looked up in one message: each costs a look at the disk, 5 µs, and a pasted log may hold thousands."""
_LONGEST_PASTE = 8192


@dataclass(frozen=True, slots=True)
class Expanded:
    """A message with its files."""

    question: str
    """Files first, then the text as it was typed."""
    files: tuple[str, ...]
    """Their names as they were typed, each file once."""
    warnings: tuple[str, ...]
    """What was replaced in them."""


def expand(text: str, limits: Limits, cwd: Path | None) -> Expanded:
    """Returns a message with the files that it names in front of it.

    Args:
        text: what the user wrote; its path words stay in it.
        limits: how much is read, all files together.
        cwd: the directory that relative paths start from; None where it was removed.

    Raises:
        InputError: a file is too large or not text.
        UsageError: a path names a directory, or a file that cannot be read, or is relative to no directory.
    """
    warnings: list[str] = []
    reader = Reader(limits, warnings.append)
    files: dict[str, str] = {}
    for path, name in _named(text, cwd):
        files.setdefault(path, name)
    # An earlier question that is asked again holds its files already, as they were then.
    new = {path: name for path, name in files.items() if header(name) not in text}
    documents = [reader.read(name, Path(path)) for path, name in new.items()]
    return Expanded("\n\n".join((*documents, text)), tuple(files.values()), tuple(warnings))


def mention(name: str) -> str:
    """Returns the word that attaches a file, in quotes where the name needs them."""
    if re.fullmatch(r"[^\s\"]+", name):
        return f"@{name}"
    return f'@"{quoted(name)}"'


def quoted(name: str) -> str:
    """Returns a name as it stands between double quotes."""
    return re.sub(r'([\\"])', r"\\\1", name)


def unquoted(name: str) -> str:
    """Returns a name without the backslashes that it has between quotes, or as shells write it."""
    return _ESCAPED.sub(r"\1", name)


def pasted_files(text: str) -> tuple[str, ...]:
    """Returns the files whose paths a paste consists of, as terminals paste what is dropped on them.

    Args:
        text: one or more absolute paths: bare, quoted, with backslashes or as file:// addresses.
    """
    stripped = text.strip()
    if not stripped or "\n" in stripped or len(stripped) > _LONGEST_PASTE:
        return ()
    if whole := _existing(stripped):
        return (whole,)
    try:
        found = [_existing(word) for word in shlex.split(stripped)]
    except ValueError:  # a quote without its end: no list of paths
        return ()
    return tuple(found) if all(found) else ()


def _named(text: str, cwd: Path | None) -> Iterator[tuple[str, str]]:
    """Yields (real path, name) of every file that a message names."""
    if (name := _leading(text)) and os.path.isfile(path := _resolve(name, cwd)):
        yield os.path.realpath(path), name
    for match in islice(MENTION.finditer(text), _MOST_MENTIONS):
        for name in _readings(match):
            if cwd is None and match.group(2) and not set(name) & set("./~"):
                break  # a word such as @someone, which is no path where there is no directory to look in
            path = _resolve(name, cwd)
            if os.path.isdir(path):
                raise UsageError(f"{name} is a directory", "files are attached one by one", f"@{name.rstrip('/')}/FILE")
            if os.path.lexists(path):
                yield os.path.realpath(path), name
                break


def _leading(text: str) -> str:
    """Returns the path that a message begins with, or nothing."""
    if (match := _LEADING.match(text)) is None:
        return ""
    double, single, bare = match.groups()
    name = single or unquoted(double or bare)
    return name if name.startswith(_PATH_STARTS) else ""


def _readings(match: re.Match[str]) -> Iterator[str]:
    """Yields what an `@` word may mean: all of it, then without the punctuation behind it."""
    in_quotes, bare = match.groups()
    if in_quotes is not None:
        yield unquoted(in_quotes)
        return
    while bare.strip("./~"):
        yield bare
        if bare[-1] not in _CLOSING:
            return
        bare = bare[:-1]


def _existing(word: str) -> str:
    """Returns the absolute path that a pasted word is, where it is one of a file; else nothing."""
    if word.startswith(("file:///", "file://localhost/")):
        from urllib.parse import unquote

        word = unquote(word.removeprefix("file://").removeprefix("localhost"))
    for name in (word, unquoted(word)):
        if name.startswith(("/", "~/")) and os.path.isfile(os.path.expanduser(name)):
            return name
    return ""


def _resolve(name: str, cwd: Path | None) -> Path:
    return cwd / os.path.expanduser(name) if cwd else whole_path(name)
