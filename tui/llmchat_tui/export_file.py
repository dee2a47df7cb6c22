"""Writes an export to the place that the user named. Knows nothing of chats."""

from __future__ import annotations

import os
from pathlib import Path

from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.paths import write_private


def write_export(output: str, text: str, force: bool) -> None:
    """Writes a file whole or not at all; a device or a pipe is written as it is, never replaced.

    Args:
        output: the path.
        text: what goes into it.
        force: whether a file that is there may be replaced.

    Raises:
        UsageError: where it is a directory, or is there and may not be replaced.
        StorageUnwritable: where it cannot be written.
    """
    path = Path(output)
    if os.path.isdir(path):
        raise UsageError(f"cannot write {path}", "it is a directory", f"-o {path / 'chat.md'}")
    if os.path.isfile(path) or not os.path.lexists(path):
        if os.path.isfile(path) and not force:
            raise UsageError(f"cannot write {path}", "it exists already", "add --force to replace it")
        write_private(path, text.encode(errors="replace"))
        return
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StorageUnwritable(f"cannot write {path}", error.strerror or "") from error
