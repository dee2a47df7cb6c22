"""The store as commands see it: all that is there, forgetting one chat, removing everything. Knows no host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmchat_engine.kvstore import files
from llmchat_engine.kvstore.budget import all_files
from llmchat_engine.kvstore.format import Damaged, Head, read_head, read_payload
from llmchat_engine.kvstore.index import identify

Kind = Literal["chat", "shared", "damaged"]


@dataclass(frozen=True, slots=True)
class Listing:
    """One file of the store, for a person."""

    path: Path
    kind: Kind
    model: str
    """Name of the model that made it; empty in a damaged one."""
    tokens: int
    size: int
    """Bytes."""
    used_at: float
    chats: int
    """In how many chats it has a name; more than one only where it is shared."""
    damage: str = ""
    """Why it will be refused, or empty."""


def listing(root: Path, *, thorough: bool = False) -> list[Listing]:
    """Returns every file once, the last used first.

    Args:
        root: The directory of all stores; it need not exist.
        thorough: Reads the states too: 8 GiB take seconds. Without it a damaged state is found when it is loaded.
    """
    rows = [_row(names, thorough) for names in all_files(root).values()]
    return sorted((row for row in rows if row is not None), key=lambda row: -row.used_at)


def _row(names: Sequence[files.Found], thorough: bool) -> Listing | None:
    file = names[0]
    try:
        head = _read(file.path, thorough)
    except FileNotFoundError:
        return None
    except Damaged as damage:
        return Listing(file.path, "damaged", "", 0, file.size, file.used_at, len(names), str(damage))
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
        return Listing(file.path, "damaged", "", 0, file.size, file.used_at, len(names), why)
    header = head.header
    kind: Kind = "shared" if header.shared else "chat"
    return Listing(file.path, kind, header.model, header.tokens, file.size, file.used_at, len(names))


def _read(path: Path, thorough: bool) -> Head:
    with files.opened(path) as descriptor:
        head = read_head(descriptor)
        identify(head, path)
        if thorough:
            read_payload(descriptor, head)
        return head


def forget_chat(root: Path, chat: str) -> bool:
    """Deletes what is kept of a chat, for every model, what is being written too. Hosts are told first, elsewhere.

    Args:
        root: The directory of all stores; it need not exist.
        chat: Name of the chat.

    Returns:
        Whether nothing of it is left; False where the disk refused.
    """
    name = files.chat_name(chat)
    left = [directory for directory in files.key_directories(root) if not files.empty(directory / name)]
    return not left


def clear(root: Path) -> tuple[int, int]:
    """Removes all files of the store, finished or not.

    Args:
        root: The directory of all stores; it need not exist.

    Returns:
        How many files were removed, and their bytes; one that several chats share is one.
    """
    found = [names[0] for names in all_files(root).values()]
    for key_directory in files.key_directories(root):
        for chat_directory in files.chat_directories(key_directory):
            files.empty(chat_directory)
        files.remove_empty(key_directory)
    gone = [file for file in found if not file.path.exists()]
    return len(gone), sum(file.size for file in gone)
