"""Reads the files that `chats import` names, all of them before one chat is recorded. Knows no format and no SQL."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_tui.console import Console
    from llmchat_tui.imports import Chat


def read_files(names: Iterable[str], console: Console) -> list[Chat]:
    """Returns the chats of files and warns about what they hold besides.

    Args:
        names: paths, or `-` for stdin.
        console: where the warnings go.

    Raises:
        UsageError: a file cannot be read.
        InputError: it is a pipe or a device.
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


def _read(name: str) -> bytes:
    """Returns the bytes of a file, one more than are allowed at most."""
    from llmchat_tui.imports import MAX_BYTES
    from llmchat_tui.taking import read_import

    if name != "-":
        return read_import(Path(name), MAX_BYTES)
    try:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("there is nothing on stdin", hint="llm logs -n 0 --json | llmchat chats import -")
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a closed stdin
        raise UsageError("stdin cannot be read", str(error)) from error
