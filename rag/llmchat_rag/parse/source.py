"""Program text to its definitions: functions, classes and their methods, found by their first line and indentation.

No grammar of any language: what is not recognised is still cut between blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmchat_rag.blocks import Lines, one_line, word_set
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Block, Parsed

NAME, VERSION = "code", 1

_LONGEST_LINE = 300
"""What is longer defines nothing, and the search for a C function would take its square."""
_WORDS = (
    "export default declare public private protected internal static final abstract async pub unsafe extern virtual "
    "override open sealed data inline const partial suspend case"
)
_NAMED = re.compile(
    rf"(?:(?:{'|'.join(_WORDS.split())})(?:\([a-z]{{1,10}}\))?\s+)*"
    r"(class|interface|struct|enum|union|trait|impl|namespace|module|mod|object|record|protocol|extension|type|package"
    r"|func|fn|fun|function|def|defn|defmodule|defp|sub|proc|macro|macro_rules!)\b\*?\s*(?:\([^)]{0,80}\)\s*)?"
    r"([^{(:;=]{1,80})"
)
_ARROW = re.compile(
    r"(?:export\s+)?(?:default\s+)?(?:const|let|var)\s+([\w$]{1,80})[^=]{0,80}="
    r"\s*(?:async\b\s*)?(?:\(|function\b|[\w$]{1,80}\s*=>)"
)
_CALLABLE = re.compile(r"(?:[\w<>\[\],:&*~.?]{1,80}\s{1,4}){0,8}[&*]*([\w:~]{1,80})\s?\([^;]*")
_STATEMENTS = word_set(
    "if for while switch return else catch when match do try elif with foreach using lock assert throw new delete "
    "print await yield sizeof typeof defined include import from raise echo"
)
_CONTAINERS = word_set(
    "class interface struct trait impl namespace module mod object record protocol extension defmodule enum"
)
_LEADING = ("#", "//", "/*", "*", "@", "--", "[", ";;", "template")
_DEEPEST = 8
"""Columns that a method may be indented."""


@dataclass(frozen=True, slots=True)
class _Definition:
    line: int
    name: str
    indent: int
    contains: bool


def parse(name: str, data: bytes) -> Parsed:
    """Returns the definitions of a program text, and what stands between them."""
    text = text_of(data)
    return Parsed(text, tuple(blocks_of(text)), one_line(name.rpartition("/")[2]), NAME, VERSION)


def blocks_of(text: str) -> Iterator[Block]:
    """Yields the blocks of a normalised program text; a method's name is that of its class and its own."""
    lines = Lines(text)
    starts = [(0, "", 0), *_starts(lines)]
    for position, (first, name, level) in enumerate(starts):
        stop = starts[position + 1][0] if position + 1 < len(starts) else len(lines)
        while stop > first and lines.is_blank(stop - 1):
            stop -= 1
        while first < stop and lines.is_blank(first):
            first += 1
        if first < stop:
            yield lines.block("code", first, stop, level=level, name=name)


def _starts(lines: Lines) -> Iterator[tuple[int, str, int]]:
    """Yields where the block of a definition starts, its name, and 1 or 2 for outside or inside of a class."""
    outer: _Definition | None = None
    depth = 0
    lowest = 0
    for index in range(len(lines)):
        found = _definition(lines, index)
        if found is None:
            continue
        if found.indent == 0:
            outer, depth = found, 0
        elif outer is None or not outer.contains or found.indent > (depth or _DEEPEST):
            continue
        else:
            depth = found.indent
        first = _with_leading(lines, index, lowest)
        lowest = index + 1
        inside = found.indent > 0 and outer is not None
        yield first, f"{outer.name}.{found.name}" if inside and outer else found.name, 1 + inside


def _definition(lines: Lines, index: int) -> _Definition | None:
    line = lines[index]
    if len(line) > _LONGEST_LINE:
        return None
    code = line.lstrip()
    indent = len(line[: len(line) - len(code)].expandtabs(4))
    if not code or not (code[0].isalpha() or code[0] in "_~") or indent > _DEEPEST:
        return None
    if found := _NAMED.match(code):
        return _Definition(index, one_line(found[2]).strip(" ,"), indent, found[1] in _CONTAINERS)
    if found := _ARROW.match(code):
        return _Definition(index, found[1], indent, contains=False)
    found = _CALLABLE.fullmatch(code.rstrip())
    if found and _may_be_function(code, found[1], indent):
        return _Definition(index, found[1], indent, contains=False)
    return None


def _may_be_function(code: str, name: str, indent: int) -> bool:
    """C, Java, C# and shell functions: told from calls by what stands in front of them, or by the brace."""
    first = re.split(r"\W", code, maxsplit=1)[0]
    if first in _STATEMENTS or name in _STATEMENTS:
        return False
    end = code.rstrip()
    return end.endswith("{") or (indent == 0 and not code.startswith(name) and end.endswith((")", ",", "(")))


def _with_leading(lines: Lines, index: int, lowest: int) -> int:
    """Returns the first of the comments and decorators that stand directly above a definition."""
    first = index
    while first > lowest and lines[first - 1].lstrip().startswith(_LEADING):
        first -= 1
    return first
