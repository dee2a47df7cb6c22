"""What was pulled into the models directory: a record per file, the parts of unfinished downloads, and their removal.

Knows our own directory alone: nothing without a record or a part of ours is ever removed. Knows no network.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.errors import ModelMissing
from llmchat_engine.models.disk import being_written, disk_error, write_private
from llmchat_engine.models.file_lock import FileLock, locked, try_lock
from llmchat_engine.models.hub.names import is_safe_path
from llmchat_engine.models.hub.parts import LOCK, beside, is_part, read_note, remove_part, target_of

RECORDS = ".llmchat.json"
_RECORDS_LOCK = ".llmchat.lock"
_LARGEST = 4 << 20
_PARTS = re.compile(r"^(?P<stem>.*)-\d{5}-of-(?P<parts>\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """Where a pulled file comes from. All text is from outside."""

    path: Path
    repo: str
    commit: str
    sha256: str
    size: int
    licence: str
    pulled_at: str
    """In UTC, as "2026-11-22T19:50:58Z"."""
    base_model: str


def records(models_dir: Path) -> tuple[Record, ...]:
    """Returns the records of the files that are there, by path.

    Args:
        models_dir: Where models are kept; it need not exist. Records that cannot be read are left out.
    """
    found = [record for folder in _repo_folders(models_dir) for record in read_records(folder)]
    return tuple(sorted((record for record in found if os.path.lexists(record.path)), key=lambda record: record.path))


def record_of(models_dir: Path, path: Path) -> Record | None:
    """Returns the record of a file; None where it was not pulled by llmchat.

    Args:
        models_dir: Where models are kept.
        path: The file, in any spelling.
    """
    inside = _inside(models_dir, path)
    if inside is None or len(inside.parts) < 3:
        return None
    wanted = models_dir / inside
    return next((one for one in read_records(models_dir.joinpath(*inside.parts[:2])) if one.path == wanted), None)


def partial(models_dir: Path) -> tuple[Path, ...]:
    """Returns the unfinished downloads, each as the path that the file will have."""
    found = []
    for folder in _repo_folders(models_dir):
        for parent, _, names in os.walk(folder):
            found += [target_of(Path(parent, name)) for name in names if is_part(name)]
    # Other work on large files has parts too; those of a download have a note.
    return tuple(sorted(target for target in found if read_note(target) is not None))


def remove(models_dir: Path, path: Path) -> tuple[Path, ...]:
    """Removes a pulled model: of a split one all parts, of an unfinished one what is there; a folder with all in it.

    Args:
        models_dir: Where models are kept.
        path: The model's file as `records` or `partial` names it, or the folder of a repository.

    Returns:
        What was removed. Links are removed themselves; what they point to never is.

    Raises:
        ModelMissing: llmchat pulled nothing there, or is at it right now.
        DiskUnwritable: The system refuses it.
    """
    inside = _inside(models_dir, path)
    folder = models_dir.joinpath(*inside.parts[:2]) if inside is not None and len(inside.parts) >= 2 else None
    if inside is None or folder is None or folder.is_symlink() or folder.parent.is_symlink():
        raise _not_ours(path)
    wanted = models_dir / inside
    ours = {*(record.path for record in read_records(folder)), *(one for one in partial(models_dir))}
    chosen = sorted(one for one in ours if one == wanted or wanted == folder or _same_model(one, wanted))
    chosen = [one for one in chosen if one.is_relative_to(folder)]
    if not chosen:
        raise _not_ours(path)
    try:
        return _removed(folder, chosen)
    except OSError as error:
        raise disk_error(error, path, f"remove {path}") from None


def keep_record(folder: Path, record: Record) -> None:
    """Writes down that a file was pulled, in place of what was written of it before.

    Args:
        folder: The repository's.
        record: Its path is inside the folder.

    Raises:
        OSError: It cannot be written.
    """
    with locked(folder / _RECORDS_LOCK):
        others = [other for other in read_records(folder) if other.path != record.path]
        _write(folder, [*others, record])


def read_records(folder: Path) -> list[Record]:
    """Returns the records of one repository's folder; none where they cannot be read."""
    try:
        with open(folder / RECORDS, "rb") as file:
            told = json.loads(file.read(_LARGEST))
        files = told["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return [record for name, fields in files if (record := _record(folder, name, fields)) is not None]


def remove_empty(folder: Path, models_dir: Path) -> None:
    """Removes a folder inside the models directory, and those above it, where nothing is in them."""
    with contextlib.suppress(OSError):
        while folder != models_dir and folder.is_relative_to(models_dir):
            folder.rmdir()
            folder = folder.parent


def _record(folder: Path, name: object, fields: object) -> Record | None:
    """Returns one record; None where it is damaged or leads out of its folder."""
    if not isinstance(name, str) or not isinstance(fields, dict) or not is_safe(name):
        return None
    texts = [fields.get(key) for key in ("repo", "commit", "sha256", "licence", "pulled_at", "base_model")]
    size = fields.get("size")
    if not isinstance(size, int) or not all(isinstance(text, str) for text in texts):
        return None
    repo, commit, sha256, licence, pulled_at, base_model = map(str, texts)
    return Record(folder / name, repo, commit, sha256, size, licence, pulled_at, base_model)


def is_safe(name: str) -> bool:
    """Returns whether a path inside a repository stays there, and is none of the names that llmchat uses itself."""
    return is_safe_path(name) and not any(part.startswith(".") for part in name.split("/"))


def _write(folder: Path, kept: list[Record]) -> None:
    if not kept:
        for path in (folder / RECORDS, being_written(folder / RECORDS)):
            path.unlink(missing_ok=True)
        return
    files = {
        record.path.relative_to(folder).as_posix(): {
            "repo": record.repo,
            "commit": record.commit,
            "sha256": record.sha256,
            "size": record.size,
            "licence": record.licence,
            "pulled_at": record.pulled_at,
            "base_model": record.base_model,
        }
        for record in sorted(kept, key=lambda one: one.path)
    }
    write_private(folder / RECORDS, json.dumps({"version": 1, "files": files}, indent=1).encode() + b"\n")


def _removed(folder: Path, chosen: list[Path]) -> tuple[Path, ...]:
    locks = list(_locks(chosen))
    removed: list[Path] = []
    try:
        if len(locks) < len(chosen):
            raise ModelMissing(f"cannot remove {chosen[0]}", "llmchat is downloading it", "stop that download first")
        for path in chosen:
            if os.path.lexists(path):
                path.unlink()
                removed.append(path)
            removed += remove_part(path)
        with locked(folder / _RECORDS_LOCK):
            _write(folder, [record for record in read_records(folder) if record.path not in chosen])
    finally:
        for lock in locks:
            lock.release()
    for path in chosen:
        remove_empty(path.parent, folder.parent.parent)
    return tuple(removed)


def _locks(chosen: list[Path]) -> Iterator[FileLock]:
    for path in chosen:
        lock = try_lock(beside(path, LOCK))
        if lock is None:
            return
        yield lock


def _same_model(one: Path, other: Path) -> bool:
    """Returns whether two files are parts of one split model."""
    mine, theirs = _PARTS.match(one.name), _PARTS.match(other.name)
    if mine is None or theirs is None or one.parent != other.parent:
        return False
    return mine.groups() == theirs.groups()


def _inside(models_dir: Path, path: Path) -> Path | None:
    """Returns a path relative to the models directory; links are followed in the way to it, not at the file itself."""
    absolute = Path(os.path.abspath(path))
    for base, tried in (
        (Path(os.path.abspath(models_dir)), absolute),
        (models_dir.resolve(), absolute.parent.resolve() / absolute.name),
    ):
        if tried.is_relative_to(base):
            return tried.relative_to(base)
    return None


def _repo_folders(models_dir: Path) -> Iterator[Path]:
    """Yields the folders two levels down: as user/name. Links are not followed."""
    for user in _folders(models_dir):
        yield from _folders(user)


def _folders(directory: Path) -> list[Path]:
    try:
        with os.scandir(directory) as found:
            return sorted(Path(entry) for entry in found if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _not_ours(path: Path) -> ModelMissing:
    hint = (
        f"remove it yourself: rm {shlex.quote(str(path))}" if os.path.lexists(path) else "see what there is: llmchat ls"
    )
    return ModelMissing(f"cannot remove {path}", "llmchat did not pull it", hint)
