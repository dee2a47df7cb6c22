"""What the processor can do: cores for bulk work, and arithmetic in bfloat16.

Knows no model. Linux says it in files; elsewhere the number of processors is all that is known.
"""

from __future__ import annotations

import os
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_BF16 = frozenset({"avx512_bf16", "amx_bf16"})


def physical_cores(cpuinfo: Path = CPUINFO, cpu_max: Path = CPU_MAX, allowed: frozenset[int] | None = None) -> int:
    """Returns the cores that this process may use: hyper-threads once, within its affinity and its cgroup's quota.

    Args:
        cpuinfo: of Linux.
        cpu_max: of the cgroup.
        allowed: processors; this process's affinity where none is given.
    """
    processors = allowed if allowed is not None else _affinity()
    cores = set()
    for block in _text(cpuinfo).split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.replace("\t", "").splitlines() if ":" in line)
        number = fields.get("processor", "").strip()
        if number.isdigit() and int(number) in processors:
            cores.add((fields.get("physical id", "0").strip(), fields.get("core id", number).strip()))
    return max(1, min(len(cores) or len(processors), _quota(cpu_max)))


def has_bf16(cpuinfo: Path = CPUINFO) -> bool:
    """Returns whether the processor multiplies bfloat16 (AVX512-BF16 or AMX)."""
    flags = next((line for line in _text(cpuinfo).splitlines() if line.startswith("flags")), "")
    return not _BF16.isdisjoint(flags.split())


def _affinity() -> frozenset[int]:
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _quota(cpu_max: Path) -> int:
    """Returns the whole processors that the quota is worth, at least one; very many where there is none."""
    match _text(cpu_max).split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
            return max(1, int(quota) // int(period))
        case _:
            return 1 << 20


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
