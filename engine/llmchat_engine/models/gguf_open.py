"""Opens a model file without ever hanging, and says what a file is that is no GGUF.

Knows the first bytes of other formats and how files can be unreadable; knows nothing inside a GGUF header.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmchat_engine.errors import ModelMissing, ModelUnreadable
from llmchat_engine.models.gguf_parse import Refused

AGAIN = "download it again"
CONVERT = "choose a GGUF file of this model: most are published in one"

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_PREFIXES: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    (
        (b"lmgg", b"fmgg", b"tjgg", b"algg"),
        "it is an old GGML file, a format from before GGUF",
        "download it in today's format",
    ),
    ((b"version https://git-lfs",), "it is a Git LFS pointer, not the model", "fetch the model itself: git lfs pull"),
    ((b"PK\x03\x04",), "it is a zip archive or a PyTorch file, not a GGUF", CONVERT),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "it is a pickle or PyTorch file, not a GGUF", CONVERT),
    ((b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh", b"7z\xbc\xaf"), "it is compressed", "unpack it first"),
    ((b"\x89HDF",), "it is an HDF5 file, not a GGUF", CONVERT),
)
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml")


def stat_model(path: Path) -> os.stat_result:
    """Looks at a model file without opening it.

    Args:
        path: The model file.

    Returns:
        Its status.

    Raises:
        ModelMissing: There is no such file, or this user may not look at it.
    """
    with _explained(path):
        return os.stat(path)


@contextmanager
def open_model(path: Path) -> Iterator[int]:
    """Opens a regular file for reading.

    Args:
        path: The model file.

    Yields:
        Its file descriptor, closed at the end.

    Raises:
        ModelMissing: There is no such file, or this user may not read it.
        ModelUnreadable: It is a directory, a pipe, a device or a socket, or it is empty.
    """
    _refuse_special(path, stat_model(path))
    with _explained(path):
        # A FIFO without a writer hangs a plain open for ever; the flag and the second look cover a swap after the stat.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_special(path, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what the system says about a path into ModelMissing."""
    what = f"cannot load the model {path}"
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ModelMissing(what, "there is no such file", _neighbours(path)) from None
    except PermissionError:
        raise ModelMissing(what, "this user may not read it", f"allow it: chmod u+r {path}") from None
    except (OSError, ValueError) as error:
        raise ModelMissing(what, getattr(error, "strerror", None) or str(error), "check the path") from error


def refuse_foreign(head: bytes) -> None:
    """Refuses what is no GGUF that llama.cpp reads, by its first bytes.

    Args:
        head: The first bytes of the file, 512 are enough.

    Raises:
        Refused: With the name of the format where it is known.
    """
    if head[:4] == b"GGUF":
        _refuse_version(head[4:8])
        return
    for prefixes, why, hint in _PREFIXES:
        if head.startswith(prefixes):
            raise Refused(why, hint)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES):
        raise Refused("it is a web page, not a model: the server sent HTML instead of the file", AGAIN)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        raise Refused("it is a safetensors file, not a GGUF", CONVERT)
    if text.startswith((b"{", b"[")):
        raise Refused("it is JSON, not a model: perhaps the error message of a server", AGAIN)
    if head[:4] == b"FUGG":
        raise Refused("it is a big-endian GGUF, made for another kind of machine", "choose the little-endian file")
    raise Refused("it is no GGUF file: it does not begin with GGUF", CONVERT)


def _refuse_version(raw: bytes) -> None:
    version = int.from_bytes(raw, "little")
    if len(raw) < 4 or version in (2, 3):
        return
    if version & 0xFFFF == 0 and version:
        raise Refused("it is a big-endian GGUF, made for another kind of machine", "choose the little-endian file")
    if version == 1:
        raise Refused("it is a GGUF of version 1, which llama.cpp no longer reads", "download it in today's format")
    if 3 < version < 100:
        raise Refused(f"it is a GGUF of version {version}, newer than this llmchat reads", "update llmchat")
    raise Refused(f"its header is damaged: version {version:,} does not exist", AGAIN)


def _refuse_special(path: Path, status: os.stat_result) -> None:
    what, mode = f"cannot load the model {path}", status.st_mode
    if stat.S_ISDIR(mode):
        raise ModelUnreadable(what, "it is a directory, not a model file", _inside(path))
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise ModelUnreadable(what, f"it is {name}, not a file", "name a .gguf file")
    if status.st_size == 0:
        raise ModelUnreadable(what, "the file is empty", AGAIN)


def _inside(directory: Path) -> str:
    names = _gguf_names(directory)
    return f"name a file in it: {', '.join(names[:3])}" if names else "name a .gguf file"


def _neighbours(path: Path) -> str:
    """Returns a hint with the most alike .gguf files of the same directory."""
    names = _gguf_names(path.parent)
    if not names:
        return "check the path" if path.parent.is_dir() else f"there is no directory {path.parent}"
    from difflib import get_close_matches

    close = get_close_matches(path.name, names, n=3, cutoff=0.3) or names[:3]
    return f"in that directory: {', '.join(close)}"


def _gguf_names(directory: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.lower().endswith(".gguf"))
    except OSError:
        return []
