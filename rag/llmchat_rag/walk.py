"""Which files of a folder may be indexed, and why each of the others is not.

A generator over `os.scandir` and `lstat`: no document is opened, no link is followed, nothing outside the root is seen.
Knows no formats; that a file holds no text is found out where it is parsed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmchat_rag.errors import RootMissing
from llmchat_rag.ignore import IGNORE_FILES, Rules, left_out, patterns, rules_of
from llmchat_rag.reading import MAX_BYTES, reason_of, too_large
from llmchat_rag.types import Found, Skipped

_NO_DOCUMENTS = frozenset({"/proc", "/sys", "/dev"})
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def walk(
    root: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), max_bytes: int = MAX_BYTES
) -> Iterator[Found | Skipped]:
    """Yields the files of a folder in a fixed order, and what is left out.

    A folder that is left out is one `Skipped` whose name ends in a slash.

    Args:
        root: a folder, or one file.
        include: patterns as in a .gitignore; where there are any, only files that match one are found.
        exclude: patterns of what is left out; they have the last word.
        max_bytes: larger files are left out.

    Raises:
        RootMissing: there is no such folder or file.
    """
    root = Path(os.path.realpath(root))
    try:
        state = root.stat()
    except (OSError, ValueError) as error:
        why = reason_of(error) if isinstance(error, OSError) else str(error)
        raise RootMissing(f"{root} cannot be read", why) from error
    if stat.S_ISDIR(state.st_mode):
        yield from _Walk(root, state, include, exclude, max_bytes).run()
    else:
        yield _judged(root, readable(root.name), state, max_bytes)


def readable(name: str) -> str:
    """Returns a file name as text that can be stored: bytes that are no UTF-8 become a backslash, x and digits."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _judged(path: Path, relative: str, state: os.stat_result, max_bytes: int) -> Found | Skipped:
    if not stat.S_ISREG(state.st_mode):
        return Skipped(relative, f"left out: {_KINDS.get(stat.S_IFMT(state.st_mode), 'no regular file')}")
    if state.st_size > max_bytes:
        return Skipped(relative, f"left out: {too_large(state.st_size, max_bytes)}")
    return Found(path, relative, state.st_size, state.st_mtime_ns)


class _Walk:
    """One walk: what was seen so far, and the folders that are still to be read."""

    def __init__(
        self, root: Path, state: os.stat_result, include: Sequence[str], exclude: Sequence[str], max_bytes: int
    ) -> None:
        self._root = root
        self._include = patterns(include)[0] if include else None
        self._exclude = patterns(exclude)[0] if exclude else None
        self._max_bytes = max_bytes
        self._seen: dict[tuple[int, int], str] = {(state.st_dev, state.st_ino): ""}
        self._folders: list[tuple[Path, str, Rules | None]] = [(root, "", None)]

    def run(self) -> Iterator[Found | Skipped]:
        while self._folders:
            yield from self._folder(*self._folders.pop())

    def _folder(self, folder: Path, relative: str, above: Rules | None) -> Iterator[Found | Skipped]:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            yield Skipped(relative, reason_of(error), failed=True)
            return
        rules, complaints = rules_of(folder, relative, names, above)
        taken = set(names)
        below: list[tuple[Path, str, Rules | None]] = []
        for name in names:
            shown = readable(name)
            if name in IGNORE_FILES:
                complaint = complaints.get(name, "")
                yield Skipped(relative + name, complaint or "left out: not a document", failed=bool(complaint))
                continue
            if shown != name and shown in taken:
                yield Skipped(relative + shown, "another file has this name once it is written as text", failed=True)
                continue
            found = self._entry(folder / name, relative + shown, name, rules)
            if isinstance(found, Path):
                below.append((found, f"{relative}{shown}/", rules))
            elif found is not None:
                yield found
        self._folders += reversed(below)

    def _entry(self, path: Path, relative: str, name: str, rules: Rules | None) -> Found | Skipped | Path | None:
        """Returns a folder to be read, a file, why it is left out, or None for what was not asked for."""
        try:
            state = path.lstat()
        except OSError as error:
            return Skipped(relative, reason_of(error), failed=True)
        is_folder = stat.S_ISDIR(state.st_mode)
        shown = relative + "/" if is_folder else relative
        if reason := self._rule(relative, name, rules, is_folder=is_folder):
            return Skipped(shown, reason)
        if stat.S_ISLNK(state.st_mode):
            return Skipped(shown, self._link_reason(path))
        if not is_folder and self._include is not None and not self._include.match_file(relative):
            return None
        if first := self._seen_as(state, relative, is_folder=is_folder):
            return Skipped(shown, f"left out: the same as {first}")
        if is_folder:
            return path if str(path) not in _NO_DOCUMENTS else Skipped(shown, "left out: holds no documents")
        return _judged(path, relative, state, self._max_bytes)

    def _rule(self, relative: str, name: str, rules: Rules | None, *, is_folder: bool) -> str:
        if self._exclude is not None and self._exclude.match_file(relative + "/" * is_folder):
            return "left out by an exclude pattern"
        return left_out(name) or (rules.reason(relative, is_folder=is_folder) if rules else "")

    def _link_reason(self, path: Path) -> str:
        try:
            inside = Path(os.path.realpath(path)).is_relative_to(self._root)
        except (OSError, ValueError):
            inside = False
        return "left out: a link" if inside else "left out: a link that leads out of the collection"

    def _seen_as(self, state: os.stat_result, relative: str, *, is_folder: bool) -> str:
        """Returns the name under which the same folder or file was met before, or nothing."""
        if not is_folder and state.st_nlink < 2:
            return ""
        first = self._seen.setdefault((state.st_dev, state.st_ino), relative)
        return "" if first == relative else first or "the collection's folder"
