"""A machine of known size, a hub on the loopback and tiny models, for tests of the commands about models.

`stage` hands them out together: nothing is measured, and nothing is loaded but where a test says so.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.hub.server import FakeHub
from tests.tui.asking import Asked, ask, environment

from llmchat_engine.models import library, trials
from llmchat_engine.models.fit import machine
from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.trials import Trial

REPO = "user/tiny-GGUF"
ROOM = 8 << 30


@dataclass
class Stage:
    """What a command about models runs in."""

    hub: FakeHub
    home: Path
    trial: Trial = field(default_factory=lambda: Trial(True, "", 0.25))
    """How loading a model goes."""
    tried: list[Path] = field(default_factory=list)

    @property
    def models(self) -> Path:
        """Where pulled models lie."""
        return self.home / "models"

    def environ(self, **more: str) -> dict[str, str]:
        """Returns the environment of a command."""
        own = environment(self.home, **{"HF_ENDPOINT": self.hub.endpoint, **more})
        return {name: value for name, value in own.items() if name != "LLMCHAT_MODEL" or name in more}

    def run(self, *words: str, **environ: str) -> Asked:
        """Runs a command line in this process."""
        return ask(self.home, *words, command="", environ=self.environ(**environ))

    def try_model(self, path: Path, state_dir: Path) -> Trial:
        """Stands in for the process that loads a model once."""
        self.tried.append(path)
        trials.remember_trial(path, self.trial, state_dir)
        return self.trial


@contextmanager
def staged(home: Path, monkeypatch: pytest.MonkeyPatch, room: int = ROOM) -> Iterator[Stage]:
    """Yields a stage with a hub that holds a repository of three tiny models."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING")) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    found = Machine(Free(room, "the memory of this machine"), (), 20e9)
    monkeypatch.setattr(machine, "read_machine", lambda _state_dir, *, measure=True: found)
    monkeypatch.setattr(library, "BUNDLED_PACKAGE", "no_such_package")
    with FakeHub() as hub:
        stage = Stage(hub, home)
        hub.add(REPO, {f"tiny-{quant}.gguf": tiny(quant) for quant in ("Q4_K_M", "Q8_0", "F16")})
        monkeypatch.setattr(trials, "try_model", stage.try_model)
        yield stage


@functools.cache
def tiny(name: str, **shape: Any) -> bytes:
    """Returns a model that llama.cpp loads; its name makes it another file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return tiny_llama(Path(folder, "tiny.gguf"), extra={"general.description": name}, **shape).read_bytes()


def put(path: Path, name: str = "a", **shape: Any) -> Path:
    """Writes a tiny model to a path, as a user would who copied it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiny(name, **shape))
    return path
