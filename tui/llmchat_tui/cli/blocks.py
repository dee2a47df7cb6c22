"""Cuts Markdown text: a stream into finished blocks, and a fenced code block out of an answer.

Knows no terminal and renders nothing. A fence is what CommonMark calls one, and may be indented as in a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(r"([ \t]*)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|[0-9]{1,9}[.)])(?:[ \t]|$)")
_DEEPEST_TOP_LEVEL_FENCE = 3  # four blanks and more make indented code


@dataclass(frozen=True, slots=True)
class Fence:
    """The opening line of a fenced code block."""

    indent: str
    marker: str
    language: str

    def closed_by(self, line: str) -> bool:
        """Tells whether a line ends the block."""
        stripped = line.strip()
        return len(stripped) >= len(self.marker) and not stripped.strip(self.marker[0])


def find_fence(line: str) -> Fence | None:
    """Returns the fence that a line opens."""
    found = _OPENING.fullmatch(line)
    if found is None:
        return None
    language = found[3].strip().partition(" ")[0]
    return Fence(found[1].expandtabs(4), found[2], language)


def extract_fence(text: str, last: bool = False) -> str | None:
    """Returns the code of the first (or last) closed fence in a text, without its fences; None where there is none."""
    codes = _closed_fences(text)
    if last:
        return next(reversed(list(codes)), None)
    return next(codes, None)


def _closed_fences(text: str) -> Iterator[str]:
    fence: Fence | None = None
    code: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if fence is None:
            fence = find_fence(line)
            code = []
        elif fence.closed_by(line):
            yield "\n".join(code)
            fence = None
        else:
            code.append(_outdent(line, len(fence.indent)))


def _outdent(line: str, columns: int) -> str:
    """Returns a line without the indentation of its fence, as far as it has one."""
    blanks = len(line) - len(line.lstrip(" "))
    return line[min(blanks, columns) :]


class BlockSplitter:
    """Takes a stream in pieces and gives back whole blocks.

    A block ends at a blank line, or with its fence. A list goes on over blank lines as long as items or indented text
    follow, so its numbers and its indentation stay together.
    """

    def __init__(self) -> None:
        self._partial: list[str] = []
        self._block: list[str] = []
        self._fence: Fence | None = None
        self._gap = False

    def feed(self, text: str) -> list[str]:
        """Returns the blocks that `text` finishes."""
        *whole, rest = text.split("\n")
        blocks: list[str] = []
        for line in whole:
            blocks += self._line("".join([*self._partial, line]))
            self._partial.clear()
        self._partial.append(rest)
        return blocks

    def finish(self) -> list[str]:
        """Returns what is left when the stream ends."""
        line = "".join(self._partial)
        self._partial.clear()
        blocks = self._line(line) if line else []
        return blocks + self._flush()

    @property
    def _in_list(self) -> bool:
        return bool(self._block and _LIST_ITEM.match(self._block[0]))

    def _line(self, line: str) -> list[str]:
        """Takes one whole line."""
        if self._fence is not None:
            return self._fenced_line(line)
        if not line.strip():
            self._gap = bool(self._block)
            return [] if self._in_list else self._flush()
        blocks: list[str] = []
        if self._gap:
            if line.startswith(("  ", "\t")) or _LIST_ITEM.match(line):
                self._block.append("")
            else:
                blocks += self._flush()
            self._gap = False
        fence = find_fence(line)
        if fence and not self._in_list:
            if len(fence.indent) > _DEEPEST_TOP_LEVEL_FENCE:
                fence = None
            else:
                blocks += self._flush()
        self._fence = fence
        self._block.append(line)
        return blocks

    def _fenced_line(self, line: str) -> list[str]:
        self._block.append(line)
        if self._fence and self._fence.closed_by(line):
            self._fence = None
            return [] if self._in_list else self._flush()
        return []

    def _flush(self) -> list[str]:
        block = "\n".join(self._block)
        self._block = []
        self._gap = False
        self._fence = None
        return [block] if block else []
