"""What is asked: stdin, files and arguments joined into one question, bounded and checked to be text.

Documents come first and the question last: small models answer better, and the document stays a reusable prefix.
Knows no model and no chat.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llmchat_tui.errors import InputError, UsageError

_SNIFF = 8192
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read."""

    mebibytes: int = 8

    @property
    def bytes(self) -> int:
        """The limit in bytes, for stdin and for all files together."""
        return self.mebibytes << 20

    def exceeded(self, what: str) -> InputError:
        """Returns the error for input past the limit."""
        hint = f"llmchat config set stdin_limit_mib {self.mebibytes * 4}, or ask about a part of it"
        return InputError(f"{what} is too large", f"more than {self.mebibytes} MiB", hint)


def build_question(
    arguments: Sequence[str],
    files: Sequence[str],
    stdin: BinaryIO | None,
    limits: Limits,
    warn: Warn,
    *,
    needed: bool = True,
) -> str:
    """Returns files, stdin and arguments as one question, a blank line between them.

    Args:
        arguments: The words of the command line; a single "-" among them is replaced by stdin.
        files: Paths, directories and globs of -f; "-" is stdin.
        stdin: The stream, or None where it is a terminal or closed.
        limits: How much is read.
        warn: Told what was replaced or left out.
        needed: Whether there has to be one; else it may be empty.

    Raises:
        InputError: too large, or not text.
        UsageError: there is no question at all, or a file is missing.
    """
    piped = read_stdin(stdin, limits, warn).rstrip("\n") if stdin else ""
    words = [as_text(word) for word in arguments]
    placed = "-" in words
    if not stdin and (placed or "-" in files):
        raise UsageError("'-' stands for stdin, and nothing is piped in", hint="cat FILE | llmchat ask - 'question'")
    question = " ".join(piped if word == "-" else word for word in words)
    documents = list(_documents([name for name in files if name != "-"], limits, warn))
    parts = (*documents, "" if placed else piped, question)
    joined = "\n\n".join(part for part in parts if part.strip())
    if needed and not joined:
        raise UsageError("there is no question", hint="llmchat ask 'Why is the sky blue?'")
    return joined


def piped_stdin() -> BinaryIO | None:
    """Returns stdin where something may be piped into it."""
    try:
        if sys.stdin is None or sys.stdin.isatty():
            return None
        return sys.stdin.buffer
    except (ValueError, OSError, AttributeError):
        return None


def as_text(argument: str) -> str:
    """Returns an argument or a file name as text; its bytes that are not UTF-8 are replaced."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_stdin(stream: BinaryIO, limits: Limits, warn: Warn) -> str:
    """Returns the text that is piped in.

    Raises:
        InputError: too large, or not text.
    """
    data = stream.read(limits.bytes + 1)
    if len(data) > limits.bytes:
        raise limits.exceeded("stdin")
    return decode(data, "stdin", warn)


def read_text(path: Path, limits: Limits, warn: Warn) -> str:
    """Returns the text of one file.

    Raises:
        InputError: it is no file, too large, or not text.
        OSError: it cannot be read.
    """
    data = read_regular(path, limits.bytes)
    if len(data) > limits.bytes:
        raise limits.exceeded(str(path))
    return decode(data, str(path), warn)


def decode(data: bytes, name: str, warn: Warn) -> str:
    """Returns bytes as text; what is not UTF-8 is replaced and told.

    Raises:
        InputError: it looks binary.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:_SNIFF]:
        raise InputError(f"{name} looks binary", "it has a NUL byte in its first 8 KiB", "give it as text")
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\0", "\ufffd")
    if lost := text.count("\ufffd") - data.count("\ufffd".encode()):
        warn(f"{name} is not UTF-8 text everywhere: {lost:,} characters were replaced")
    return text


def _documents(names: Sequence[str], limits: Limits, warn: Warn) -> Iterator[str]:
    """Yields each file under a header with its name."""
    reader = Reader(limits, warn)
    for name, explicit in _expand(names):
        try:
            yield reader.read(name, Path(name))
        except (InputError, UsageError) as error:
            if explicit or reader.full:
                raise
            warn(f"left out {name}: {error.why or error.what}")


def header(name: str) -> str:
    """Returns the line that stands over the text of a file."""
    return f"--- {as_text(name)} ---\n"


class Reader:
    """Reads files one after another; the limit is for all of them together."""

    def __init__(self, limits: Limits, warn: Warn) -> None:
        self._limits, self._warn = limits, warn
        self._left = limits.bytes

    @property
    def full(self) -> bool:
        """Whether the limit is passed."""
        return self._left < 0

    def read(self, name: str, path: Path) -> str:
        """Returns a file's text under a header with its name.

        Raises:
            InputError: it is no file, not text, or too large together with those before it.
            UsageError: it cannot be read.
        """
        try:
            data = read_regular(path, max(0, self._left))
        except OSError as error:
            raise UsageError(f"{name} cannot be read", error.strerror or str(error)) from error
        text = decode(data, name, self._warn)
        self._left -= len(data)
        if self.full:
            raise self._limits.exceeded("the text of all files together")
        return f"{header(name)}{text.rstrip()}"


def read_regular(path: Path, limit: int) -> bytes:
    """Returns the bytes of a regular file, one more than `limit` at most; never waits on a pipe or a device.

    Raises:
        InputError: it is no file.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{path} is not a file", "it is a pipe, a device or a socket")
        return file.read(limit + 1)


def _expand(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yields (file, named by the user himself), directories walked and globs matched, in order."""
    for name in names:
        if os.path.isdir(name):
            yield from ((found, False) for found in _walk(name))
        elif os.path.lexists(name):
            yield name, True
        elif matches := sorted(glob.glob(name, recursive=True)):
            yield from _expand_matches(matches)
        else:
            raise UsageError(f"there is no file {name}", "-f takes files, directories and globs")


def _expand_matches(matches: Sequence[str]) -> Iterator[tuple[str, bool]]:
    for match in matches:
        if not os.path.isdir(match):
            yield match, False


def _walk(directory: str) -> Iterator[str]:
    """Yields the files of a directory in order, hidden ones and links to elsewhere left out."""
    for root, folders, files in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(root, name)
            if not name.startswith(".") and not os.path.islink(path):
                yield path
