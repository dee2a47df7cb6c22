"""DOCX to headings, paragraphs, lists and table rows. Imports python-docx where it is used.

Its XML parser resolves no entities and fetches nothing; tests hold that. The tree is walked by its elements and not by
python-docx's tables, which build one cell for each column that a cell claims to span.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmchat_rag.blocks import Builder
from llmchat_rag.errors import ParseError
from llmchat_rag.parse.archive import open_zip
from llmchat_rag.types import Parsed

if TYPE_CHECKING:
    from docx.document import Document
    from lxml.etree import _Element  # type: ignore[import-untyped]

NAME, VERSION = "docx", 1

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_P, _TBL, _TR, _TC, _T = (_W + tag for tag in ("p", "tbl", "tr", "tc", "t"))
_BREAKS = {_W + "br": "\n", _W + "cr": "\n", _W + "tab": "\t", _W + "noBreakHyphen": "-"}


def parse(name: str, data: bytes) -> Parsed:
    """Returns the body of a Word document.

    Raises:
        ParseError: it is broken, or a bomb.
    """
    del name
    open_zip(data, "DOCX").close()
    document = _opened(data)
    styles = {style.style_id: style.name or "" for style in document.styles}
    builder = Builder()
    for element in _parts(document.element.body):
        if element.tag == _TBL:
            _add_table(builder, element)
        else:
            _add_paragraph(builder, element, styles)
    return builder.parsed(NAME, VERSION, document.core_properties.title or "")


def _opened(data: bytes) -> Document:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    try:
        return docx.Document(io.BytesIO(data))
    except (OpcError, LxmlError, KeyError, ValueError, AttributeError) as error:
        raise ParseError("its DOCX is broken") from error


def _parts(body: _Element) -> Iterator[_Element]:
    """Yields the paragraphs and tables in their order, also those in content controls; a table is one."""
    stack = [body]
    while stack:
        element = stack.pop()
        if element.tag in {_P, _TBL}:
            yield element
        else:
            stack.extend(reversed(element))


def _text(element: _Element) -> str:
    pieces = []
    for part in element.iter(_T, *_BREAKS):
        pieces.append(part.text or "" if part.tag == _T else _BREAKS[str(part.tag)])
    return "".join(pieces)


def _add_paragraph(builder: Builder, paragraph: _Element, styles: dict[str, str]) -> None:
    marked = paragraph.find(f"{_W}pPr/{_W}pStyle")
    style = styles.get(str(marked.get(_W + "val")), "") if marked is not None else ""
    text = _text(paragraph)
    head, _, number = style.rpartition(" ")
    if head == "Heading" and number.isdecimal():
        builder.add("heading", text, level=min(int(number), 9))
    elif style == "Title":
        builder.add("heading", text, level=1)
    elif style.startswith("List") or paragraph.find(f"{_W}pPr/{_W}numPr") is not None:
        builder.add("list", text, gap="\n")
    else:
        builder.add("paragraph", text)


def _add_table(builder: Builder, table: _Element) -> None:
    gap = "\n\n"
    for row in table.iter(_TR):
        cells = [" ".join(_text(cell).split()) for cell in row.iterchildren(_TC)]
        builder.add("row", " | ".join(cells), gap=gap)
        gap = "\n"
