"""reStructuredText to headings, literal blocks, tables, lists and paragraphs, by its lines and their indentation."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmchat_rag.blocks import Lines, one_line
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Block, BlockKind, Parsed

NAME, VERSION = "rst", 1

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+")
_CODE = re.compile(r"\.\. (?:code-block|code|sourcecode|highlight|parsed-literal|ipython)::[ \t]*(\S{0,40})")
_GRID = re.compile(r"\+[-=+]{2,}\+|={2,}(?: +={2,})+")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,9}[.)]|#\.|\(\w{1,3}\)) ")


def parse(name: str, data: bytes) -> Parsed:
    """Returns the blocks of a reStructuredText file."""
    del name
    text = text_of(data)
    blocks = tuple(blocks_of(text))
    first = next((block for block in blocks if block.kind == "heading"), None)
    return Parsed(text, blocks, first.name if first and first.level == 1 else "", NAME, VERSION)


def blocks_of(text: str) -> Iterator[Block]:
    """Yields the blocks of a normalised text; the level of a heading is how soon its adornment is met."""
    lines = Lines(text)
    styles: list[str] = []
    at = 0
    while at < len(lines):
        if lines.is_blank(at):
            at += 1
            continue
        if heading := _heading(lines, at, styles):
            block, at = heading
        else:
            block, at = _body(lines, at)
        yield block
        if block.kind != "fence" and (literal := _literal(lines, at)):
            yield literal
            while at < len(lines) and lines.start(at) < literal.end:
                at += 1


def _heading(lines: Lines, at: int, styles: list[str]) -> tuple[Block, int] | None:
    over = bool(_is_adornment(lines, at)) and at + 2 < len(lines)
    words = at + 1 if over else at
    if words + 1 >= len(lines) or not (mark := _is_adornment(lines, words + 1)):
        return None
    text = lines[words].rstrip()
    if not text.strip() or _ADORNMENT.fullmatch(text) or (over and lines[at][0] != mark):
        return None
    if not over and (text[0].isspace() or len(lines[words + 1].rstrip()) < min(len(text), 4)):
        return None
    style = mark * (1 + over)
    if style not in styles:
        styles.append(style)
    stop = words + 2
    return lines.block("heading", at, stop, level=styles.index(style) + 1, name=one_line(text)), stop


def _is_adornment(lines: Lines, at: int) -> str:
    """Returns the character that underlines a heading, or nothing."""
    line = lines[at].rstrip()
    return line[0] if len(line) >= 2 and _ADORNMENT.fullmatch(line) else ""


def _body(lines: Lines, at: int) -> tuple[Block, int]:
    first = lines[at]
    if found := _CODE.match(first.lstrip()):
        stop = _indented(lines, at + 1, _indent(first))
        return lines.block("fence", at, stop, name=found[1]), stop
    stop = at + 1
    while stop < len(lines) and not lines.is_blank(stop):
        stop += 1
    kind: BlockKind = "paragraph"
    if _GRID.match(first.lstrip()):
        kind = "table"
    elif _ITEM.match(first.lstrip()):
        kind = "list"
    return lines.block(kind, at, stop), stop


def _literal(lines: Lines, at: int) -> Block | None:
    """Returns what stands indented below a paragraph that ends with two colons."""
    above = lines[at - 1].rstrip()
    if not above.endswith("::") or above.lstrip().startswith(".. "):
        return None
    stop = _indented(lines, at, _indent(above))
    while at < stop and lines.is_blank(at):
        at += 1
    return lines.block("fence", at, stop) if at < stop else None


def _indented(lines: Lines, at: int, indent: int) -> int:
    """Returns the line after what is indented more than `indent`, without the blank lines at its end."""
    stop = at
    for index in range(at, len(lines)):
        if lines.is_blank(index):
            continue
        if _indent(lines[index]) <= indent:
            break
        stop = index + 1
    return stop


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
