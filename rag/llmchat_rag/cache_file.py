"""The files that hold an index of vectors between two runs: their names, what is written beside them, their checksums.

A cache is never changed, only replaced. Knows nothing of what is in it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llmchat_rag.store import Position

_NAME = re.compile(r"vec-(\d+)-[0-9a-f]{8}\.json")


@dataclass(frozen=True, slots=True)
class CacheFile:
    """A cache, as the file beside it describes it."""

    path: Path
    kind: str
    generation: int
    stamp: str
    dimension: int
    count: int
    size: int
    mtime_ns: int
    blake2b: str
    runs: tuple[tuple[int, int, int], ...]
    """First id, last id and collection of what it holds."""
    dead: tuple[int, ...] = ()
    """Ids in it that are not to be found."""

    @property
    def position(self) -> Position:
        """Which state of the store it holds."""
        return Position(self.generation, self.stamp)

    def looks_whole(self) -> bool:
        """Returns whether size and time are those that were written: a stat, 10 µs."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)

    def is_whole(self) -> bool:
        """Returns whether every byte is what was written: 0.1 s for 100,000 vectors."""
        try:
            return self.path.stat().st_size == self.size and _digest(self.path) == self.blake2b
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Description:
    """What a writer says of its cache."""

    kind: str
    position: Position
    dimension: int
    count: int
    runs: Sequence[tuple[int, int, int]]
    dead: Sequence[int]


def caches(folder: Path) -> list[CacheFile]:
    """Returns the caches of a folder, newest first; what cannot be understood is none."""
    found = [_read(path) for path in folder.glob("vec-*.json") if _NAME.fullmatch(path.name)]
    return sorted((cache for cache in found if cache), key=lambda cache: -cache.generation)


def write(folder: Path, what: Description, save: Callable[[Path], None]) -> CacheFile:
    """Writes a cache and then its description, each whole or not at all, and removes what it replaces.

    Args:
        folder: of the store.
        what: its description.
        save: writes the index to a path.

    Raises:
        OSError: it cannot be written.
    """
    stem = f"vec-{what.position.generation}-{secrets.token_hex(4)}"
    path, temporary = folder / f"{stem}.faiss", folder / f"{stem}.faiss.tmp"
    try:
        _private(temporary)
        save(temporary)
        _settle(temporary, path)
        cache = _described(path, what)
        values: dict[str, Any] = {name: value for name, value in asdict(cache).items() if name != "path"}
        described = folder / f"{stem}.json.tmp"
        _private(described)
        described.write_text(json.dumps(values), encoding="ascii")
        _settle(described, folder / f"{stem}.json")
    except BaseException:
        for leftover in folder.glob(f"{stem}.*"):
            leftover.unlink(missing_ok=True)
        raise
    _sync(folder)
    forget(folder, keep=path)
    return cache


def forget(folder: Path, keep: Path | None = None) -> None:
    """Removes the caches of a folder, but for one; a process that has one open goes on with it."""
    kept = {keep.name, f"{keep.stem}.json"} if keep else set()
    for path in folder.glob("vec-*"):
        newer = keep is not None and _generation(path) > _generation(keep)
        if path.name not in kept and not newer:
            with suppress(OSError):
                path.unlink()


def _generation(path: Path) -> int:
    digits = path.name.split("-")[1] if path.name.count("-") else ""
    return int(digits) if digits.isdigit() else 0


def _described(path: Path, what: Description) -> CacheFile:
    stat = path.stat()
    return CacheFile(
        path=path,
        kind=what.kind,
        generation=what.position.generation,
        stamp=what.position.stamp,
        dimension=what.dimension,
        count=what.count,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        blake2b=_digest(path),
        runs=tuple(what.runs),
        dead=tuple(what.dead),
    )


def _read(path: Path) -> CacheFile | None:
    try:
        values = json.loads(path.read_text(encoding="ascii"))
        numbers = [int(values[name]) for name in ("generation", "dimension", "count", "size", "mtime_ns")]
        texts = [str(values[name]) for name in ("kind", "stamp", "blake2b")]
        runs = tuple((int(first), int(last), int(owner)) for first, last, owner in values["runs"])
        dead = tuple(int(key) for key in values["dead"])
        bytes.fromhex(texts[1])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    generation, dimension, count, size, mtime_ns = numbers
    kind, stamp, digest = texts
    return CacheFile(
        path.with_suffix(".faiss"), kind, generation, stamp, dimension, count, size, mtime_ns, digest, runs, dead
    )


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _private(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def _settle(temporary: Path, path: Path) -> None:
    _sync(temporary)
    temporary.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
