"""HTML to headings, paragraphs, lists, tables and preformatted text. Imports selectolax (Lexbor) where it is used.

Nothing is fetched and nothing is run. What a browser would not show (scripts, styles, comments, hidden elements) is not
part of the text. Walks the tree without recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmchat_rag.blocks import Builder, word_set
from llmchat_rag.errors import ParseError
from llmchat_rag.parse.decoding import declared_charset, text_of
from llmchat_rag.types import BlockKind, Parsed

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

NAME, VERSION = "html", 1

MOST_UNCLOSED = 10_000
"""Lexbor takes 0.1 s for 10,000 elements inside each other, and the square of more."""
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,30})")
_CLOSED_BY_OTHERS = word_set(
    "p li td th tr dt dd option optgroup rp rt thead tbody tfoot colgroup area base br col embed hr img input link "
    "meta param source track wbr itemref item"
)
_SKIPPED = word_set("script style template noscript svg math iframe object head canvas select textarea")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_KINDS: dict[str, BlockKind] = {"li": "list", "dt": "list", "dd": "list", "blockquote": "quote"}
_APART = word_set(
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption figure footer form "
    "header hr html legend li main nav ol p section summary table tbody tfoot thead tr ul"
)
_HIDDEN = re.compile(r"(?:display\s{0,4}:\s{0,4}none|visibility\s{0,4}:\s{0,4}hidden)", re.IGNORECASE)


def parse(name: str, data: bytes) -> Parsed:
    """Returns the text of an HTML page as a reader sees it.

    Raises:
        ParseError: its elements are nested too deeply.
    """
    del name
    builder = Builder()
    title = emit(text_of(data, declared_charset(data)), builder)
    return builder.parsed(NAME, VERSION, title)


def emit(html: str, builder: Builder) -> str:
    """Appends the blocks of a page to a text and returns its title: that of its head, or its first heading.

    Raises:
        ParseError: its elements are nested too deeply.
    """
    from selectolax.lexbor import LexborHTMLParser

    if _unclosed(html) > MOST_UNCLOSED:
        raise ParseError("its elements are nested too deeply")
    tree = LexborHTMLParser(html)
    title = tree.css_first("head > title")
    words = title.text(strip=True) if title is not None else ""
    heading = _Page(builder).read(tree.body) if tree.body is not None else ""
    return words or heading


def _unclosed(html: str) -> int:
    deepest = depth = 0
    for closing, tag in _TAG.findall(html):
        if tag.lower() not in _CLOSED_BY_OTHERS:
            depth = max(0, depth - 1) if closing else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _visits(root: LexborNode) -> Iterator[tuple[str, LexborNode, bool]]:
    """Yields each text, and each element on the way down (True) and on the way up (False), with its tag.

    What is not shown is left out with all that is in it.
    """
    node, depth = root, 0
    while True:
        tag = node.tag or ""
        if tag == "-text":
            yield tag, node, True
        elif tag and tag[0] not in "-!" and not _is_hidden(tag, node):
            yield tag, node, True
            child = node.first_child
            if child is not None:
                node, depth = child, depth + 1
                continue
            yield tag, node, False
        while True:
            if depth == 0:
                return
            following = node.next
            if following is not None:
                node = following
                break
            parent = node.parent
            if parent is None:
                return
            node, depth = parent, depth - 1
            yield node.tag or "", node, False


def _is_hidden(tag: str, node: LexborNode) -> bool:
    if tag in _SKIPPED:
        return True
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style") or ""))


class _Page:
    """The reading of one page: the words that are collected, and what they will be a block of."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._words: list[str] = []
        self._cells: list[str] | None = None
        self._kind: BlockKind = "paragraph"
        self._in_pre = 0
        self._title = ""
        self._rows = 0

    def read(self, root: LexborNode) -> str:
        """Returns the first heading."""
        for tag, node, down in _visits(root):
            if tag == "-text":
                text = node.text_content or ""
                self._words.append(text if self._in_pre else text.replace("\n", " "))
            else:
                self._element(tag, down=down)
        self._flush()
        return self._title

    def _element(self, tag: str, *, down: bool) -> None:
        if tag == "br":
            self._words.append("\n" if down else "")
        elif tag == "pre":
            self._preformatted(down=down)
        elif tag in _HEADINGS:
            self._heading(tag, down=down)
        elif tag in {"td", "th"}:
            self._cell(down=down)
        elif tag == "tr":
            self._row(down=down)
        elif tag in _APART and self._cells is None and not self._in_pre:
            self._flush()
            self._kind = _KINDS.get(tag, "paragraph") if down else "paragraph"
            if tag == "table":
                self._rows = 0
        elif tag in _APART:
            self._words.append(" " if self._cells is not None else "\n")

    def _preformatted(self, *, down: bool) -> None:
        if self._cells is not None:
            return
        if down and not self._in_pre:
            self._flush()
        self._in_pre += 1 if down else -1
        if not self._in_pre:
            self._builder.add("fence", "".join(self._take()).strip("\n"))

    def _heading(self, tag: str, *, down: bool) -> None:
        if self._cells is not None or self._in_pre:
            return
        if down:
            self._flush()
            return
        words = " ".join("".join(self._take()).split())
        self._title = self._title or words
        self._builder.add("heading", words, level=_HEADINGS[tag])

    def _row(self, *, down: bool) -> None:
        if down:
            self._flush()
            self._cells = []
            return
        cells, self._cells = self._cells or [], None
        self._take()
        self._builder.add("row", " | ".join(cells), gap="\n" if self._rows else "\n\n")
        self._rows += 1

    def _cell(self, *, down: bool) -> None:
        if self._cells is None:
            return
        words = " ".join("".join(self._take()).split())
        if not down:
            self._cells.append(words)

    def _flush(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._take()).split("\n")]
        after_item = self._kind == "list"
        self._builder.add(self._kind, "\n".join(lines), gap="\n" if after_item else "\n\n")

    def _take(self) -> list[str]:
        words, self._words = self._words, []
        return words
