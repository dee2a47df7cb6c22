"""The store of one host: finds, loads, saves and forgets what is kept of the chats of one model.

The model thread finds and loads while a writer thread saves. Knows what goes when; the bytes are format.py's, the names
files.py's. No error of the disk leaves it: each ends as a line of the log.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_engine.durable import sync_directory
from llmchat_engine.kvstore import files
from llmchat_engine.kvstore.budget import KEPT_FREE, default_budget, free_disk, over_budget
from llmchat_engine.kvstore.format import CHUNK, Damaged, Head, Origin, pack, read_head, read_payload
from llmchat_engine.kvstore.index import Index, entry_of, identify
from llmchat_engine.kvstore.listing import forget_chat
from llmchat_engine.kvstore.values import Checkpoint, Entry, Stored, pack_ids

if TYPE_CHECKING:
    from typing_extensions import Buffer

ENTRIES_PER_CHAT = 4
"""Branches of one chat that are kept; shared entries are not counted."""


def _silent(_line: str) -> None:
    """Keeps no log."""


class KvStore:
    """What is kept on disk for one model, llama.cpp and kind of cache."""

    def __init__(
        self, root: Path, key: str, budget: int = 0, log: Callable[[str], None] = _silent, name: str = ""
    ) -> None:
        """Sweeps what dead writers left, and reads the fronts of what is there.

        Args:
            root: The directory of all stores; it need not exist.
            key: At least 32 hex digits that name everything a state depends on.
            budget: Bytes that all stores under the root may take; 0 takes the default.
            log: Takes one line of text.
            name: Of the model, for people.
        """
        self._root, self._key, self._log = root, key, log
        self._budget = budget or default_budget(root)
        self._name = name.encode("utf-8", "replace").decode()
        self._lock = threading.Lock()
        self._forgotten: set[str] = set()
        try:
            files.make_private(root)
            files.sweep(root)
        except OSError as error:
            self._fault("nothing can be kept on disk", error)
        self._index = Index(root, key, log)

    def entries(self) -> Sequence[Entry]:
        """Returns what is stored for this key, also by other hosts."""
        return self._index.entries()

    def load(self, entry: Entry) -> Stored | None:
        """Reads a file and checks every byte of it.

        Args:
            entry: One of `entries`.

        Returns:
            What it holds; None where it is gone, or was damaged and is removed now.
        """
        try:
            with files.opened(entry.path) as descriptor:
                stored = read_payload(descriptor, self._head(descriptor, entry.path))
        except Damaged as damage:
            self._index.refuse(entry.path, damage)
            return None
        except FileNotFoundError:
            self._index.drop([entry.path])
            return None
        except (OSError, MemoryError) as error:
            self._fault(f"{entry.path.name} cannot be read", error)
            return None
        self._index.touch(entry)
        return stored

    def save(
        self,
        chat: str,
        ids: Iterable[int],
        state: Buffer,
        *,
        grid: int,
        checkpoints: Sequence[Checkpoint] = (),
        prefill_seconds: float = 0.0,
        shared: bool = False,
    ) -> None:
        """Writes a state, whole or not at all; what it makes needless goes after it.

        Args:
            chat: Name of the chat.
            ids: The tokens of the state.
            state: What llama.cpp gave.
            grid: The chunk length of the prefill that made it.
            checkpoints: States at shorter lengths, of a memory that cannot be rewound.
            prefill_seconds: What computing it again would cost.
            shared: Whether it begins other chats too: such a file is one on disk, with a name in each chat.
        """
        packed = pack_ids(ids)
        if shared and self.share(chat, packed, grid):
            return
        directory = files.chat_name(chat)
        origin = Origin(self._key, "" if shared else directory, self._name, grid, prefill_seconds, time.time(), shared)
        target = self._index.directory / directory / files.file_name(packed)
        try:
            if self._is_kept(target, grid, checkpoints, shared):
                return
            pieces = pack(origin, packed, state, checkpoints)
            if self._fits(sum(piece.nbytes for piece in pieces)) and self._write(target, pieces):
                self._make_room(target)
        except OSError as error:
            self._fault(f"{target.name} was not kept", error)

    def share(self, chat: str, ids: Iterable[int] | bytes, grid: int = 0) -> bool:
        """Gives a chat a name for a shared entry that another chat has already.

        Args:
            chat: Name of the chat.
            ids: All tokens of the entry.
            grid: How many of them it must have computed on the grid at least.

        Returns:
            Whether the chat has it now; False where nobody has, and it must be saved.
        """
        packed = ids if isinstance(ids, bytes) else pack_ids(ids)
        target = self._index.directory / files.chat_name(chat) / files.file_name(packed)
        self._index.entries()
        for entry in self._index.named(target.name):
            try:
                if entry.shared and entry.grid >= grid and (entry.path == target or self._link(entry, target)):
                    self._index.touch(entry)
                    return True
            except OSError as error:
                self._fault(f"{target.name} was not shared", error)
        return False

    def forget(self, chat: str) -> None:
        """Deletes what is kept of a chat; no save of it, not one that runs now either, leaves anything from here on."""
        directory = files.chat_name(chat)
        with self._lock:
            self._forgotten.add(directory)
            self._index.drop(entry.path for entry in self._index.of_chat(directory))
        if not forget_chat(self._root, chat):
            self._log(f"kv: files of a forgotten chat are left in {directory}")
        self._index.announce()

    def _head(self, descriptor: int, path: Path) -> Head:
        head = read_head(descriptor)
        identify(head, path, self._key)
        return head

    def _is_kept(self, target: Path, grid: int, checkpoints: Sequence[Checkpoint], shared: bool) -> bool:
        """Tells whether the same state is there already, and notes that it is in use."""
        lengths = tuple(sorted(checkpoint.length for checkpoint in checkpoints))
        for entry in self._index.of_chat(target.parent.name):
            if entry.path == target and (entry.grid, entry.checkpoints, entry.shared) == (grid, lengths, shared):
                self._index.touch(entry)
                return target.is_file()
        return False

    def _fits(self, size: int) -> bool:
        room = min(self._budget, free_disk(self._root) - KEPT_FREE)
        if size > room:
            self._log(f"kv: a state of {size:,} bytes was not kept: there is room for {max(0, room):,}")
        return size <= room

    def _write(self, target: Path, pieces: Iterable[memoryview]) -> bool:
        """Writes a new file; False where its chat was forgotten."""
        if self._is_forgotten(target):
            return False
        with files.temporary(target) as new:
            for piece in pieces:
                if self._is_forgotten(target):
                    return False
                files.write_all(new.descriptor, piece)
            os.fsync(new.descriptor)
            if not self._commit(new.path.rename, target):
                return False
        sync_directory(target.parent)
        return True

    def _is_forgotten(self, target: Path) -> bool:
        return target.parent.name in self._forgotten

    def _commit(self, give_name: Callable[[Path], object], target: Path) -> bool:
        """Gives a whole file its name and files it; False, and nothing done, where its chat was forgotten."""
        with self._lock:
            if self._is_forgotten(target):
                return False
            give_name(target)
            with files.opened(target) as descriptor:
                head, found = read_head(descriptor), os.fstat(descriptor)
            name = files.Found(target, found.st_size, found.st_mtime, found.st_ino, found.st_nlink)
            self._index.add(entry_of(head, name))
            return True

    def _link(self, entry: Entry, target: Path) -> bool:
        """Puts a checked entry into another chat's directory; False where it is damaged or gone, or the chat is."""
        try:
            with files.opened(entry.path) as descriptor:
                head = self._head(descriptor, entry.path)
                read_payload(descriptor, head)
                linked = self._name_or_copy(entry.path, target, descriptor, head.size)
        except Damaged as damage:
            self._index.refuse(entry.path, damage)
            return False
        except FileNotFoundError:
            self._index.drop([entry.path])
            return False
        if linked:
            self._make_room(target)
        return linked

    def _name_or_copy(self, source: Path, target: Path, descriptor: int, size: int) -> bool:
        files.make_room_for(target)
        try:
            return self._commit(partial(os.link, source), target)
        except OSError:  # the file system has no links, or this file has too many of them
            pieces = (memoryview(os.pread(descriptor, CHUNK, at)) for at in range(0, size, CHUNK))
            return self._fits(size) and self._write(target, pieces)

    def _make_room(self, target: Path) -> None:
        """Removes what the new file makes needless, then what is over the budget."""
        of_chat = self._index.of_chat(target.parent.name)
        new = next((entry for entry in of_chat if entry.path == target), None)
        if new is not None and not new.shared:
            self._remove(_needless(new, of_chat))
        self._remove(over_budget(self._root, self._budget, target))
        self._index.announce()

    def _remove(self, paths: Sequence[Path]) -> None:
        self._index.drop(paths)
        for path in paths:
            try:
                files.remove(path)
            except OSError as error:
                self._fault(f"{path.name} cannot be removed", error)

    def _fault(self, what: str, error: Exception) -> None:
        self._log(f"kv: {what}: {getattr(error, 'strerror', None) or error}")


def _needless(new: Entry, of_chat: Sequence[Entry]) -> list[Path]:
    """Returns the files that an entry continues, then the longest unused ones of too many."""
    others = [entry for entry in of_chat if entry.path != new.path and not entry.shared]
    continued = [entry for entry in others if new.packed.startswith(entry.packed)]
    rest = sorted((entry for entry in others if entry not in continued), key=lambda entry: entry.used_at)
    too_many = rest[: max(0, len(rest) - (ENTRIES_PER_CHAT - 1))]
    return [entry.path for entry in (*continued, *too_many)]
