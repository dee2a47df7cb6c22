"""A file while it is downloaded: hidden beside its place, with a note of what it is a part of; renamed when whole.

Knows files alone. Every piece goes to the system at once, so a killed program loses none of what it had.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from llmchat_engine.durable import sync_directory
from llmchat_engine.models.disk import being_written, write_private

PART, NOTE, LOCK = ".part", ".part.json", ".lock"
_STEP = 1 << 20


@dataclass(frozen=True, slots=True)
class Note:
    """Which file a part belongs to."""

    size: int
    sha256: str
    etag: str = ""
    """The server's name for its contents; empty where it gave none that can be relied on."""


def beside(target: Path, ending: str) -> Path:
    """Returns the hidden companion of a file. No file of a hub gets such a name: those with a dot first are refused."""
    return target.with_name(f".{target.name}{ending}")


def target_of(part: Path) -> Path:
    """Returns the file that a part becomes."""
    return part.with_name(part.name[1 : -len(PART)])


def is_part(name: str) -> bool:
    """Returns whether a file of this name is a part."""
    return name.startswith(".") and name.endswith(PART) and len(name) > len(PART) + 1


def kept_bytes(target: Path, size: int, sha256: str) -> int:
    """Returns how much of this very file is in its part; 0 where there is none or it is another file's."""
    note = read_note(target)
    if note is None or (note.size, note.sha256) != (size, sha256):
        return 0
    try:
        status = beside(target, PART).lstat()
    except OSError:
        return 0
    # A whole part without a promised sha256 cannot be told from another version of the same size.
    most = size if sha256 else size - 1
    return status.st_size if stat.S_ISREG(status.st_mode) and status.st_size <= most else 0


def read_note(target: Path) -> Note | None:
    """Returns the note beside a part; None where it is missing or damaged."""
    try:
        with open(beside(target, NOTE), "rb") as file:
            told = json.loads(file.read(4096))
        note = Note(int(told["size"]), str(told["sha256"]), str(told["etag"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note


def remove_part(target: Path) -> list[Path]:
    """Removes the part of a file and what belongs to it; returns what was there.

    Raises:
        OSError: One of them cannot be removed.
    """
    removed = []
    note = beside(target, NOTE)
    for path in (beside(target, PART), note, being_written(note)):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        removed.append(path)
    return removed


class Part:
    """An open part: bytes are appended, their sha256 grows along."""

    def __init__(self, target: Path, size: int, sha256: str) -> None:
        """Opens it, or begins it; what is there of another file is dropped.

        Raises:
            OSError: It cannot be made, or something else stands in its place.
        """
        self.target = target
        self.size = size
        self.sha256 = sha256
        self.here = kept_bytes(target, size, sha256)
        note = read_note(target)
        self.etag = note.etag if note is not None and self.here else ""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(beside(target, PART), flags, 0o600)
        self._digest = hashlib.sha256()
        try:
            os.ftruncate(self._descriptor, self.here)
        except OSError:
            self.close()
            raise

    @property
    def whole(self) -> bool:
        """Whether all bytes are here."""
        return self.here == self.size

    @property
    def intact(self) -> bool:
        """Whether what is here has the promised sha256; true where the hub promised none."""
        return not self.sha256 or self._digest.hexdigest() == self.sha256

    @property
    def digest(self) -> str:
        """The sha256 of what is here."""
        return self._digest.hexdigest()

    def reread(self) -> Iterator[int]:
        """Reads what an earlier run left, for the sha256; yields how far it is."""
        self._digest = hashlib.sha256()
        done = 0
        while done < self.here and (piece := os.pread(self._descriptor, min(_STEP, self.here - done), done)):
            self._digest.update(piece)
            done += len(piece)
            yield done
        self.here = done

    def note(self, etag: str) -> None:
        """Writes down what this is a part of.

        Raises:
            OSError: It cannot be written.
        """
        self.etag = etag
        told = asdict(Note(self.size, self.sha256, etag))
        write_private(beside(self.target, NOTE), json.dumps(told).encode())

    def append(self, piece: bytes) -> None:
        """Adds bytes at the end.

        Raises:
            OSError: The disk is full, or gone. What was written until then counts.
        """
        rest = memoryview(piece)
        while rest.nbytes:
            written = os.pwrite(self._descriptor, rest, self.here)
            self._digest.update(rest[:written])
            self.here += written
            rest = rest[written:]

    def restart(self) -> None:
        """Drops every byte.

        Raises:
            OSError: The system refuses it.
        """
        os.ftruncate(self._descriptor, 0)
        self.here = 0
        self.etag = ""
        self._digest = hashlib.sha256()

    def drop_if_empty(self) -> None:
        """Removes a part without a byte, as a refused download leaves it.

        Raises:
            OSError: It cannot be removed.
        """
        if not self.here and self.size:
            remove_part(self.target)

    def sync(self) -> None:
        """Has every byte survive a power cut; takes seconds for a large file on a slow disk.

        Raises:
            OSError: The disk refuses it.
        """
        os.fsync(self._descriptor)

    def finish(self) -> None:
        """Gives the whole file its name, after `sync`: a power cut leaves the part or the file, never half of a file.

        Raises:
            OSError: It cannot be renamed.
        """
        os.replace(beside(self.target, PART), self.target)
        sync_directory(self.target.parent)
        beside(self.target, NOTE).unlink(missing_ok=True)

    def close(self) -> None:
        """Closes it; what is here stays."""
        os.close(self._descriptor)
