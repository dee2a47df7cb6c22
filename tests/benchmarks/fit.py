"""The estimates of memory and speed against what real hosts take and do: ten generated models, and the bundled one.

`python -m tests.benchmarks.fit [--only WORDS] [--threads N]`. Needs a GB of disk, 3 GB of memory and some minutes, on
Linux. Knows the order and the limits; the models and the measuring are in fit_cases.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fit_cases import CASES, Case, Seen, watch
from tests.engine.shaped_gguf import write_shape

from llmchat_engine.launch import Places
from llmchat_engine.models.fit.cpu import cpu_threads
from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import memory_free
from llmchat_engine.models.fit.need import size_text
from llmchat_engine.models.fit.plan import Plan, plan
from llmchat_engine.models.fit.repack import cpu_features, repacked_bytes
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.library import find_models
from llmchat_tui.cli.bench_host import short_directory
from llmchat_tui.cli.columns import Column, table

MEMORY_LIMIT = 0.15
SPEED_LIMIT = 0.30
_HEAD = ("model", "file", "takes about", "took", "ratio", "tok/s about", "wrote", "ratio")


@dataclass(frozen=True, slots=True)
class Compared:
    """One model: what was estimated, and what was seen."""

    name: str
    size: int
    plan: Plan
    seen: Seen

    @property
    def memory(self) -> float:
        """The estimate over what was measured."""
        return self.plan.need.total / self.seen.peak

    @property
    def speed(self) -> float:
        """The estimate over what was measured; 0 where nothing was written."""
        return self.plan.tokens_per_second / self.seen.speed if self.seen.speed else 0.0

    def cells(self) -> tuple[str, ...]:
        """Returns its row."""
        need, seen = self.plan.need, self.seen
        sizes = size_text(self.size), size_text(need.total), size_text(seen.peak), f"{self.memory:.2f}"
        return (self.name, *sizes, f"{self.plan.tokens_per_second:.0f}", f"{seen.speed:.0f}", f"{self.speed:.2f}")


def main(arguments: list[str]) -> int:
    """Measures and prints; returns 1 where an estimate of memory misses by more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fit", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="the models whose name contains this")
    parser.add_argument("--threads", type=int, default=cpu_threads(), help="threads that write")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="llmchat-fit-") as models, short_directory() as root:
        places = Places(root / "run", root / "logs", root / "state")
        found = list(_compared(options.only, Path(models), places, options.threads))
    good = sum(abs(one.memory - 1) <= MEMORY_LIMIT for one in found)
    near = sum(abs(one.speed - 1) <= SPEED_LIMIT for one in found)
    print(
        "\n".join(table([Column(head, right=at > 0) for at, head in enumerate(_HEAD)], [one.cells() for one in found]))
    )
    print(f"\nmemory: {good} of {len(found)} within {MEMORY_LIMIT:.0%}; speed: {near} within {SPEED_LIMIT:.0%}")
    return 0 if good == len(found) else 1


def _compared(only: str, models: Path, places: Places, threads: int) -> Iterator[Compared]:
    for case in (case for case in CASES if only in case.name):
        path = write_shape(models / "model.gguf", case.shape)
        yield _one(path, case, places, threads)
        path.unlink()
    for model in find_models(models):
        if only in model.name:
            yield _one(model.path, Case(model.name, CASES[0].shape, 4096), places, threads)


def _one(path: Path, case: Case, places: Places, threads: int) -> Compared:
    before = _bandwidth(threads)
    seen, header = watch(path, case, places, threads, tries=5), read_header(path)
    machine = Machine(memory_free(), (), max(before, _bandwidth(threads)), threads)
    copies = repacked_bytes(header, cpu_features()) if seen.repacked else 0
    planned = plan(
        header,
        machine,
        n_ctx=case.n_ctx,
        gpu_layers=0,
        cache_type_k=case.cache,
        cache_type_v=case.cache,
        repacked=copies,
    )
    compared = Compared(case.name, header.file_size, planned, seen)
    speed = f"{machine.bandwidth / 1e9:.0f} GB/s"
    print("  ".join((*compared.cells(), speed)), file=sys.stderr, flush=True)
    return compared


def _bandwidth(threads: int) -> float:
    """Returns how fast memory is read now: what else the machine does slows a model down too."""
    command = [sys.executable, "-P", "-m", "llmchat_engine.host.bandwidth", str(threads)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
