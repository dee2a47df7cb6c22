"""A stock of models for tests: no hub, no trial process, a machine of 16 GB; what it is asked for is kept.

Knows no single test.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from pathlib import Path

from llmchat_engine import EngineError
from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.hub.catalogue import Entry
from llmchat_engine.models.hub.pull import Pulled
from llmchat_engine.models.hub.pulled import Record
from llmchat_engine.models.hub.types import Found, HubFile, HubRepo, Reference, Variant
from llmchat_engine.models.hub.verify import Verdict
from llmchat_engine.models.library import LocalModel, find_models
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.trials import Trial
from llmchat_tui.config import Config, load_config
from llmchat_tui.stock import Stock

GB = 1_000_000_000
MACHINE = Machine(Free(10 * GB, "the memory of this machine"), bandwidth=30e9, threads=4)
LARGE = HubFile("gemma-3-4b-it-Q8_0.gguf", 4 * GB, "b" * 64)
SMALL = HubFile("gemma-3-4b-it-Q4_K_M.gguf", 5 * GB // 2, "a" * 64)
REPO = HubRepo("ggml-org/gemma-3-4b-it-GGUF", "c" * 40, (LARGE, SMALL), "gguf", "gemma", False, 123_456)
FOUND = Found(REPO.name, 123_456, 78, "2026-10-31", True, (Variant("Q8_0", (LARGE,)), Variant("Q4_K_M", (SMALL,))))
ENTRY = Entry("Gemma 3 4B", REPO.name, 4 * GB, 4, "chat in many languages", "gemma", False)
OTHER = Entry("Qwen3 1.7B", "Qwen/Qwen3-1.7B-GGUF", 17 * GB // 10, 4, "quick answers", "apache-2.0", False)


class StockDouble(Stock):
    """Answers at once, the hub when `hub_gate` is open, long work when `gate` is; `fault` is raised by the hub."""

    def __init__(self, models_dir: Path, config: Config | None = None) -> None:
        environ = {"HOME": str(models_dir), "LLMCHAT_HOME": str(models_dir)}
        made = config or load_config(models_dir / "config.toml", environ)
        super().__init__(models_dir, models_dir / "state", environ, lambda: made)
        self.asked: list[str] = []
        self.fault: EngineError | None = None
        self.gate, self.hub_gate = threading.Event(), threading.Event()
        self.gate.set()
        self.hub_gate.set()
        self.trials: dict[str, Trial] = {}
        """By the name of a file; all others load."""
        self.verdict = Verdict(True, "it has the sha256 that was pulled", "a" * 64)
        self.records: dict[Path, Record] = {}
        self.steps: list[Progress] = []
        """What a download tells before it ends."""
        self.repos: dict[str, HubRepo] = {REPO.name: REPO}
        self.found: tuple[Found, ...] = (FOUND,)
        self.entries: tuple[Entry, ...] = (ENTRY, OTHER)

    def find(self) -> list[LocalModel]:
        return [model for model in find_models(self.models_dir) if model.origin == "models"]

    def machine(self) -> Machine:
        return MACHINE

    def known_trial(self, path: Path) -> Trial | None:
        return self.trials.get(path.name) if f"try {path.name}" in self.asked else None

    def try_model(self, path: Path) -> Trial:
        self._ask(f"try {path.name}")
        return self.trials.get(path.name, Trial(True))

    def record(self, path: Path) -> Record | None:
        return self.records.get(path)

    def verify(self, path: Path) -> Generator[Progress, None, Verdict]:
        self._ask(f"verify {path.name}")
        yield Progress("verifying", GB, 2 * GB, "bytes")
        assert self.gate.wait(20)
        return self.verdict

    def remove(self, path: Path) -> tuple[Path, ...]:
        self._ask(f"remove {path.name}")
        path.unlink()
        return (path,)

    def search(self, words: str) -> tuple[Found, ...]:
        self._ask_hub(f"search {words}")
        return self.found

    def suggested(self, machine: Machine) -> tuple[Entry, ...]:
        return self.entries

    def repo(self, reference: Reference) -> HubRepo:
        self._ask_hub(f"repo {reference.repo}")
        return self.repos.get(reference.repo, REPO)

    def best(self, variants: Sequence[Variant], machine: Machine) -> Variant | None:
        return variants[-1]

    def pull(self, repo: HubRepo, variant: Variant) -> Generator[Progress, None, Pulled]:
        self._ask(f"pull {repo.name} {variant.quant}")
        yield from self.steps
        while not self.gate.wait(0.02):
            yield self.steps[-1] if self.steps else Progress("downloading", 0, variant.size, "bytes")
        if self.fault:
            raise self.fault
        path = self.models_dir / repo.name / variant.files[0].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return Pulled((path,), variant.size, 1.0, False)

    def _ask(self, what: str) -> None:
        self.asked.append(what)

    def _ask_hub(self, what: str) -> None:
        self._ask(what)
        assert self.hub_gate.wait(20)
        if self.fault:
            raise self.fault
