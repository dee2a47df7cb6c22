"""The smallest pieces of a block that a passage is put together from: sentences, lines, rows; and how they are cut.

Each knows how well the text can be broken in front of it. Knows no passages; tokens are numbers that others fill in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmchat_rag.blocks import word_set
from llmchat_rag.graphemes import cut_before, is_boundary
from llmchat_rag.types import Block

PAGE, BLOCK, ITEM, SENTENCE, LINE, WORD = 1.0, 0.8, 0.5, 0.4, 0.3, 0.1
"""How good a break is in front of a page, a block, a list item or row, a sentence, a line, a word."""

_DEFINITION = {1: 1.0, 2: 0.9}
_AFTER_BLANK = 0.6
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]{0,3}\s+|[。！？]\s*|\n[ \t]*\n\s*")
_LAST_WORD = re.compile(r"([\w.]{1,8})\.$")
_ABBREVIATIONS = word_set(
    "al approx bzw ca cf d.h dr e.g ed eds eq etc fig figs i.e inc jr mr mrs ms no nr pp prof resp sec sp st vol vs z.b"
)
_ITEM_START = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]")
_INDENT_COST = 0.01
_PROSE = frozenset({"paragraph", "quote", "list", "heading", "title"})


@dataclass(slots=True)
class Atom:
    """A piece of a text that is not divided, unless it is too long."""

    start: int
    end: int
    strength: float
    """Of a break in front of it."""
    page: int
    prose: bool
    """Whether it may be repeated at the beginning of the next passage."""
    name: str = ""
    """What it is part of the definition of."""
    tokens: int = 0
    whole: bool = False
    """Whether it stays in one piece although it is longer than a passage."""


def whole(block: Block) -> Atom:
    """Returns a block as one atom that stays whole."""
    return Atom(block.start, block.end, BLOCK, block.page, prose=False, whole=True)


def atoms_of(text: str, block: Block) -> Iterator[Atom]:
    """Yields the sentences of prose, and the lines of everything else."""
    if block.kind not in _PROSE:
        yield from _lines(text, block)
        return
    strength = BLOCK
    for line_start, line_end in _items(text, block) if block.kind == "list" else ((block.start, block.end),):
        for start, end in _sentences(text, line_start, line_end):
            yield Atom(start, end, strength, block.page, prose=True)
            strength = SENTENCE
        strength = ITEM


def _items(text: str, block: Block) -> Iterator[tuple[int, int]]:
    """Yields the items of a list, each with the lines that belong to it."""
    start = at = block.start
    while at < block.end:
        stop = text.find("\n", at, block.end) + 1 or block.end
        if at > start and _ITEM_START.match(text, at, stop):
            yield start, at
            start = at
        at = stop
    yield start, block.end


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.end() >= end or not _ends_sentence(text, match, start):
            continue
        yield from _trimmed(text, start, match.end())
        start = match.end()
    yield from _trimmed(text, start, end)


def _ends_sentence(text: str, match: re.Match[str], start: int) -> bool:
    if "\n\n" in match[0] or match[0][0] in "。！？":
        return is_boundary(text, match.end())
    if text[match.end()].islower() or not is_boundary(text, match.end()):
        return False
    word = _LAST_WORD.search(text[max(start, match.start() - 8) : match.start() + 1])
    return not word or (word[1].lower() not in _ABBREVIATIONS and not (len(word[1]) == 1 and word[1].isupper()))


def _lines(text: str, block: Block) -> Iterator[Atom]:
    strength = _DEFINITION.get(block.level, BLOCK) if block.kind == "code" else BLOCK
    base = ITEM if block.kind in {"table", "row"} else LINE
    at = block.start
    while at < block.end:
        stop = text.find("\n", at, block.end) + 1 or block.end
        line = text[at:stop].rstrip()
        if line:
            indent = len(line) - len(line.lstrip())
            found = strength if strength else max(WORD + 0.05, base - _INDENT_COST * indent)
            yield Atom(at, at + len(line), found, block.page, prose=False, name=block.name)
            strength = 0.0
        elif not strength:
            strength = _AFTER_BLANK
        at = stop


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields the range without the white space around it, if anything is left."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    if left < right:
        # A mark may stand on a space: then the space is part of the character.
        yield start + left - (left > 0 and not is_boundary(text, start + left)), start + right


def pieces_of(text: str, atom: Atom, size: int) -> Iterator[Atom]:
    """Yields an atom in pieces: cut at a line's end, else between words, else between characters.

    Args:
        text: what it is part of.
        atom: what is cut.
        size: characters that a piece may have.
    """
    start, strength = atom.start, atom.strength
    while start < atom.end:
        stop = _cut(text, start, atom.end, max(size, 1))
        for left, right in _trimmed(text, start, stop):
            yield Atom(left, right, strength, atom.page, atom.prose, atom.name)
        start, strength = stop, WORD


def _cut(text: str, start: int, end: int, size: int) -> int:
    if end - start <= size:
        return end
    target = start + size
    line = text.rfind("\n", start + size // 2, target) + 1
    if line and is_boundary(text, line):
        return line
    for at in range(target, start + size // 2, -1):
        if text[at - 1].isspace() and is_boundary(text, at):
            return at
    return cut_before(text, target, start)
