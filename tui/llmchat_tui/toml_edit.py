"""Finds and replaces one key in the text of a TOML file, and leaves every other byte as it is.

Knows no file and none of our keys. The text handed in must be valid TOML; what comes out is for the caller to check.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

_PART = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'|#[^\n]*+|[\[{\]}\n]",
    re.DOTALL,
)
"""What decides where a statement ends: texts and comments, in which nothing counts, brackets, line ends."""
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line with its end; str.splitlines knows ends that TOML does not."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Place = tuple[str, ...]
"""The names on the way to a key or a table, the outermost first; each may hold dots and blanks."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One `key = value` of a TOML text, or one table header (no keys)."""

    table: Place
    """The table it stands in, empty at the top; a header stands in the table that it opens."""
    keys: tuple[Place, ...]
    """The places of the values it sets; several for an inline table."""
    first: int
    end: int
    """Its lines, counted from 0; `end` is the one behind it."""


class NotEditableError(Exception):
    """The key shares its statement with others, as in an inline table."""


def statements(text: str) -> Iterator[Statement]:
    """Yields the statements of a valid TOML text in order."""
    table: Place = ()
    line = at = 0
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        start = text[at:stop].strip()
        if start.startswith("["):
            table = _innermost(tomllib.loads(start))
            yield Statement(table, (), line, line + 1)
        elif start and not start.startswith("#"):
            stop = _end(text, at)
            end = line + text.count("\n", at, stop) + 1
            # The line end is cut off, and a carriage return is none by itself.
            keys = flatten(tomllib.loads(text[at:stop] + "\n"))
            yield Statement(table, tuple((*table, *key) for key in keys), line, end)
            line = end - 1
        line, at = line + 1, stop + 1


def key_lines(text: str) -> dict[Place, int]:
    """Returns the line (from 1) on which each key or table of a valid TOML text is set."""
    return {key: found.first + 1 for found in statements(text) for key in found.keys or (found.table,)}


def with_value(text: str, place: Place, value: object) -> str:
    """Returns `text` with one key set, its comments and everything else kept.

    Args:
        text: valid TOML.
        place: its tables, and its name.
        value: a string, number, truth value or sequence of these.

    Raises:
        NotEditableError: where the key is set inside an inline table.
    """
    lines, found = _LINE.findall(text), list(statements(text))
    for statement in found:
        if place in statement.keys:
            lines[statement.first : statement.end] = [_replaced(lines, statement, value)]
            return "".join(lines)
    newline = "\r\n" if "\r\n" in text else "\n"
    position, before, after = _room(lines, found, place[:-1])
    if position and not lines[position - 1].endswith("\n"):
        lines[position - 1] += newline
    new = [*before, f"{dotted(place[-1:])} = {toml_value(value)}", *after]
    lines[position:position] = [line + newline for line in new]
    return "".join(lines)


def without_key(text: str, place: Place) -> str:
    """Returns `text` without one key, its comments and everything else kept; the same text where it is not there."""
    lines = _LINE.findall(text)
    for statement in statements(text):
        if place in statement.keys:
            del lines[statement.first : statement.end]
            break
    return "".join(lines)


def dotted(place: Place) -> str:
    """Returns a place as TOML writes it: names with dots between, in quotes where they are more than bare words."""
    return ".".join(name if _BARE.fullmatch(name) else toml_value(name) for name in place)


def toml_value(value: object) -> str:
    """Returns a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def flatten(values: dict[str, Any], above: Place = ()) -> dict[Place, Any]:
    """Returns nested tables as one mapping from places to values."""
    flat: dict[Place, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, (*above, key))
        else:
            flat[*above, key] = value
    return flat


def _innermost(header: dict[str, Any]) -> Place:
    """Returns the table that a header opens."""
    names: list[str] = []
    inner: Any = header
    while inner:
        name, inner = next(iter(inner.items()))
        names.append(name)
        inner = inner[0] if isinstance(inner, list) else inner
    return tuple(names)


def _end(text: str, at: int) -> int:
    """Returns where the line ends on which the statement does that begins at `at`."""
    depth = 0
    for found in _PART.finditer(text, at):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if found[0] == "\n" and not depth:
            return found.start()
    return len(text)


def _replaced(lines: list[str], statement: Statement, value: object) -> str:
    """Returns the statement's text with another value; the key as it was written and the comment behind it stay."""
    written = "".join(lines[statement.first : statement.end])
    old = written.removesuffix("\n")
    key = _written_key(old)
    # In an inline table the key that is wanted stands behind the first equals sign.
    if list(flatten(tomllib.loads(f"{key} = 0"))) != list(flatten(tomllib.loads(old + "\n"))):
        raise NotEditableError
    return f"{key.rstrip()} = {toml_value(value)}{_tail(old)}{written[len(old) :]}"


def _written_key(statement: str) -> str:
    """Returns the key of a statement as it is written; the name in quotes may hold an equals sign."""
    at = statement.index("=")
    while True:
        try:
            tomllib.loads(f"{statement[:at]} = 0")
        except tomllib.TOMLDecodeError:
            at = statement.index("=", at + 1)
        else:
            return statement[:at]


def _tail(statement: str) -> str:
    """Returns what stands behind a statement's value: blanks, a comment, a carriage return."""
    meaning = tomllib.loads(statement + "\n")
    for position, character in enumerate(statement):
        if character == "#" and _means(statement[:position], meaning):
            return statement[len(statement[:position].rstrip()) :]
    return "\r" if statement.endswith("\r") else ""


def _means(text: str, meaning: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == meaning
    except tomllib.TOMLDecodeError:
        return False


def _room(lines: list[str], found: list[Statement], table: Place) -> tuple[int, list[str], list[str]]:
    """Returns the line at which a new key of `table` goes, and the lines to put before and after it."""
    inside = [statement for statement in found if statement.table == table]
    if inside:
        return inside[-1].end, [], []
    if table:
        blank = [""] if lines and lines[-1].strip() else []
        return len(lines), [*blank, f"[{dotted(table)}]"], []
    if not found:
        return len(lines), [], []
    position = found[0].first
    while position > 0 and lines[position - 1].lstrip().startswith("#"):
        position -= 1
    return position, [], [""]
