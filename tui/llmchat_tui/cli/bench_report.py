"""What a benchmark found: rows of values, and the machine and versions they belong to. Measures nothing itself."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmchat_engine import ModelInfo


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured, once per round."""

    name: str
    unit: str
    median: float
    values: tuple[float, ...]
    note: str = ""
    """What a reader has to know to compare it, such as a reply that ended early; mostly empty."""
    floor: float | None = None
    """The best that the machine could do, in the same unit; None where nobody knows."""


@dataclass(slots=True)
class Samples:
    """Values by name while the rounds run, in the order in which names first came."""

    _units: dict[str, str] = field(default_factory=dict)
    _values: dict[str, list[float]] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)
    _floors: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, unit: str, value: float, note: str = "", *, floor: float | None = None) -> None:
        """Takes the value of one round."""
        self._units[name] = unit
        self._values.setdefault(name, []).append(value)
        if note:
            self._notes[name] = note
        if floor is not None:
            self._floors.setdefault(name, []).append(floor)

    def rows(self) -> tuple[Row, ...]:
        """Returns a row for each name."""
        return tuple(
            Row(
                name,
                self._units[name],
                round(median(values), 4),
                tuple(round(value, 4) for value in values),
                self._notes.get(name, ""),
                round(median(floors), 4) if (floors := self._floors.get(name)) else None,
            )
            for name, values in self._values.items()
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    cpu: str
    cores: int
    system: str
    load: float
    """The load average over one minute when the run began: above 0.5 it was not a quiet machine."""


@dataclass(frozen=True, slots=True)
class BenchModel:
    """What was run, and how."""

    name: str
    quantization: str
    size: int
    threads: int
    n_ctx: int
    devices: tuple[str, ...]
    extra_buffers: bool


@dataclass(frozen=True, slots=True)
class Ratios:
    """What a chat pays for its past; medians of the rounds, each made of values of one round."""

    turn10_ttft: float
    """First token of turn 10, of the time in which its new tokens are read at that depth, and one decode step."""
    regenerate_steps: float
    """Decode steps until a regenerated reply begins, after 10 ms; the reply before stays."""
    switch_back_tokens: int
    """Tokens computed to go on from the other reply; the most of all rounds."""
    reopen: float
    """First token after everything was stopped and the model loaded, of a prefill of the whole chat."""
    reopen_bit_equal: bool
    """Whether the chat went on with the same tokens as without the restart, in all rounds."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run: the object that `llmchat bench --json` prints."""

    machine: Machine
    date: str
    versions: dict[str, str]
    model: BenchModel
    rows: tuple[Row, ...]
    ratios: Ratios | None = None


def this_machine() -> Machine:
    """Returns the machine as it is now."""
    from llmchat_engine.models.fit.cpu import usable_cores

    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Machine(_cpu_name(), usable_cores(), system, round(os.getloadavg()[0], 2))


def now() -> str:
    """Returns the local time, with its offset from UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def versions_of(model: ModelInfo) -> dict[str, str]:
    """Returns the versions that decide a speed."""
    from llmchat_tui import __version__

    return {"llmchat": __version__, "python": platform.python_version(), "engine": model.build}


def bench_model(model: ModelInfo) -> BenchModel:
    """Returns what a report says of a model."""
    return BenchModel(
        model.name, model.quantization, model.size, model.threads, model.n_ctx, model.devices, model.extra_buffers
    )


def table(rows: Iterable[Row]) -> list[str]:
    """Returns the lines of a table of rows: median, the lowest and highest value, the best that could be."""
    cells = [_cells(row) for row in rows]
    widths = [max((len(line[column]) for line in cells), default=0) for column in range(5)]
    name, value, unit, spread, floor = widths
    return [
        f"{line[0]:<{name}}  {line[1]:>{value}} {line[2]:<{unit}}  {line[3]:<{spread}}  {line[4]:<{floor}}  {line[5]}"
        .rstrip()
        for line in cells
    ]  # fmt: skip


def _cells(row: Row) -> tuple[str, str, str, str, str, str]:
    spread = f"{_number(min(row.values))} to {_number(max(row.values))}"
    floor = "" if row.floor is None else f"floor {_number(row.floor)}"
    return row.name, _number(row.median), row.unit, spread, floor, row.note


def _number(value: float) -> str:
    """Returns three significant digits, or whole numbers above that."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def _cpu_name() -> str:
    """Returns the CPU's own name, or its architecture where the system does not tell."""
    if sys.platform == "darwin":
        import subprocess

        asked = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
