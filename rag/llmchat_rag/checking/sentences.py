"""An answer or a passage cut into sentences with their places: abbreviations, decimals, lists and code survive.

Knows no citations beyond that brackets after a full stop belong to the sentence before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llmchat_rag.checking.lexicon import words

_NEVER_LAST = words(
    "dr mr mrs ms prof st mt fr sr jr rev gen col capt lt sgt e.g i.e eg ie vs cf fig figs eq no nos nr ca approx "
    "ltd inc co corp bros dept est vol vols ed eds ch sec pp p art abs al z.b d.h bzw evtl ggf inkl vgl u.a "
    "jan feb mar apr jun jul aug sep sept oct nov dec mio mrd str hr op ver v"
)
_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s|$|\[\d|【)|[。！？]+[」』”]*")
_AFTER = re.compile(r"[ \t]*(?:\n[ \t]*)?(?:[\[【]\s*(?:\w+\s*)?\d{1,3}[^\]】\n]{0,40}[\]】][ \t]*[.,;]?[ \t]*)+")
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+|^[ \t]*>[ \t]?|^[ \t]*\|")
_HEADING = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+.*|\*\*[^*\n]+\*\*:?|[^\n.!?。]{1,60}:)[ \t]*$")
_OWN_LINE = re.compile(r"^[ \t]*(?:#{1,6}[ \t]|\*\*[^*\n]+\*\*:?[ \t]*$|[-*+•][ \t]|\d{1,3}[.)][ \t]|\||>)")
_BACK = 80
"""Characters before a full stop that decide about it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A stretch of a text that makes one statement."""

    text: str
    start: int
    end: int
    heading: bool = False


def sentences(text: str) -> list[Sentence]:
    """Returns the sentences of a text in their order; code between fences is none."""
    found: list[Sentence] = []
    position = 0
    for fence in _FENCE.finditer(text):
        found.extend(_of_prose(text, position, fence.start()))
        position = fence.end()
    found.extend(_of_prose(text, position, len(text)))
    return found


def _of_prose(text: str, start: int, end: int) -> Iterator[Sentence]:
    for first, last in _blocks(text, start, end):
        block = text[first:last]
        item = _ITEM.match(block)
        if _HEADING.match(block):
            yield from _trimmed(text, first, last, heading=True)
            continue
        begin = first + (item.end() if item else 0)
        for cut in [*_ends(text, begin, last), last]:
            yield from _trimmed(text, begin, cut)
            begin = cut


def _trimmed(text: str, start: int, end: int, heading: bool = False) -> Iterator[Sentence]:
    body = text[start:end]
    start += len(body) - len(body.lstrip())
    end = start + len(body.strip())
    if any(character.isalnum() for character in text[start:end]):
        yield Sentence(text[start:end], start, end, heading)


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields paragraphs, and the lines that stand for themselves: items, headings, rows."""
    begin = position = start
    for line in text[start:end].splitlines(keepends=True):
        after = position + len(line)
        if not line.strip() or _OWN_LINE.match(line):
            if begin < position:
                yield begin, position
            begin = position
        if _HEADING.match(line.rstrip("\n")):
            if begin < position:
                yield begin, position
            yield position, after
            begin = after
        position = after
    if begin < end:
        yield begin, end


def _ends(text: str, start: int, end: int) -> Iterator[int]:
    """Yields where sentences of a block end, with the brackets that follow their full stop."""
    position = start
    while found := _END.search(text, position, end):
        after = _AFTER.match(text, found.end(), end)
        cut = after.end() if after else found.end()
        position = max(cut, found.end())
        if position < end and _is_end(text[max(start, found.end() - _BACK) : found.end()], text[position:end].lstrip()):
            yield position


def _is_end(before: str, following: str) -> bool:
    """Returns whether a full stop between these two ends a sentence."""
    if before[-1] in "。！？」』" or not following:
        return True
    if before.rstrip("\"'”’»)]").endswith(("!", "?")):
        return not following[0].islower()
    word = re.split(r"[\s(\[„“\"']", before.rstrip("\"'”’»)]"))[-1]
    stem = word.rstrip(".…").lower()
    if word.endswith(".") and (
        stem in _NEVER_LAST or re.fullmatch(r"[A-Z]", word[:-1]) or re.fullmatch(r"\d{1,2}", stem)
    ):
        return bool(re.fullmatch(r"\d{1,2}", stem)) and len(before.split()) > 2 and _starts_sentence(following)
    return not following[0].islower()


def _starts_sentence(following: str) -> bool:
    """Returns whether what follows a short number and a full stop is no month (`14. Juni`) and no small word."""
    months = r"(?:jan|feb|mar|mär|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])"
    return following[0].isupper() and not re.match(months, following, re.IGNORECASE)
