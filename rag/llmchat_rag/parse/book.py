"""EPUB to the text of its chapters in reading order: a zip of XHTML pages. Knows no selectolax but through web.py.

Its package files are read as HTML, too: no entity is resolved, and what is not well formed is still read.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from llmchat_rag.blocks import Builder
from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.parse.archive import open_zip, read_entry
from llmchat_rag.parse.decoding import declared_charset, text_of
from llmchat_rag.parse.web import emit
from llmchat_rag.types import Parsed

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser

NAME, VERSION = "epub", 1


def parse(name: str, data: bytes) -> Parsed:
    """Returns the chapters of a book.

    Raises:
        ParseError: it is broken, a bomb, or its chapters are missing.
    """
    del name
    builder = Builder()
    with open_zip(data, "EPUB") as archive:
        package = _package_path(archive)
        tree = _tree(read_entry(archive, package))
        for chapter in _spine(tree, posixpath.dirname(package)):
            if chapter in archive.NameToInfo:
                _add(builder, read_entry(archive, chapter))
    return builder.parsed(NAME, VERSION, _title(tree))


def _add(builder: Builder, page: bytes) -> None:
    try:
        emit(text_of(page, declared_charset(page)), builder)
    except NothingToRead:
        return


def _tree(data: bytes) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(text_of(data))


def _package_path(archive: zipfile.ZipFile) -> str:
    found = _tree(read_entry(archive, "META-INF/container.xml")).css_first("rootfile[full-path]")
    if found is None:
        raise ParseError("its EPUB is broken")
    return found.attributes.get("full-path") or ""


def _spine(tree: LexborHTMLParser, folder: str) -> Iterator[str]:
    """Yields the entries of the chapters, each once."""
    files = {item.attributes.get("id"): item.attributes.get("href") for item in tree.css("item[href]")}
    order = [reference.attributes.get("idref") for reference in tree.css("itemref")]
    seen: set[str] = set()
    for chapter in order:
        target = unquote((files.get(chapter) or "").partition("#")[0])
        path = posixpath.normpath(posixpath.join(folder, target)) if target else ""
        if path and path not in seen:
            seen.add(path)
            yield path


def _title(tree: LexborHTMLParser) -> str:
    root = tree.root
    nodes = root.traverse() if root is not None else ()
    return next((node.text(strip=True) for node in nodes if node.tag == "dc:title"), "")
