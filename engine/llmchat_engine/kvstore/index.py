"""What is stored for one model, held in memory: read from the fronts of the files, and again when they change.

Knows no payload. Every store that changes something moves the time of its key's directory, so that the others see it
with one look.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from llmchat_engine.kvstore.files import (
    Found,
    chat_directories,
    entries_in,
    file_name,
    opened,
    remove,
)
from llmchat_engine.kvstore.format import Damaged, Head, read_head
from llmchat_engine.kvstore.values import Entry

KEY_NAME = 32
"""Characters of a key that make its directory's name."""


class Index:
    """The entries of one key. Thread-safe: nobody waits for a scan that another thread makes."""

    def __init__(self, root: Path, key: str, log: Callable[[str], None]) -> None:
        self.directory = root / key[:KEY_NAME]
        self._key = key
        self._log = log
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._entries: dict[Path, Entry] = {}
        self._seen = -1
        self.entries()

    def entries(self) -> tuple[Entry, ...]:
        """Returns what is stored, after reading what other stores changed."""
        stamp = self._stamp()
        if stamp != self._seen and self._scanning.acquire(blocking=False):
            try:
                self._scan()
                self._seen = stamp
            finally:
                self._scanning.release()
        with self._lock:
            return tuple(self._entries.values())

    def add(self, entry: Entry) -> None:
        """Files an entry, in place of one at the same path."""
        with self._lock:
            self._entries[entry.path] = entry

    def drop(self, paths: Iterable[Path]) -> None:
        """Takes entries out."""
        with self._lock:
            for path in paths:
                self._entries.pop(path, None)

    def of_chat(self, chat: str) -> list[Entry]:
        """Returns the entries in one chat's directory."""
        with self._lock:
            return [entry for entry in self._entries.values() if entry.chat == chat]

    def named(self, name: str) -> list[Entry]:
        """Returns the entries of one file name, in whatever chat."""
        with self._lock:
            return [entry for entry in self._entries.values() if entry.path.name == name]

    def touch(self, entry: Entry) -> None:
        """Notes, here and on disk, that an entry was used now."""
        now = time.time_ns()
        with contextlib.suppress(OSError):
            os.utime(entry.path, ns=(now, now), follow_symlinks=False)
        with self._lock:
            for path, other in self._entries.items():
                if other.inode == entry.inode:
                    self._entries[path] = replace(other, used_at=now / 1e9)

    def announce(self) -> None:
        """Has every store of this key look again: the others when they are asked, this one now."""
        now = time.time_ns()
        with contextlib.suppress(OSError):  # the kernel's own time of a change is too coarse: two of them in 4 ms
            os.utime(self.directory, ns=(now, now))
        self.entries()

    def _stamp(self) -> int:
        try:
            return self.directory.stat().st_mtime_ns
        except OSError:
            return 0

    def _scan(self) -> None:
        with self._lock:
            before = dict(self._entries)
        found: dict[Path, Entry] = {}
        for chat_directory in chat_directories(self.directory):
            for file in entries_in(chat_directory):
                if entry := self._look_at(file, before.get(file.path)):
                    found[file.path] = entry
        with self._lock:  # what a save added meanwhile stays
            for path in before.keys() - found.keys():
                self._entries.pop(path, None)
            for path, entry in found.items():
                if before.get(path) is self._entries.get(path):
                    self._entries[path] = entry

    def _look_at(self, file: Found, known: Entry | None) -> Entry | None:
        """Returns the entry of a file; None, and the file removed, where its front is damaged."""
        if known is not None and (known.inode, known.size) == (file.inode, file.size):
            return replace(known, used_at=file.used_at)
        try:
            with opened(file.path) as descriptor:
                head = read_head(descriptor)
            identify(head, file.path, self._key)
        except Damaged as damage:
            self.refuse(file.path, damage)
            return None
        except OSError as error:
            self._log(f"kv: {file.path.name} cannot be read: {error.strerror}")
            return None
        return entry_of(head, file)

    def refuse(self, path: Path, damage: Damaged) -> None:
        """Removes a damaged file, under all its names, and says so in the log."""
        with self._lock:
            inode = self._entries[path].inode if path in self._entries else -1
            names = {path, *(other for other, entry in self._entries.items() if entry.inode == inode)}
        self.drop(names)
        try:
            for name in names:
                remove(name)
        except OSError as error:
            self._log(f"kv: {path.name} refused: {damage}; it cannot be removed: {error.strerror}")
        else:
            self._log(f"kv: {path.name} refused and removed: {damage}")


def identify(head: Head, path: Path, key: str = "") -> None:
    """Checks that a file stands where its content belongs.

    Args:
        head: Its front.
        path: Where it stands.
        key: The whole key that it must have; empty to compare only with the directory's name.

    Raises:
        Damaged: it belongs elsewhere.
    """
    header = head.header
    if header.key[:KEY_NAME] != path.parent.parent.name or (key and header.key != key):
        raise Damaged("it belongs to another model")
    if header.chat != ("" if header.shared else path.parent.name):
        raise Damaged("it belongs to another chat")
    if file_name(head.packed) != path.name:
        raise Damaged("its name is not that of its ids")


def entry_of(head: Head, file: Found) -> Entry:
    """Returns what the index keeps of a file."""
    header = head.header
    return Entry(
        path=file.path,
        chat=file.path.parent.name,
        packed=head.packed,
        grid=header.grid,
        size=file.size,
        used_at=file.used_at,
        prefill_seconds=header.prefill_seconds,
        shared=header.shared,
        checkpoints=tuple(length for length, _ in header.checkpoints),
        inode=file.inode,
    )
