"""Reads the files that `chats import` names, all of them before one chat is recorded. Knows no format and no SQL."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_tui.console import Console
    from llmchat_tui.history import Conversation, History
    from llmchat_tui.imports import Chat


def read_files(names: Iterable[str], console: Console) -> list[Chat]:
    """Returns the chats of files and warns about what they hold besides.

    Args:
        names: paths, or `-` for stdin.
        console: where the warnings go.

    Raises:
        UsageError: a file cannot be read.
        ImportRefused: a file holds nothing that can be imported.
    """
    from llmchat_tui.imports import read_export

    chats: list[Chat] = []
    for name in names:
        shown = "stdin" if name == "-" else name
        imported = read_export(_read(name), shown)
        for sentence in imported.left_out:
            console.warn(f"{shown}: {sentence}")
        chats += imported.chats
    return chats


def record(chats: Iterable[Chat], history: History, recorded: list[Conversation]) -> None:
    """Adds chats to the history, and each to `recorded` once it is on disk."""
    for conversation, messages in chats:
        recorded.append(history.conversation(history.add(conversation, messages)))


def _read(name: str) -> bytes:
    """Returns the bytes of a file, one more than are allowed at most."""
    from llmchat_tui.imports import MAX_BYTES

    try:
        if name == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("there is nothing on stdin", hint="llm logs -n 0 --json | llmchat chats import -")
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(name, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a name with a NUL, a closed stdin
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"{name} cannot be read", why) from error
