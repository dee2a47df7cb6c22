"""JSON that is cut off in the middle: closed so that it parses, and laid out in lines. Pure functions, linear time.

Knows no screen and no schema. What is written stays as it is, to the digit: only what is missing is added and what is
unfinished is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(r"""\s*+(?:("(?:[^"\\]++|\\.)*+\\?)("?)|([{}\[\],:])|([^\s{}\[\],:"]++))""", re.DOTALL)
"""A string and its end, where it has one; a mark; a number or a word. Possessive, so that no character is tried twice.
"""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNFINISHED_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?)?")
_WORDS = ("true", "false", "null")
_UNFINISHED_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
"""Half a character: the other half is an escape of its own."""
_LONGEST_ESCAPE = 12
"""Characters of two such halves."""
_CLOSERS = {"{": "}", "[": "]"}
_OPENS = re.compile(r"\s*(?:\{\s*(?:\"|\}|$)|\[\s*[\[{\"])")
"""How an object or a list begins that is no Markdown: a link begins as a list of a word would."""
_INDENT = "  "
_FENCE = re.compile(r"`{3,}")


def completed(text: str) -> str | None:
    """Returns a cut-off JSON text with all closed that is open, so that it parses.

    An unfinished key, and one without a value, is left out; strings and numbers are taken as far as they are there,
    words are ended.

    Args:
        text: the beginning of a JSON text, or a whole one.

    Returns:
        The text; None where no value has begun, or where it is no JSON.
    """
    closed = _closed(text)
    if closed is None:
        return None
    try:
        json.loads(closed)
    except (ValueError, RecursionError):  # too long a number; too many levels
        return None
    return closed


def pretty(text: str) -> str | None:
    """Returns a JSON text, cut off or whole, in indented lines; None where it is none."""
    closed = completed(text)
    return None if closed is None else "".join(_laid_out(closed))


def as_markdown(text: str, *, held: bool = False) -> str | None:
    """Returns a reply that is JSON as a code block; None where it is none.

    Args:
        text: the reply, or what has come of it.
        held: whether it follows a schema: then any JSON counts, else only what begins as an object or a list does.
    """
    shown = pretty(text) if held or _OPENS.match(text) else None
    if shown is None:
        return None
    longest = max((len(found) for found in _FENCE.findall(shown)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}json\n{shown}\n{fence}"


@dataclass(slots=True)
class _Reader:
    """What is open at a place of a text, and up to where it can be kept."""

    stack: list[str] = field(default_factory=list)
    cut: int = 0
    suffix: str = ""
    is_key: bool = False
    """Whether a key comes next."""
    is_wrong: bool = False

    def mark(self, mark: str, end: int) -> None:
        """Takes one of `{}[],:`."""
        if mark in _CLOSERS:
            self.is_wrong = self.is_key
            self.stack.append(mark)
            self.is_key, self.cut = mark == "{", end
        elif mark in "}]":
            self.is_wrong = not self.stack or _CLOSERS[self.stack.pop()] != mark
            self.is_key, self.cut = False, end
        elif mark == ",":
            self.is_key = self.stack[-1:] == ["{"]
        else:
            self.is_key = False

    def value(self, end: int, suffix: str = "") -> None:
        """Takes a string, a number or a word: a key does not count until it has a value."""
        if not self.is_key:
            self.cut, self.suffix = end, suffix


def _closed(text: str) -> str | None:
    """Returns a text up to its last whole value, all closed; whether that is JSON is not known yet."""
    reader = _Reader()
    at, end = 0, len(text.rstrip())
    while at < end and not reader.is_wrong:
        if (at and reader.cut and not reader.stack) or (found := _TOKEN.match(text, at)) is None:
            return None  # something stands behind the end
        at = found.end()
        string, quote, mark, word = found.groups()
        if mark:
            reader.mark(mark, at)
        elif word is not None:
            _take_word(reader, word, at, is_last=at == len(text))
        elif quote:
            reader.value(at)
        else:
            reader.value(at - len(string) + len(_without_half(string)), '"')
    if reader.is_wrong or not reader.cut:
        return None
    return text[: reader.cut] + reader.suffix + "".join(_CLOSERS[mark] for mark in reversed(reader.stack))


def _take_word(reader: _Reader, word: str, end: int, *, is_last: bool) -> None:
    """Takes a number or a word; the last one may go on."""
    if reader.is_key or not is_last:
        reader.is_wrong = reader.is_key
        reader.value(end)
    elif whole := next((one for one in _WORDS if one.startswith(word)), ""):
        reader.value(end, whole[len(word) :])
    elif number := _NUMBER.match(word):
        reader.is_wrong = _UNFINISHED_NUMBER.fullmatch(word) is None
        reader.value(end - len(word) + number.end())
    else:
        reader.is_wrong = _UNFINISHED_NUMBER.fullmatch(word) is None


def _without_half(string: str) -> str:
    """Returns the beginning of a string without half an escape and half a character at its end."""
    tail = string[-_LONGEST_ESCAPE:]
    if (half := _UNFINISHED_ESCAPE.search(tail)) and _is_escape(string, len(string) - len(half[0])):
        string = string[: len(string) - len(half[0])]
    if (half := _HIGH_SURROGATE.search(string[-_LONGEST_ESCAPE:])) and _is_escape(string, len(string) - len(half[0])):
        string = string[: len(string) - len(half[0])]
    return string


def _is_escape(string: str, at: int) -> bool:
    """Returns whether the backslash at a place begins an escape, and does not end one."""
    before = string[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def _laid_out(text: str) -> Iterator[str]:
    """Yields the parts of a JSON text that parses, with line breaks and indentation between them."""
    depth, before = 0, ""
    for found in _TOKEN.finditer(text):
        part = found[0].strip() if found[1] is None else found[1] + found[2]
        depth -= part in ("}", "]")
        is_first, is_close = before in ("{", "["), part in ("}", "]")
        if before == "," or is_first != is_close:  # an empty one stays on its line
            yield f"\n{_INDENT * depth}"
        yield f"{part} " if part == ":" else part
        depth += part in ("{", "[")
        before = part
