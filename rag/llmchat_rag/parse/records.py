"""JSON and JSON lines, in the file's own text where a person could read it; written anew where it is one long line."""

from __future__ import annotations

import json

from llmchat_rag.blocks import Builder, Lines
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Block, Parsed

NAME, VERSION = "json", 1

_LONGEST_LINE = 2_000
_GROUP = 1_000
_INDENTED_LIMIT = 8 << 20
"""What is larger stays as it is: written anew with its values as objects it would take ten times its size."""


def parse(name: str, data: bytes) -> Parsed:
    """Returns the text of a JSON file; one that is broken is still text."""
    text = text_of(data)
    lines = Lines(text)
    if name.lower().endswith((".jsonl", ".ndjson")):
        return Parsed(text, tuple(_grouped(lines, "table")), "", NAME, VERSION)
    longest = max((lines.end(index) - lines.start(index) for index in range(len(lines))), default=0)
    if longest > _LONGEST_LINE and len(text) <= _INDENTED_LIMIT and (indented := _indented(text)):
        builder = Builder()
        builder.add("code", indented)
        return builder.parsed(NAME, VERSION)
    return Parsed(text, tuple(_grouped(lines, "code")), "", NAME, VERSION)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _grouped(lines: Lines, kind: str) -> list[Block]:
    """Returns blocks of whole lines, of about 1,000 characters for rows and of everything for the rest."""
    blocks: list[Block] = []
    start = 0
    for index in range(len(lines)):
        last = index + 1 == len(lines)
        if last or (kind == "table" and lines.end(index) - lines.start(start) > _GROUP):
            if lines.text[lines.start(start) : lines.end(index)].strip():
                blocks.append(lines.block("table" if kind == "table" else "code", start, index + 1))
            start = index + 1
    return blocks
