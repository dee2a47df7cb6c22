"""How many threads: affinity, cores with two threads, and the quota of a container, from a written-down machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from llmchat_engine.models.fit import cpu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the other systems are asked by other means")


def _machine(root: Path, siblings: dict[int, str], group: str = "0::/box\n") -> tuple[Path, Path, Path]:
    cpus, proc, groups = root / "cpu", root / "proc", root / "cgroup"
    for number, text in siblings.items():
        topology = cpus / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(f"{text}\n")
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(group)
    (groups / "box").mkdir(parents=True)
    return cpus, proc, groups


def _allow(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> None:
    def affinity(_pid: int) -> set[int]:
        return numbers

    monkeypatch.setattr(os, "sched_getaffinity", affinity)


def test_two_threads_of_a_core_are_one_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _allow(monkeypatch, set(range(8)))
    machine = _machine(tmp_path, {n: f"{n % 4},{n % 4 + 4}" for n in range(8)})
    assert cpu.usable_cores(*machine) == 4


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _allow(monkeypatch, {0, 4, 5})
    machine = _machine(tmp_path, {n: f"{n % 4},{n % 4 + 4}" for n in range(8)})
    assert cpu.usable_cores(*machine) == 2


def test_unknown_topology_counts_every_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _allow(monkeypatch, {0, 1, 2})
    assert cpu.usable_cores(*_machine(tmp_path, {})) == 3


@pytest.mark.parametrize(("text", "cores"), [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1)])
def test_quota_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int) -> None:
    _allow(monkeypatch, set(range(6)))
    machine = _machine(tmp_path, {})
    (tmp_path / "cgroup/box/cpu.max").write_text(f"{text}\n")
    assert cpu.usable_cores(*machine) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 6), ("300000", 3)])
def test_quota_of_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int) -> None:
    _allow(monkeypatch, set(range(6)))
    machine = _machine(tmp_path, {}, group="1:cpu,cpuacct:/\n")
    group = tmp_path / "cgroup/cpu"
    group.mkdir()
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu.usable_cores(*machine) == cores


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 3), (4, 3), (16, 15)])
def test_one_core_is_left_from_four_on(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.setattr(cpu, "usable_cores", lambda: cores)
    assert cpu.cpu_threads() == threads


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= cpu.cpu_threads() <= (os.cpu_count() or 1)
