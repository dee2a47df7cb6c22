"""The text of a document as it is stored, and the making of its blocks.

A text is normalised once, before any place in it is named. Knows no format and no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmchat_rag.types import Block, BlockKind, Parsed

_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_NAME = 120


def normalised(text: str) -> str:
    """Returns a text with one kind of line end, and without byte order mark, NUL and halves of characters."""
    text = text.lstrip("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd"))


def word_set(text: str) -> frozenset[str]:
    """Returns the words of a table that is written as text."""
    return frozenset(text.split())


def one_line(text: str) -> str:
    """Returns the words of a heading or a title in one line that is not too long."""
    words = " ".join(text[: 4 * _LONGEST_NAME].split())
    return words if len(words) <= _LONGEST_NAME else words[: _LONGEST_NAME - 1].rstrip() + "…"


class Lines:
    """The lines of a normalised text and where they stand; only a line feed ends one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        if self._starts[-1] == len(text):
            self._starts.pop()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> str:
        """Returns a line without its end."""
        return self.text[self._starts[index] : self.end(index)]

    def start(self, index: int) -> int:
        """Returns where a line starts."""
        return self._starts[index]

    def end(self, index: int) -> int:
        """Returns where a line ends, in front of its line feed."""
        if index + 1 < len(self._starts):
            return self._starts[index + 1] - 1
        return len(self.text) - self.text.endswith("\n")

    def is_blank(self, index: int) -> bool:
        """Returns whether a line shows nothing."""
        return not self[index].strip()

    def block(self, kind: BlockKind, first: int, stop: int, *, level: int = 0, name: str = "") -> Block:
        """Returns the block of the lines from `first` to before `stop`."""
        return Block(kind, self.start(first), self.end(stop - 1), level, name=name)


def paragraphs(text: str, kind: BlockKind = "paragraph") -> Iterator[Block]:
    """Yields what stands between blank lines."""
    lines = Lines(text)
    at = 0
    while at < len(lines):
        if lines.is_blank(at):
            at += 1
            continue
        stop = at + 1
        while stop < len(lines) and not lines.is_blank(stop):
            stop += 1
        yield lines.block(kind, at, stop)
        at = stop


class Builder:
    """A text that is put together block by block, for formats whose text is not the file itself."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []

    def add(
        self, kind: BlockKind, text: str, *, level: int = 0, page: int = 0, name: str = "", gap: str = "\n\n"
    ) -> None:
        """Appends a block, if it shows anything.

        Args:
            kind: what it is.
            text: as it comes from the file; normalised here.
            level: of a heading.
            page: where it stands; 0 is none.
            name: see `Block`; a heading's is made of its text.
            gap: what is put between it and what is there.
        """
        text = normalised(text).strip()
        if not text:
            return
        start = self._append(text, gap)
        if kind in {"heading", "title"} and not name:
            name = one_line(text)
        self._blocks.append(Block(kind, start, self._length, level, page, name))

    def add_blocks(self, text: str, blocks: Iterator[Block]) -> None:
        """Appends a normalised text whose blocks are known already."""
        if text:
            start = self._append(text, "\n\n")
            self._blocks += [Block(b.kind, b.start + start, b.end + start, b.level, b.page, b.name) for b in blocks]

    def parsed(self, parser: str, version: int, title: str = "") -> Parsed:
        """Returns what was put together."""
        text = "".join(self._parts)
        return Parsed(text, tuple(self._blocks), one_line(normalised(title)), parser, version, own_lines=False)

    def _append(self, text: str, gap: str) -> int:
        """Returns where the text starts."""
        if self._parts:
            self._parts.append(gap)
            self._length += len(gap)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return start
