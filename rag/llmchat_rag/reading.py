"""One file to its bytes: regular files only, no links, never more than asked for.

Knows no formats. What is a FIFO, a device or a link by the time it is opened is refused and not waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from llmchat_rag.errors import ParseError

MAX_BYTES = 50 << 20
"""Of one file."""

_PIECE = 1 << 20
# Without O_NONBLOCK the opening of a FIFO waits for a writer; with O_NOCTTY no terminal becomes ours.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_REASONS = {
    errno.ELOOP: "it is a symbolic link",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "it is gone",
    errno.ENXIO: "it is a socket or a device",
}


def reason_of(error: OSError) -> str:
    """Returns why a file or folder cannot be read, in words for the user."""
    return _REASONS.get(error.errno or 0) or error.strerror or type(error).__name__


def too_large(size: int, limit: int) -> str:
    """Returns what is said of a file over the limit."""
    return f"larger than {limit / (1 << 20):,.0f} MB ({size / (1 << 20):,.0f} MB)"


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Returns the bytes of a regular file.

    Raises:
        ParseError: it is none, is too large, or cannot be read.
    """
    return b"".join(_pieces(path, limit))


def digest_of(path: Path) -> bytes:
    """Returns what the content of a regular file is known by, without holding it.

    Raises:
        ParseError: it is none, is too large, or cannot be read.
    """
    digest = blake2b(digest_size=16)
    for piece in _pieces(path, MAX_BYTES):
        digest.update(piece)
    return digest.digest()


def _pieces(path: Path, limit: int) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise ParseError(reason_of(error) if isinstance(error, OSError) else "its name cannot be opened") from error
    try:
        # Hours may have passed since the walk: a folder that has become a link since is not followed either.
        if os.path.realpath(path.parent) != os.fspath(path.parent):
            raise ParseError("it is behind a symbolic link")
        yield from _read(descriptor, limit)
    except OSError as error:
        raise ParseError(reason_of(error)) from error
    finally:
        os.close(descriptor)


def _read(descriptor: int, limit: int) -> Iterator[bytes]:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        raise ParseError("it is no regular file")
    if state.st_size > limit:
        raise ParseError(too_large(state.st_size, limit))
    size = 0
    # Not to the size that is known: files of /proc say 0, and a log grows while it is read.
    while piece := os.read(descriptor, _PIECE):
        size += len(piece)
        if size > limit:
            raise ParseError(too_large(size, limit))
        yield piece
