"""Files that fit what was typed behind an `@`: found by a bounded walk, or in the one directory that a path names.

Knows no screen. Slow on a slow disk, so it is called from a thread, in slices of time.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

SLICE_SECONDS = 0.3
MOST_ENTRIES = 20_000
MOST_MATCHES = 50
_JUNK = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})
_PATH_STARTS = ("/", "~", "./", "../")


def here() -> Path:
    """Returns the directory that relative paths start from, the root where it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def is_path(word: str) -> bool:
    """Returns whether a word names a directory to look into, and not something to search for."""
    return word.startswith(_PATH_STARTS)


class FileWalk:
    """The files under a directory, the nearest first; found slice by slice, by any one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._entries = islice(_walk(root), MOST_ENTRIES)
        self._lock = threading.Lock()
        self.paths: list[str] = []
        """Relative to the root."""
        self.done = False

    def go_on(self, seconds: float = SLICE_SECONDS) -> None:
        """Walks on for a while."""
        with self._lock:
            end = time.monotonic() + seconds
            for path in self._entries:
                if path:
                    self.paths.append(path)
                if time.monotonic() > end:
                    return
            self.done = True


def best(paths: Iterable[str], word: str) -> list[str]:
    """Returns the paths that have a word's letters in this order, the best first: those with it in their name."""
    wanted = word.casefold()
    ranked = ((rank, len(path), path) for path in paths if (rank := _rank(path, wanted)) is not None)
    return [path for _rank_, _length, path in sorted(ranked)[:MOST_MATCHES]]


def entries_of(word: str, cwd: Path) -> list[str]:
    """Returns what fits a path of which the last part is not finished; directories end with a slash."""
    if "/" not in word:
        return ["~/"]
    base, _, part = word.rpartition("/")
    base += "/"
    directory = cwd / os.path.expanduser(base)
    names = (name for name in _names(directory) if _is_text(name))
    return [base + name for name in best((n for n in names if not n.startswith(".") or part[:1] == "."), part)]


def _rank(path: str, wanted: str) -> int | None:
    """Returns how well a path fits, 0 the best; None where it does not."""
    folded = path.casefold()
    name = folded.rstrip("/").rpartition("/")[2]
    if wanted in folded:
        return 0 if name == wanted else 1 if name.startswith(wanted) else 2 if wanted in name else 3
    if _has_letters(name, wanted):
        return 4
    return 5 if _has_letters(folded, wanted) else None


def _has_letters(text: str, wanted: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in wanted)


def _walk(root: Path) -> Iterator[str]:
    """Yields a path for each file and nothing for each other entry, breadth first, so that it can be stopped."""
    waiting = deque([""])
    while waiting:
        base = waiting.popleft()
        for name in _names(root / base):
            is_directory = name.endswith("/")
            if name.startswith(".") or not _is_text(name) or (is_directory and name[:-1] in _JUNK):
                yield ""
            elif is_directory:
                if not os.path.islink(root / base / name[:-1]):
                    waiting.append(base + name)
                yield ""
            else:
                yield base + name


def _names(directory: Path) -> Iterator[str]:
    """Yields the files and directories of a directory in order, the latter with a slash; none of one it cannot read."""
    try:
        with os.scandir(directory) as entries:
            found = [_shown(entry) for entry in islice(entries, MOST_ENTRIES)]
    except (OSError, ValueError):
        return
    yield from sorted(name for name in found if name)


def _shown(entry: os.DirEntry[str]) -> str:
    try:
        return f"{entry.name}/" if entry.is_dir() else entry.name if entry.is_file() else ""
    except OSError:
        return ""


def _is_text(name: str) -> bool:
    """Returns whether a name is UTF-8: one that is not cannot stand in a message."""
    return not any("\ud800" <= char <= "\udfff" for char in name)
