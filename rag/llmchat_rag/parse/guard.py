"""The limits of a parser process, which it sets itself before it reads its first file. Knows no formats.

The kernel's limits hold for the C libraries, too. The audit hook is the second line: it sees what Python code does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys

_MOST_FILES = 64
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = ("socket.", "subprocess.", "shutil.", "ftplib.", "http.", "urllib.", "smtplib.", "webbrowser.")
_FORBIDDEN_CALLS = frozenset(
    {
        "os.chmod",
        "os.chown",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.kill",
        "os.link",
        "os.mkdir",
        "os.posix_spawn",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.spawn",
        "os.symlink",
        "os.system",
        "os.truncate",
        "os.utime",
    }
)


def confine(memory: int) -> None:
    """Sets the limits of this process for the rest of its life.

    Args:
        memory: bytes of address space.
    """
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    sys.addaudithook(_refuse)


def allow_processor_time(seconds: int) -> None:
    """Lets this process compute so many seconds more; then the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds + 1, hard))


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # macOS knows RLIMIT_AS and does not take it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 else 0
        if isinstance(flags, int) and flags & _WRITING:
            raise PermissionError("a parser writes no files")
    elif event in _FORBIDDEN_CALLS or event.startswith(_FORBIDDEN):
        raise PermissionError(f"a parser does not use {event}")
