"""The collections of documents in words: their rows in the list, and what is told of the one under the cursor.

Pure functions over what the store says of a collection. Knows no store and no widget.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.tree_lines import age

if TYPE_CHECKING:
    from llmchat_rag.store import CollectionStatus

_WIDEST_NAME = 24


def collection_row(row: CollectionStatus, width: int, line: str, *, used: bool, running: bool, failed: bool) -> Content:
    """Returns a row of the list.

    Args:
        row: the collection.
        width: of the column of names.
        line: how far its update is, or how the last one ended.
        used: whether the chat is answered from it.
        running: whether it is updated now, or waits to be; its numbers change meanwhile.
        failed: whether the last update did not do what it should.
    """
    name = Content(sanitize_line(row.collection.name)).truncate(width, ellipsis=True, pad=True)
    mark = ("● " if used else "  ", "$text-accent")
    if running:
        return Content.assemble(mark, name, (f"  {sanitize_line(line)}", "$text-muted"))
    refused = f" · {row.refused:,} failed" if row.refused else ""
    said = sanitize_line(line or _state(row))
    loud = "$text-warning" if failed else "$text-muted"
    return Content.assemble(
        mark, name, f"  {_count(row)}", (refused, "$text-warning"), (f"   {said}" if said else "", loud)
    )


def name_width(rows: Sequence[CollectionStatus]) -> int:
    """Returns how wide the column of names is."""
    names = (Content(sanitize_line(row.collection.name)).cell_length for row in rows)
    return min(_WIDEST_NAME, max(names, default=0))


def place_of_collection(row: CollectionStatus, home: str, *, used: bool) -> str:
    """Returns where a collection lies, when it was read, and whether the chat is answered from it.

    Args:
        row: the collection.
        home: the user's directory, which is written as a tilde.
        used: whether the chat is answered from it.
    """
    root = str(row.collection.root)
    if home and root.startswith(home.rstrip(os.sep) + os.sep):
        root = f"~{root[len(home.rstrip(os.sep)) :]}"
    read = age(row.collection.updated_at, time.time()) if row.collection.updated_at else ""
    parts = (root, f"read {read}" if read else "", "this chat is answered from it" if used else "")
    return sanitize_line(" · ".join(part for part in parts if part))


def _count(row: CollectionStatus) -> str:
    return f"{row.files:,} file{'s' * (row.files != 1)} · {row.chunks:,} passage{'s' * (row.chunks != 1)}"


def _state(row: CollectionStatus) -> str:
    if row.pending:
        return f"{row.pending:,} to be read again: u"
    return "" if row.collection.updated_at else "not finished: u goes on"
