"""Text without marks of its own: paragraphs between blank lines."""

from __future__ import annotations

from llmchat_rag.blocks import paragraphs
from llmchat_rag.parse.decoding import text_of
from llmchat_rag.types import Parsed

NAME, VERSION = "text", 1


def parse(name: str, data: bytes) -> Parsed:
    """Returns the paragraphs of a text file."""
    del name
    text = text_of(data)
    return Parsed(text, tuple(paragraphs(text)), "", NAME, VERSION)
