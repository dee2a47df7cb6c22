"""PDF to paragraphs with pages. Imports pypdfium2 where it is used.

PDFium is C++ and gets files from anywhere: only the parser process imports this. Pages that are pictures have no text;
they are not recognised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llmchat_rag.blocks import Builder, normalised
from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.types import Parsed

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument  # type: ignore[import-untyped]

NAME, VERSION = "pdf", 1

_HEAD = 1024
"""Bytes in which readers look for the header."""
_HYPHEN = re.compile("(?<=\\w)[\ufffe\u0002\u00ad]\n?")
"""What PDFium returns for a hyphen at the end of a line."""
_BREAK = re.compile(r"\n[ \t]*\n\s*")


def parse(name: str, data: bytes) -> Parsed:
    """Returns the text of a PDF, page by page.

    Raises:
        ParseError: it is broken, or needs a password.
        NothingToRead: none of its pages has text.
    """
    del name
    import pypdfium2

    if not data:
        raise NothingToRead("it is empty")
    if b"%PDF-" not in data[:_HEAD]:
        raise ParseError("it is no PDF, whatever its name says")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        raise ParseError("it is locked with a password" if locked else "its PDF is broken") from error
    try:
        return _read(document)
    finally:
        document.close()


def _read(document: PdfDocument) -> Parsed:
    builder = Builder()
    for index in range(len(document)):
        text = _HYPHEN.sub("", normalised(_page(document, index)))
        for part in _BREAK.split(text):
            builder.add("paragraph", part, page=index + 1)
    parsed = builder.parsed(NAME, VERSION, document.get_metadata_dict().get("Title", ""))
    if not parsed.blocks:
        raise NothingToRead(f"none of its {len(document)} pages has text; pictures of text are not recognised")
    return parsed


def _page(document: PdfDocument, index: int) -> str:
    """Returns the text of one page; a page that is broken has none."""
    import pypdfium2

    try:
        page = document[index]
        try:
            text = page.get_textpage()
            try:
                return str(text.get_text_range())
            finally:
                text.close()
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return ""
