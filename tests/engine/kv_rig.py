"""What the tests of the disk store share: a store in a directory, states that follow from their ids, changed headers.

Knows the store's door and the layout of its files; knows no single test.
"""

from __future__ import annotations

import json
import os
import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmchat_engine.kvstore import Entry, KvStore, Stored

KEY = "ab" * 32
OTHER_KEY = "cd" * 32
GRID = 512
FRONT = struct.Struct("<8sII")


def kv_random() -> random.Random:
    """Returns the random numbers of one test, and prints their seed."""
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"LLMCHAT_TEST_SEED={seed}")
    return random.Random(seed)


def state_of(ids: Sequence[int], size: int = 5000) -> bytes:
    """Returns the only right state of these ids."""
    return random.Random(repr(tuple(ids))).randbytes(size)


class Shelf:
    """A store with its log, and the short way to save in it."""

    def __init__(self, root: Path, key: str = KEY, budget: int = 1 << 30) -> None:
        self.root = root
        self.log: list[str] = []
        self.store = KvStore(root, key, budget, self.log.append, "tiny")

    def save(self, chat: str, ids: Sequence[int], *, size: int = 5000, shared: bool = False) -> None:
        """Saves the right state of the ids."""
        self.store.save(chat, ids, state_of(ids, size), grid=GRID, shared=shared)

    def ids(self) -> list[list[int]]:
        """Returns the ids of every entry, sorted."""
        return sorted(list(entry.ids) for entry in self.store.entries())

    def only(self) -> Entry:
        """Returns the one entry that there is."""
        (entry,) = self.store.entries()
        return entry

    def loads_whole(self, entry: Entry, size: int = 5000) -> bool:
        """Tells whether an entry can be loaded and is right."""
        stored = self.store.load(entry)
        return stored is not None and same(stored, entry.ids.tolist(), size)


def same(stored: Stored, ids: Sequence[int], size: int = 5000) -> bool:
    """Tells whether what was loaded is the right state of these ids."""
    return stored.ids.tolist() == list(ids) and bytes(stored.state) == state_of(ids, size)


def files_under(root: Path) -> list[Path]:
    """Returns everything under a directory that is no directory itself."""
    return sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


def with_header(data: bytes, **changes: Any) -> bytes:  # any JSON value
    """Returns a file whose header says something else, with a right checksum."""
    magic, length, _ = FRONT.unpack_from(data)
    header = json.loads(data[FRONT.size : FRONT.size + length]) | changes
    text = json.dumps(header).encode()
    return FRONT.pack(magic, len(text), zlib.crc32(text)) + text + data[FRONT.size + length :]


def used(path: Path, at: float) -> None:
    """Sets when a file was used last."""
    os.utime(path, (at, at))
