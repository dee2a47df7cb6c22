"""Sequences that left the context: in memory up to a budget, the least recently used first to go, then on disk.

Knows states as bytes; no llama.cpp and no context. The model's thread parks and fetches, a thread of its own writes to
the disk, and `forget` may come from any thread.
"""

from __future__ import annotations

import queue
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

from llmchat_engine.host.lines import Parked, usable
from llmchat_engine.kvstore import Entry, KvStore, common_prefix
from llmchat_engine.kvstore.files import chat_name
from llmchat_engine.kvstore.values import ID_BYTES

LEAST_STORED = 256
"""Tokens of a chat that is worth a file: fewer are computed in half a second."""
LEAST_SHARED = 64
"""Tokens of a beginning that is worth a file: every new chat with it saves them."""
Found = Parked | Entry


class Parking:
    """What of the chats is kept outside the context."""

    def __init__(self, budget: int, store: KvStore | None, log: Callable[[str], None]) -> None:
        """Starts empty.

        Args:
            budget: bytes in memory.
            store: the disk; None keeps nothing there.
            log: takes lines.
        """
        self._budget, self._store, self._log = budget, store, log
        self._lock = threading.Lock()
        self._held: dict[tuple[str, bytes], Parked] = {}
        """By chat and ids; the least recently used first."""
        self._forgotten: set[str] = set()
        self._refused: set[Path] = set()
        """Files that could not be brought back: not to be tried again and again."""
        self._to_write: queue.SimpleQueue[Parked | None] = queue.SimpleQueue()
        self._unwritten = 0
        self._quiet = threading.Condition()
        self._writer: threading.Thread | None = None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        with self._lock:
            return sum(parked.size for parked in self._held.values())

    def put(self, parked: Parked) -> None:
        """Keeps a sequence; one of the same chat that it extends goes, and so do others beyond the budget."""
        with self._lock:
            if parked.chat in self._forgotten:
                return
            for key in [key for key, known in self._held.items() if _extends(parked, known)]:
                del self._held[key]
            self._held[_key(parked)] = parked
            evicted = self._over_budget()
        for old in evicted:
            self.write(old)

    def holds(self, chat: str, packed: bytes) -> Parked | None:
        """Returns exactly this sequence, where it is in memory."""
        with self._lock:
            return self._held.get((chat, packed))

    def best(
        self, prompt: bytes, *, rewindable: bool, chunk: int, longest: int, window: int = 0, cut: int = 0
    ) -> tuple[int, Found | None]:
        """Returns the most tokens of a prompt that something here can give, and what that is.

        Args:
            prompt: the ids to be run, packed.
            rewindable: whether a state can be cut at any length.
            chunk: where set, only whole chunks on the grid count.
            longest: tokens that the context can hold.
            window: the model's sliding window; a state has no more of the layers that it limits.
            cut: where a run of the prompt on the grid ends a chunk early.
        """
        with self._lock:
            held: list[Found] = list(self._held.values())
        if self._store is not None:
            held += [entry for entry in self._store.entries() if entry.path not in self._refused]
        most, best = 0, None
        for found in held:
            cheaper = best is not None and _is_cheaper(found, best)
            # One comparison refuses nearly all: of 1,000 it takes 0.2 ms, comparing each to its end takes 4.
            if found.tokens > longest or not found.packed.startswith(prompt[: (most + (not cheaper)) * ID_BYTES]):
                continue
            points = None if rewindable and not 0 < window < found.tokens else _points(found)
            length = usable(found, points, prompt, chunk=chunk, cut=cut)
            if length > most or (cheaper and length == most):
                most, best = length, found
        return most, best

    def fetch(self, found: Found) -> Parked | None:
        """Returns a sequence with its state, and counts it as used; None where its file turned out to be damaged."""
        if isinstance(found, Parked):
            with self._lock:
                if parked := self._held.pop(_key(found), None):
                    self._held[_key(found)] = parked
            return found
        stored = self._store.load(found) if self._store is not None else None
        if stored is None:
            return None
        points, seconds = stored.checkpoints, found.prefill_seconds
        return Parked("", found.packed, stored.grid, stored.state, points, seconds=seconds, cut=found.cut)

    def drop(self, found: Found) -> None:
        """Forgets what could not be read, or llama.cpp would not take."""
        with self._lock:
            if isinstance(found, Parked):
                self._held.pop(_key(found), None)
            else:
                self._refused.add(found.path)

    def longest(self, most: int) -> int:
        """Returns the tokens of the longest chat on disk, among those of at most so many."""
        entries = self._store.entries() if self._store is not None else ()
        return max((entry.tokens for entry in entries if entry.tokens <= most), default=0)

    def has_forgotten(self, chat: str) -> bool:
        """Returns whether nothing of a chat is to be kept."""
        return chat in self._forgotten

    def write(self, parked: Parked, *, unless_new: int = 1) -> None:
        """Has a sequence written to disk, where it may be and is worth it; soon, in another thread.

        Args:
            parked: the sequence.
            unless_new: left alone where fewer of its tokens than this are in no file of its chat.
        """
        least = LEAST_SHARED if parked.shared else LEAST_STORED
        if self._store is None or not (parked.store and parked.chat) or parked.tokens < least:
            return
        if self._unsaved(self._store, parked) < unless_new:
            return
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write_all, name="kv-writer", daemon=True)
            self._writer.start()
        with self._quiet:
            self._unwritten += 1
        self._to_write.put(parked)

    def write_all(self) -> None:
        """Has everything written that is in memory alone."""
        with self._lock:
            held = list(self._held.values())
        for parked in held:
            self.write(parked)

    def flush(self, seconds: float) -> bool:
        """Waits until everything is on disk; returns whether it is."""
        deadline = time.monotonic() + seconds
        with self._quiet:
            return self._quiet.wait_for(lambda: not self._unwritten, max(0.0, deadline - time.monotonic()))

    def forget(self, chat: str) -> None:
        """Drops all that is kept of a chat; nothing of it is kept from now on. Safe from any thread."""
        with self._lock:
            self._forgotten.add(chat)
            for key in [key for key in self._held if key[0] == chat]:
                del self._held[key]
        if self._store is not None:
            self._store.forget(chat)

    @staticmethod
    def _unsaved(store: KvStore, parked: Parked) -> int:
        """Returns how many of a sequence's last tokens are in no file of its chat."""
        name = chat_name(parked.chat)
        own = [entry for entry in store.entries() if entry.chat == name and (entry.shared or not parked.shared)]
        return parked.tokens - max((common_prefix(entry.packed, parked.packed) for entry in own), default=0)

    def _over_budget(self) -> list[Parked]:
        """Takes out the least recently used until the rest fits; the newest too, if it alone is too large."""
        total, evicted = sum(parked.size for parked in self._held.values()), []
        for key in list(self._held):
            if total <= self._budget:
                break
            evicted.append(self._held.pop(key))
            total -= evicted[-1].size
        return evicted

    def _write_all(self) -> None:
        while (parked := self._to_write.get()) is not None:
            try:
                self._write(parked)
            finally:
                with self._quiet:
                    self._unwritten -= 1
                    self._quiet.notify_all()

    def _write(self, parked: Parked) -> None:
        if self._store is not None and parked.chat not in self._forgotten:
            self._store.save(
                parked.chat,
                array("i", parked.packed),
                parked.state,
                grid=parked.grid if parked.cut in (0, parked.tokens) else 0,  # a file knows no other cut
                checkpoints=parked.checkpoints,
                prefill_seconds=parked.seconds,
                shared=parked.shared,
            )


def _key(parked: Parked) -> tuple[str, bytes]:
    return parked.chat, parked.packed


def _extends(new: Parked, old: Parked) -> bool:
    """Whether a sequence holds all that an older one of its chat holds."""
    return new.chat == old.chat and new.shared == old.shared and new.packed.startswith(old.packed)


def _is_cheaper(new: Found, old: Found) -> bool:
    """Whether a sequence is brought back in less time than another that gives as much."""
    if isinstance(new, Parked) != isinstance(old, Parked):
        return isinstance(new, Parked)
    return new.tokens < old.tokens


def _points(found: Found) -> tuple[int, ...]:
    if isinstance(found, Parked):
        return tuple(point.length for point in found.checkpoints)
    return found.checkpoints
