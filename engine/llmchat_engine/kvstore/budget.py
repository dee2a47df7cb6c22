"""How much the store may take, and which files go when it takes more. Knows sizes and times, not contents."""

from __future__ import annotations

import os
from pathlib import Path

from llmchat_engine.kvstore.files import Found, chat_directories, entries_in, key_directories

_LARGEST_DEFAULT = 8 << 30
_SHARE_OF_FREE_DISK = 20
KEPT_FREE = 1 << 30
"""Bytes of the disk that the store never takes."""


def default_budget(root: Path) -> int:
    """Returns what the store may take where the user set nothing: 8 GiB, or 5 % of the free disk where that is less."""
    return min(_LARGEST_DEFAULT, free_disk(root) // _SHARE_OF_FREE_DISK)


def free_disk(root: Path) -> int:
    """Returns the free bytes of the disk that a directory is on or will be made on; 0 where that cannot be told."""
    for directory in (root, *root.absolute().parents):
        try:
            found = os.statvfs(directory)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return 0


def all_files(root: Path) -> dict[int, list[Found]]:
    """Returns every finished file of the store by inode: a shared one has a name in several chats."""
    found: dict[int, list[Found]] = {}
    for key_directory in key_directories(root):
        for chat_directory in chat_directories(key_directory):
            for file in entries_in(chat_directory):
                found.setdefault(file.inode, []).append(file)
    return found


def over_budget(root: Path, budget: int, keep: Path) -> list[Path]:
    """Returns the names that have to go, the least recently used first, never the one that was just written."""
    files = all_files(root)
    excess = sum(names[0].size for names in files.values()) - budget
    leaving: list[Path] = []
    for names in sorted(files.values(), key=lambda names: names[0].used_at):
        if excess <= 0:
            break
        if all(file.path != keep for file in names):
            leaving += [file.path for file in names]
            excess -= names[0].size
    return leaving
