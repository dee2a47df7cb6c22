"""Runs llmchat on a machine of known size, where loading a model always goes well: for tests that send it signals."""

from __future__ import annotations

from pathlib import Path

from llmchat_engine.models import trials
from llmchat_engine.models.fit import machine
from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.trials import Trial
from llmchat_tui.cli import main


def _machine(_state_dir: Path, *, measure: bool = True) -> Machine:
    return Machine(Free(8 << 30, "the memory of this machine"), (), 20e9 if measure else 0.0)


def _trial(_path: Path, _state_dir: Path) -> Trial:
    return Trial(True, "", 0.25)


if __name__ == "__main__":
    vars(machine)["read_machine"] = _machine
    vars(trials)["try_model"] = _trial
    main()
