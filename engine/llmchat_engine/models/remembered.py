"""What was learned about a file, kept until that file changes: one small JSON file a path, in a directory of its own.

Knows no GGUF and not what is kept. Nothing here ever fails a caller: what cannot be read or written is not known.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

MOST = 1000
"""Files of one directory; the oldest go."""
_LARGEST = 1 << 20
T = TypeVar("T")


class _Kept(msgspec.Struct):
    """As it stands on disk."""

    identity: tuple[str, int, int, int]
    mark: str
    value: msgspec.Raw


def recall(directory: Path, path: Path, kind: type[T], mark: str = "") -> T | None:
    """Returns what is known of a file; None where nothing is, or the file has changed since.

    Args:
        directory: Where it was remembered.
        path: The file it is about; links to one file know the same.
        kind: What it is: anything that msgspec decodes.
        mark: What it depends on besides the file.
    """
    with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
        identity = _identity(path)
        with _place(directory, identity[0]).open("rb") as file:
            kept = msgspec.json.decode(file.read(_LARGEST), type=_Kept)
        if kept.identity == identity and kept.mark == mark:
            return msgspec.json.decode(kept.value, type=kind, dec_hook=_from_text)
    return None


def remember(directory: Path, path: Path, value: object, mark: str = "") -> None:
    """Keeps a value about a file as it is now; quietly not where the disk refuses, or it is too large.

    Args:
        directory: Made where it is not there.
        path: The file.
        value: What `recall` is to return.
        mark: What it depends on besides the file.
    """
    with contextlib.suppress(OSError, ValueError, TypeError, msgspec.MsgspecError):
        identity = _identity(path)
        raw = msgspec.Raw(msgspec.json.encode(value, enc_hook=_to_text))
        data = msgspec.json.encode(_Kept(identity, mark, raw))
        if len(data) <= _LARGEST:
            _write(_place(directory, identity[0]), data)


def _identity(path: Path) -> tuple[str, int, int, int]:
    """Returns what a file that was replaced or changed does not keep."""
    real = os.path.realpath(path)
    found = os.stat(real)
    # A name need not be Unicode, JSON must be.
    return os.fsencode(real).decode("utf-8", "backslashreplace"), found.st_size, found.st_mtime_ns, found.st_ino


def _place(directory: Path, path: str) -> Path:
    text = path.encode()
    # The path is compared too: two that share 64 bits of checksum only forget each other.
    return directory / f"{zlib.crc32(text):08x}{zlib.crc32(text[::-1]):08x}.json"


def _write(target: Path, data: bytes) -> None:
    from llmchat_engine.models.disk import private_folders

    private_folders(target.parent)
    temporary = target.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _tidy(target.parent)


def _tidy(directory: Path) -> None:
    """Removes the oldest files of a full directory, with what a killed writer left."""
    names = os.listdir(directory)
    if len(names) <= MOST:
        return
    ages = []
    for name in names:
        with contextlib.suppress(OSError):
            ages.append((os.stat(directory / name).st_mtime_ns, name))
    for _, name in sorted(ages)[: len(ages) - MOST * 9 // 10]:
        with contextlib.suppress(OSError):
            (directory / name).unlink()


def _to_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def _from_text(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(kind.__name__)
