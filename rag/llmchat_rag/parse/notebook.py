"""Jupyter notebooks to the text of their cells: Markdown as Markdown, code as fences. Outputs are left out."""

from __future__ import annotations

import json
from typing import cast

from llmchat_rag.blocks import Builder, normalised
from llmchat_rag.errors import ParseError
from llmchat_rag.parse import markdown
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Parsed

NAME, VERSION = "notebook", 1


def parse(name: str, data: bytes) -> Parsed:
    """Returns the cells of a notebook.

    Raises:
        ParseError: it is no notebook.
    """
    del name
    try:
        notebook = json.loads(text_of(data))
    except (ValueError, RecursionError) as error:
        raise ParseError("its JSON is broken") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ParseError("it is no notebook of version 4")
    language = _language(notebook.get("metadata"))
    builder = Builder()
    for cell in notebook["cells"]:
        if isinstance(cell, dict):
            _add(builder, cast(dict[str, object], cell), language)
    parsed = builder.parsed(NAME, VERSION)
    return builder.parsed(NAME, VERSION, markdown.title_of(parsed.text, parsed.blocks))


def _add(builder: Builder, cell: dict[str, object], language: str) -> None:
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    text = normalised("".join(line for line in lines if isinstance(line, str))).strip("\n")
    if cell.get("cell_type") == "code":
        builder.add("fence", text, name=language)
    else:
        builder.add_blocks(text, markdown.blocks_of(text))


def _language(metadata: object) -> str:
    found = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = found.get("name") if isinstance(found, dict) else None
    return name[:40] if isinstance(name, str) else "python"
