"""How much memory this process may still take, and what sets the limit.

Asks the machine, the control groups and the process's own limits. Knows nothing of models.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.models.fit.cgroup import PROC, ROOT, groups, read_number, read_text

ADDRESS_SPACE_SLACK = 256 << 20
"""Thread stacks and heaps reserve addresses they never fill: 260 MiB more than was used, measured with four threads."""


@dataclass(frozen=True, slots=True)
class Free:
    """Bytes that can be taken, and the words for what sets this limit."""

    bytes: int
    limited_by: str


def memory_free(proc: Path = PROC, root: Path = ROOT) -> Free:
    """Returns the tightest of all limits.

    Args:
        proc: The proc file system.
        root: Where the control groups are mounted.

    Returns:
        What is free. Pages of files that can be dropped count as free.
    """
    limits = [Free(_machine(proc), "the memory of this machine"), *_group_limits(proc, root), *_process_limits(proc)]
    return min(limits, key=lambda free: free.bytes)


def _machine(proc: Path) -> int:
    for line in read_text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        return _vm_stat() or _physical()
    return _physical()


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _vm_stat() -> int:
    """Returns what macOS counts as free or droppable, 0 where it does not say."""
    import subprocess

    try:
        done = subprocess.run(["/usr/bin/vm_stat"], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    return parse_vm_stat(done.stdout)


def parse_vm_stat(text: str) -> int:
    """Returns the bytes of free, inactive, speculative and purgeable pages in the output of vm_stat.

    Args:
        text: The output.

    Returns:
        Bytes, 0 where the output is not understood.
    """
    head, _, body = text.partition("\n")
    words = [word for word in head.split() if word.isdecimal()]
    wanted = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
    pages = 0
    for line in body.splitlines():
        name, _, count = line.partition(":")
        if name.strip() in wanted and count.strip(" .").isdecimal():
            pages += int(count.strip(" ."))
    return pages * int(words[0]) if words else 0


def _group_limits(proc: Path, root: Path) -> Iterator[Free]:
    for group in groups("memory", proc, root):
        for limit_file, used_file, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            limit, used = read_number(group / limit_file), read_number(group / used_file)
            # "No limit" of version 1 is a number just under 2**63.
            if limit is None or used is None or limit >= 1 << 60:
                continue
            taken = max(0, used - _droppable(group, prefix))
            yield Free(max(0, limit - taken), "the memory limit of this container (cgroup)")


def _droppable(group: Path, prefix: str) -> int:
    """Returns the bytes of file pages that the kernel gives back when they are needed."""
    wanted = (f"{prefix}inactive_file", f"{prefix}active_file")
    lines = (line.split() for line in read_text(group / "memory.stat").splitlines())
    return sum(int(line[1]) for line in lines if len(line) == 2 and line[0] in wanted)


def _process_limits(proc: Path) -> Iterator[Free]:
    import resource

    used = _used(proc)
    for limit, field, slack, name in (
        (resource.RLIMIT_AS, "VmSize", ADDRESS_SPACE_SLACK, "the address space limit of this process (ulimit -v)"),
        (resource.RLIMIT_DATA, "VmData", 0, "the data limit of this process (ulimit -d)"),
    ):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            yield Free(max(0, soft - used.get(field, 0) - slack), name)


def _used(proc: Path) -> dict[str, int]:
    lines = (line.split() for line in read_text(proc / "self/status").splitlines() if line.startswith("Vm"))
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if len(line) > 1 and line[1].isdecimal()}
