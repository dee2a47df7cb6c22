"""A chat's collections of documents in words: as they are typed behind /docs, and as the lines of the chat show them.

Knows no store and no screen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from llmchat_tui.asked import ALL

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)")


def as_typed(name: str) -> str:
    """Returns a collection's name as one word of a command."""
    if name and not re.search(r'[\s"\\]', name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def typed_names(text: str) -> tuple[str, ...]:
    """Returns the names that were typed, each once."""
    found = (match[2] or _ESCAPED.sub(r"\1", match[1] or "") for match in _WORD.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name))


def documents_line(names: Sequence[str]) -> str:
    """Returns what a chat asks of the documents; empty where it asks none."""
    if ALL in names:
        return "all documents"
    return f"docs {', '.join(names)}" if names else ""


def searching_line(names: Sequence[str]) -> str:
    """Returns what is told while the documents are searched."""
    if not names or ALL in names:
        return "searching all documents"
    return f"searching {names[0]}" if len(names) == 1 else f"searching {len(names):,} collections"
