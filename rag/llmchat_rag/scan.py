"""What of a folder is new, changed and gone since it was read last; an unchanged file costs a stat. Writes nothing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from llmchat_rag.chunk import CHUNKER
from llmchat_rag.errors import FilesMissing, ParseError, RootMissing
from llmchat_rag.parse.formats import module_of
from llmchat_rag.reading import digest_of
from llmchat_rag.store import Collection, FileState, Library
from llmchat_rag.types import Found, Skipped
from llmchat_rag.walk import walk

HALF = 0.5
"""The share of missing files from which it looks like a disk that is not mounted."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A folder beside what is known of it."""

    states: dict[str, FileState]
    changed: list[Found]
    """New, or of another size or time."""
    skipped: list[Skipped]
    gone: dict[str, int]
    """The path and the document of each file that is to be forgotten."""
    unchanged: int


def scan(library: Library, collection: Collection, *, force: bool, accept_missing: bool) -> Scan:
    """Walks the folder of a collection.

    Args:
        library: the store.
        collection: what is to be brought up to date.
        force: take every file for changed.
        accept_missing: do not ask about files that are gone.

    Raises:
        RootMissing: the folder is not there.
        FilesMissing: half of the files or more are gone.
    """
    states = library.file_states(collection)
    found: list[Found] = []
    skipped: list[Skipped] = []
    try:
        for one in walk(collection.root, include=collection.include, exclude=collection.exclude):
            (found if isinstance(one, Found) else skipped).append(one)  # type: ignore[arg-type]
    except RootMissing as missing:
        hint = f"mount its disk, or forget it: llmchat docs rm {shlex.quote(collection.name)}"
        raise RootMissing(missing.what, missing.why, hint) from missing
    gone = _gone(states, found, skipped)
    if not accept_missing:
        _refuse_sudden_loss(collection, states, found, gone)
    changed = [one for one in found if force or _is_changed(states.get(one.relative), one)]
    fresh = {one.relative for one in changed}
    unchanged = [one.relative for one in found if one.relative not in fresh]
    still = [again for path in unchanged if (again := as_before(path, states[path]))]
    return Scan(states, changed, skipped + still, gone, len(unchanged) - len(still))


def as_before(path: str, state: FileState) -> Skipped | None:
    """Returns what was said when a file was read that is still the same; None where it can be found."""
    return Skipped(path, state.error, failed=state.status == "refused") if state.error else None


def is_outdated(path: str, state: FileState) -> bool:
    """Returns whether a file has to be read again though it is the same: it is read or cut otherwise now."""
    if state.status == "pending":
        return True
    if state.status != "indexed":
        return False
    parser, version = _parser_of(PurePosixPath(path).name)
    return state.chunker != CHUNKER or (state.parser == parser and state.parser_version != version)


@lru_cache(maxsize=4096)
def _parser_of(name: str) -> tuple[str, int]:
    """Returns the name and version of what reads files of this name; the content may ask for another one."""
    module: Any = import_module(f"llmchat_rag.parse.{module_of(name, b'')}")
    return str(module.NAME), int(module.VERSION)


def _is_changed(state: FileState | None, found: Found) -> bool:
    if state is None or is_outdated(found.relative, state):
        return True
    return (state.size, state.mtime_ns) != (found.size, found.mtime_ns)


def _gone(states: dict[str, FileState], found: Sequence[Found], skipped: Sequence[Skipped]) -> dict[str, int]:
    """Returns what was indexed and is not there; under a folder that cannot be read nothing is known to be gone."""
    there = {one.relative for one in found}
    unknown = tuple(one.relative.removesuffix("/") + "/" for one in skipped if one.failed)
    files = {one.relative for one in skipped if one.failed}
    if "" in files:
        return {}
    return {
        path: state.document_id
        for path, state in states.items()
        if path not in there and path not in files and not path.startswith(unknown)
    }


def _refuse_sudden_loss(
    collection: Collection, states: dict[str, FileState], found: Sequence[Found], gone: Iterable[str]
) -> None:
    # What a rule leaves out now is still there, and was meant.
    missing = {path: states[path] for path in gone if not os.path.lexists(collection.root / path)}
    if not missing or len(missing) < HALF * len(states):
        return
    moved = _moved(list(missing.values()), [one for one in found if one.relative not in states])
    if len(missing) - moved >= HALF * len(states):
        raise FilesMissing(collection.name, len(missing) - moved, len(states))


def _moved(missing: Sequence[FileState], new: Sequence[Found]) -> int:
    """Returns how many of the missing files are there under another name."""
    hashes = {state.hash for state in missing}
    sizes = {state.size for state in missing}
    there = {_hash(one.path) for one in new if one.size in sizes}
    return sum(state.hash in there for state in missing) if hashes & there else 0


def _hash(path: Path) -> bytes:
    try:
        return digest_of(path)
    except ParseError:
        return b""
