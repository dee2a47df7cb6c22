"""How many CPU threads decode should use.

Physical cores, not hardware threads: two threads of a core share its memory port, and decode waits for memory. Knows
nothing of models.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llmchat_engine.models.fit.cgroup import PROC, ROOT, groups, read_number, read_text

CPUS = Path("/sys/devices/system/cpu")


def cpu_threads() -> int:
    """Returns the physical cores this process may use, one less from four on so that the rest of the machine lives."""
    cores = usable_cores()
    return cores - 1 if cores >= 4 else cores


def usable_cores(cpus: Path = CPUS, proc: Path = PROC, root: Path = ROOT) -> int:
    """Returns the physical cores this process may use: affinity, topology and the quota of its control group.

    Args:
        cpus: Where the kernel describes the processors.
        proc: The proc file system.
        root: Where the control groups are mounted.

    Returns:
        At least 1. On a Mac the fast cores alone.
    """
    if sys.platform == "darwin":
        return _sysctl("hw.perflevel0.physicalcpu") or _sysctl("hw.physicalcpu") or os.cpu_count() or 1
    cores = _physical(cpus, os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(proc, root)
    return max(1, cores if quota is None else min(cores, int(quota)))


def cpu_quota(proc: Path = PROC, root: Path = ROOT) -> float | None:
    """Returns how many processors' worth of time the control groups allow.

    Args:
        proc: The proc file system.
        root: Where the control groups are mounted.

    Returns:
        The tightest quota, None where there is none.
    """
    quotas = []
    for group in groups("cpu", proc, root):
        words = read_text(group / "cpu.max").split()
        if len(words) == 2 and words[0].isdecimal() and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
        time, period = read_number(group / "cpu.cfs_quota_us"), read_number(group / "cpu.cfs_period_us")
        if time and period and time > 0:
            quotas.append(time / period)
    return min(quotas, default=None)


def _physical(cpus: Path, allowed: set[int]) -> int:
    """Counts the cores that the allowed hardware threads belong to."""
    siblings = (read_text(cpus / f"cpu{number}/topology/thread_siblings_list").strip() for number in allowed)
    return len({text or f"alone {number}" for number, text in zip(allowed, siblings, strict=True)})


def _sysctl(name: str) -> int:
    """Returns a number that macOS keeps under `name`, 0 where it has none."""
    import ctypes

    value, size = ctypes.c_int(0), ctypes.c_size_t(4)
    try:
        failed = ctypes.CDLL(None).sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0)
    except (OSError, AttributeError):
        return 0
    return 0 if failed else value.value
