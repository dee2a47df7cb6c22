"""Where a path leads that the user typed: from a home, or from the working directory, which may be gone.

Looks at no file. Knows no screen and no chat.
"""

from __future__ import annotations

import os
from pathlib import Path

from llmchat_tui.errors import UsageError


def working_directory() -> Path | None:
    """Returns the working directory; None where it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return None


def whole_path(name: str) -> Path:
    """Returns the absolute path of a name that the user typed.

    Raises:
        UsageError: it is no path, its `~user` is nobody, or it is relative and the working directory is gone.
    """
    if not name or "\0" in name:
        raise UsageError(f"{name!r} is no path")
    path = os.path.expanduser(name)
    if path.startswith("~"):
        raise UsageError(f"{name} cannot be found", f"nobody here is called {path[1:].split('/')[0]}", f"./{name}")
    if os.path.isabs(path):
        return Path(path)
    if (directory := working_directory()) is None:
        raise UsageError(f"{name} cannot be found", "the working directory was removed", f"a whole path, as ~/{name}")
    return directory / path
