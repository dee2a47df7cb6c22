"""What was asked and what came of it, one JSON line per question, way and model: how a run is looked into and resumed.

Knows lines and their keys; the replies are judged anew by whoever reads them. A line that a kill cut in half is
overread, and asked again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from llmchat_engine import Request
from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.evaluation.items import Item
from llmchat_tui.paths import private_dir

VERSION = 1
"""Of the keys: another one asks everything again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question that was asked."""

    key: str
    """Of the item, the exact request and the model: what has the same key need not be asked again."""
    item: str
    kind: str
    way: str
    model: str
    model_key: str
    question: str
    expected: str
    reply: str = ""
    """Exact, and without the thought."""
    right: bool = False
    found: str = ""
    """The answer that was found in it."""
    thought: str = ""
    reason: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    seconds: float = 0.0
    votes: dict[str, Any] | None = None
    scores: tuple[float, ...] = ()
    sampling: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    """Why there is no reply; such a question is asked again."""


def key_of(item: Item, way: str, request: Request, model_key: str, recipe: Mapping[str, Any]) -> str:
    """Returns what names one question in one way to one model; a changed word anywhere makes another.

    Args:
        item: the question; its accepted answers do not count, because replies are judged when they are read.
        way: its name.
        request: as it is sent; its own id does not count.
        model_key: of the file's content.
        recipe: as recipe.py packs it.
    """
    sent = {name: value for name, value in asdict(request).items() if name != "id"}
    whole = (VERSION, item.id, item.choices, way, model_key, sent, dict(recipe))
    return hashlib.sha256(msgspec.json.encode(whole, order="deterministic")).hexdigest()[:32]


class Log:
    """The file of a set's replies. One run at a time writes it."""

    def __init__(self, file: FileIO, path: Path, known: dict[str, Entry]) -> None:
        self._file, self.path = file, path
        self._known = known

    @classmethod
    def open(cls, path: Path, *, fresh: bool = False) -> Log:
        """Opens a log, and makes it where it is missing: 0600, in a directory of this user.

        Args:
            path: its file.
            fresh: whether what it holds is dropped.

        Raises:
            UsageError: another run writes it, or it is no file of its own.
            StorageUnwritable: it cannot be written.
        """
        private_dir(path.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except IsADirectoryError as error:
            raise UsageError(f"cannot write {path}", "it is a directory", "--log FILE.jsonl") from error
        except OSError as error:
            raise StorageUnwritable(f"cannot write {path}", error.strerror or "", "--log FILE.jsonl") from error
        file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115 - closed by close()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()  # a device or a pipe: some never end
            raise UsageError(f"cannot write {path}", "it is no ordinary file", "--log FILE.jsonl")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if fresh:
                file.truncate()
            return cls(file, path, _read(file))
        except BlockingIOError as error:
            file.close()
            raise UsageError(f"another run writes {path}", "two would mix their lines", "--log OTHER.jsonl") from error
        except OSError as error:
            file.close()
            raise StorageUnwritable(f"cannot write {path}", error.strerror or "", "--log FILE.jsonl") from error

    def find(self, key: str) -> Entry | None:
        """Returns what is known of a question; one that failed counts as not asked."""
        entry = self._known.get(key)
        return None if entry is None or entry.error else entry

    def add(self, entry: Entry) -> None:
        """Writes a line; neither a kill nor a pulled plug afterwards loses it.

        Raises:
            StorageUnwritable: no space, for instance.
        """
        line = msgspec.json.encode(entry) + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise StorageUnwritable(f"cannot write {self.path}", "there is no space for a line", "--log FILE.jsonl")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StorageUnwritable(f"cannot write {self.path}", error.strerror or "", "--log FILE.jsonl") from error
        self._known[entry.key] = entry

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def _read(file: FileIO) -> dict[str, Entry]:
    """Returns the entries of a log by key; its end is left where a line may begin."""
    file.seek(0)
    data = file.readall()
    known: dict[str, Entry] = {}
    for line in data.split(b"\n"):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        known[entry.key] = entry
    if data and not data.endswith(b"\n"):
        file.write(b"\n")
    return known
