"""A chat's collections of documents in words: as they are typed behind /docs, and as the lines of the chat show them.

Knows no store and no screen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_tui.asked import ALL
from llmchat_tui.gauge import bar

if TYPE_CHECKING:
    from llmchat_rag.events import Progress
    from llmchat_rag.types import Passage

_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_BAR = 10
_BEGINNING = 160
"""Characters of a passage in a preview."""
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


def chosen_names(text: str) -> tuple[str, ...] | None:
    """Returns the collections that `/docs` chooses, none of them for `off`; None where nothing was typed."""
    names = typed_names(text)
    if names == ("off",):
        return ()
    return (ALL,) if names in (("all",), (ALL,)) else names or None


def answered_from(names: Sequence[str]) -> str:
    """Returns which documents a chat is answered from, as it is told."""
    if ALL in names:
        return "this chat is answered from all documents"
    return f"this chat is answered from: {', '.join(names)}" if names else "this chat is answered without documents"


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


def progress_line(progress: Progress) -> str:
    """Returns how far an update is: files as a bar and in numbers, passages a second, time left."""
    share = progress.files / progress.of_files if progress.of_files else 1.0
    count = f"{progress.files:,} of {progress.of_files:,} file{'s' * (progress.of_files != 1)}"
    parts = [f"▕{bar(share, _BAR)}▏ {count}"]
    if not progress.chunks and not progress.files and progress.of_files:
        parts.append("getting ready")  # what embeds takes 5 to 15 s to load, and only where something is new
    if progress.chunks:
        parts.append(f"{progress.chunks_per_second:,.0f} passages/s")
    if progress.seconds_left is not None and progress.files < progress.of_files:
        parts.append(f"{_time(round(progress.seconds_left))} left")
    return " · ".join(parts)


def _time(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    return (
        f"{seconds // 60} min {seconds % 60} s" if seconds < 3600 else f"{seconds // 3600} h {seconds // 60 % 60} min"
    )


def preview_lines(passages: Sequence[Passage]) -> list[str]:
    """Returns passages in a line each: how near it is, where it stands, and how it begins."""
    return [f"{one.scores.dense:.2f} {one.source}  “{' '.join(one.text.split())[:_BEGINNING]}”" for one in passages]
