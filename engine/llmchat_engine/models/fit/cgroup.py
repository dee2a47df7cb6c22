"""Where this process stands in the control groups of Linux, versions 1 and 2. Empty elsewhere.

Finds directories and reads numbers; what they mean is for memory.py and cpu.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
ROOT = Path("/sys/fs/cgroup")


def groups(controller: str, proc: Path = PROC, root: Path = ROOT) -> Iterator[Path]:
    """Yields the groups that limit this process, its own first, then each one above it.

    Args:
        controller: "memory" or "cpu".
        proc: The proc file system.
        root: Where the control groups are mounted.

    Yields:
        Directories that exist. In a container the path of the own group may lie outside what is mounted; then only the
        mount itself is left, and that is the container's group.
    """
    for line in read_text(proc / "self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0":
            base = root
        elif controller in names.split(","):
            base = root / controller
        else:
            continue
        group = base / path.lstrip("/")
        for directory in (group, *group.parents):
            if directory.is_dir():
                yield directory
            if directory == base:
                break


def read_text(path: Path) -> str:
    """Returns what a small file of the kernel says, nothing where it is missing."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def read_number(path: Path) -> int | None:
    """Returns the number a file holds; None where it is missing or says "max"."""
    text = read_text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None
