"""The AMX probe: asked once per machine, remembered, and a real program that loads a real file."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmchat_engine.host import probe
from llmchat_engine.host.probe import extra_buffers, verdict_path

WITH_AMX = "CPU : AVX512 = 1 | AMX_INT8 = 1 | LLAMAFILE = 1"
WITHOUT = "CPU : AVX512 = 1 | AMX_INT8 = 0 | LLAMAFILE = 1"


class Runner:
    """Ends every command with the same code, one that repacks nothing with another, and counts them."""

    def __init__(self, code: int, plain: int = 0) -> None:
        self.code, self.plain = code, plain
        self.commands: list[Sequence[str]] = []

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(command)
        return self.plain if probe.PLAIN in command else self.code


def test_a_build_without_amx_is_not_probed(tmp_path: Path) -> None:
    runner = Runner(1)
    assert extra_buffers(WITHOUT, "/m.gguf", tmp_path, runner)
    assert runner.commands == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "works"), [(0, True), (-signal.SIGSEGV, False), (-signal.SIGILL, False)])
def test_the_verdict_is_remembered(tmp_path: Path, code: int, works: bool) -> None:
    state = tmp_path / "state"
    runner, second = Runner(code), Runner(1 - code)
    assert extra_buffers(WITH_AMX, "/m.gguf", state, runner) is works
    command = ("-P", "-m", "llmchat_engine.host.probe", "/m.gguf")
    assert [ran[1:] for ran in runner.commands] == [command] if works else [command, (*command, probe.PLAIN)]
    assert extra_buffers(WITH_AMX, "/other.gguf", state, second) is works
    assert second.commands == []
    assert [path.name for path in state.iterdir()] == [verdict_path(WITH_AMX, state).name]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize("code", [1, -signal.SIGKILL])
def test_a_probe_that_failed_for_another_reason_says_nothing_about_the_cpu(tmp_path: Path, code: int) -> None:
    assert not extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(code))
    assert extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(0))


def test_a_file_that_crashes_by_itself_says_nothing_about_the_cpu(tmp_path: Path) -> None:
    assert not extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(-signal.SIGABRT, -signal.SIGABRT))
    assert extra_buffers(WITH_AMX, "/other.gguf", tmp_path, Runner(0))


def test_another_build_is_asked_anew(tmp_path: Path) -> None:
    assert not extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(-signal.SIGSEGV))
    assert extra_buffers(WITH_AMX + " | NEW = 1", "/m.gguf", tmp_path, Runner(0))
    assert not extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(0))


def test_a_damaged_verdict_is_asked_anew(tmp_path: Path) -> None:
    verdict_path(WITH_AMX, tmp_path).write_text("perhaps")
    assert extra_buffers(WITH_AMX, "/m.gguf", tmp_path, Runner(0))
    assert verdict_path(WITH_AMX, tmp_path).read_text() == "works"


def test_a_command_that_does_not_end_counts_as_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: Sequence[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 1.0)

    monkeypatch.setattr(subprocess, "run", run)
    assert not extra_buffers(WITH_AMX, "/m.gguf", tmp_path)


def test_the_default_runner_reports_a_signal(tmp_path: Path) -> None:
    # The probe program on a file that is none: it ends with an error, which is no proof that AMX works.
    assert not extra_buffers(WITH_AMX, str(tmp_path / "absent.gguf"), tmp_path)


def test_the_program_decodes_a_tiny_model(tiny_chat: Path) -> None:
    # In a process of its own: main() forbids core files for good.
    code = f"from llmchat_engine.host.probe import main; raise SystemExit(main([{os.fspath(tiny_chat)!r}]))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
    assert callable(probe.main)
