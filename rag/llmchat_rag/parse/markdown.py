"""Markdown to headings, lists, tables, fences, quotes and paragraphs, by its lines.

Not a renderer: the text stays as it is written, and only where a block begins and ends is found out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from llmchat_rag.blocks import Lines, one_line
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Block, Parsed

NAME, VERSION = "markdown", 1

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`{]{0,40})")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_QUOTE = re.compile(r" {0,3}>")
_DELIMITERS = re.compile(r"[\s|:-]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.{1,500})$", re.MULTILINE)
_MOST_HEADING_LINES = 3

_Reader = Callable[[Lines, int], Block | None]


def parse(name: str, data: bytes) -> Parsed:
    """Returns the blocks of a Markdown file."""
    del name
    text = text_of(data)
    blocks = tuple(blocks_of(text))
    return Parsed(text, blocks, title_of(text, blocks), NAME, VERSION)


def title_of(text: str, blocks: tuple[Block, ...]) -> str:
    """Returns the title that the front matter names, or the first heading where it is of the highest level."""
    if blocks and text.startswith("---\n") and (found := _FRONT_TITLE.search(text[: blocks[0].end])):
        return one_line(found[1].strip(" \t\"'"))
    first = next((block for block in blocks if block.kind == "heading"), None)
    return first.name if first and first.level == 1 else ""


def blocks_of(text: str) -> Iterator[Block]:
    """Yields the blocks of a normalised Markdown text."""
    lines = Lines(text)
    at = 0
    while at < len(lines):
        if lines.is_blank(at):
            at += 1
            continue
        block = _read(lines, at)
        yield block
        while at < len(lines) and lines.start(at) < block.end:
            at += 1


def _read(lines: Lines, at: int) -> Block:
    for reader in _READERS:
        if block := reader(lines, at):
            return block
    return _paragraph(lines, at)


def _front_matter(lines: Lines, at: int) -> Block | None:
    if at or lines[0] != "---":
        return None
    stop = next((i for i in range(1, min(len(lines), 200)) if lines[i] in {"---", "..."}), None)
    return lines.block("paragraph", 0, stop + 1) if stop else None


def _fence(lines: Lines, at: int) -> Block | None:
    found = _FENCE.match(lines[at])
    return lines.block("fence", at, _fence_end(lines, at, found[1]), name=found[2]) if found else None


def _fence_end(lines: Lines, at: int, mark: str) -> int:
    """Returns the line after a fence; one that is not closed ends with the text."""
    for index in range(at + 1, len(lines)):
        line = lines[index].strip()
        if line.startswith(mark) and not line.strip(mark[0]):
            return index + 1
    return len(lines)


def _heading(lines: Lines, at: int) -> Block | None:
    found = _HEADING.match(lines[at])
    if not found:
        return None
    words = lines[at][found.end() :].strip()
    # Not a regex for the closing marks: `#+\s*$` is quadratic on a line of marks.
    bare = words.rstrip("#")
    words = bare.rstrip() if not bare or bare[-1].isspace() else words
    return lines.block("heading", at, at + 1, level=len(found[1]), name=one_line(words))


def _table(lines: Lines, at: int) -> Block | None:
    if "|" not in lines[at] or at + 1 >= len(lines):
        return None
    under = lines[at + 1]
    if "-" not in under or "|" not in under or not _DELIMITERS.fullmatch(under):
        return None
    stop = at + 2
    while stop < len(lines) and "|" in lines[stop]:
        stop += 1
    return lines.block("table", at, stop)


def _quote(lines: Lines, at: int) -> Block | None:
    if not _QUOTE.match(lines[at]):
        return None
    stop = at + 1
    while stop < len(lines) and not lines.is_blank(stop) and not _HEADING.match(lines[stop]):
        stop += 1
    return lines.block("quote", at, stop)


def _list(lines: Lines, at: int) -> Block | None:
    """A list goes on over blank lines while what follows is indented or another item."""
    if not _ITEM.match(lines[at]):
        return None
    index, stop = at, at + 1
    while index < len(lines):
        line = lines[index]
        if fence := _FENCE.match(line.lstrip()) if line[:1] in " \t" else None:
            index = stop = _fence_end(lines, index, fence[1])
            continue
        if line.strip():
            after_blank = stop < index
            if _HEADING.match(line) or _FENCE.match(line):
                break
            if after_blank and line[0] not in " \t" and not _ITEM.match(line):
                break
            stop = index + 1
        index += 1
    return lines.block("list", at, stop)


def _paragraph(lines: Lines, at: int) -> Block:
    stop = at + 1
    while stop < len(lines) and not lines.is_blank(stop):
        found = _UNDERLINE.fullmatch(lines[stop])
        if found and stop - at <= _MOST_HEADING_LINES:
            words = one_line(lines.text[lines.start(at) : lines.end(stop - 1)])
            return lines.block("heading", at, stop + 1, level=1 if found[1][0] == "=" else 2, name=words)
        if any(reader(lines, stop) for reader in _INTERRUPTING):
            break
        stop += 1
    return lines.block("paragraph", at, stop)


_READERS: tuple[_Reader, ...] = (_front_matter, _fence, _heading, _table, _quote, _list)


def _opens_fence(lines: Lines, at: int) -> Block | None:
    """Whether a fence begins here, without the search for its end."""
    return lines.block("fence", at, at + 1) if _FENCE.match(lines[at]) else None


def _opens_list(lines: Lines, at: int) -> Block | None:
    return lines.block("list", at, at + 1) if _ITEM.match(lines[at]) else None


_INTERRUPTING: tuple[_Reader, ...] = (_opens_fence, _heading, _opens_list)
