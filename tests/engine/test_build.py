"""What the build of llama.cpp says of itself, through the throw-away process: good, missing, silent and crashed."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from llmchat_engine.build import Build, Ran, Runner, read_build
from llmchat_engine.host import facts as facts_module
from llmchat_engine.host.facts import facts
from llmchat_engine.host.probe import PLAIN, extra_buffers, known_verdict

AMX = "CPU : AVX2 = 1 | AMX_INT8 = 1"


def ended(code: int, output: str = "", errors: str = "") -> Runner:
    return lambda _: Ran(code, output, errors)


def test_this_build_says_what_it_is(tmp_path: Path) -> None:
    build = read_build(tmp_path)
    assert build.error == ""
    assert build.version != ""
    assert "CPU : " in build.system_info
    assert not build.devices or build.supports_gpu


def test_the_process_is_told_where_the_verdict_is_and_shields_the_caller(tmp_path: Path) -> None:
    seen: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> Ran:
        seen.append(command)
        return Ran(0, "ggml: found 1 device\n" + json.dumps({"version": "1", "devices": ["CUDA0 (H100)"]}) + "\n", "")

    assert read_build(tmp_path, run) == Build(version="1", devices=("CUDA0 (H100)",))
    assert seen[0][1:] == ("-P", "-m", "llmchat_engine.host.facts", str(tmp_path))


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (ended(-signal.SIGILL), "SIGILL: it was built for another CPU"),
        (ended(-signal.SIGSEGV, "half a li"), "it crashed: SIGSEGV"),
        (ended(1, "", "Traceback\n  x\nImportError: no module\n"), "ImportError: no module"),
        (ended(7), "it ended with exit code 7 and said nothing"),
        (ended(0, '{"version": 3}'), "it ended with exit code 0 and said nothing"),
    ],
    ids=["SIGILL", "SIGSEGV", "traceback", "silent", "garbage"],
)
def test_a_process_that_gives_no_facts_becomes_an_error(tmp_path: Path, run: Runner, error: str) -> None:
    assert read_build(tmp_path, run) == Build(error=error)


def test_a_process_that_hangs_or_cannot_start_becomes_an_error(tmp_path: Path) -> None:
    def hangs(_: Sequence[str]) -> Ran:
        raise TimeoutError

    def missing(_: Sequence[str]) -> Ran:
        raise FileNotFoundError(2, "No such file or directory")

    assert "no answer within" in read_build(tmp_path, hangs).error
    assert read_build(tmp_path, missing).error == "it could not be asked: No such file or directory"


def test_a_library_that_cannot_be_loaded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("libllama.so: cannot open\nshared object file")

    monkeypatch.setattr(facts_module, "Llama", broken)
    assert facts(tmp_path) == Build(error="OSError: libllama.so: cannot open shared object file")


def test_the_verdict_about_amx_is_told_without_a_probe(tmp_path: Path) -> None:
    assert known_verdict("CPU : AVX2 = 1", tmp_path) == "unlisted"
    assert known_verdict(AMX, tmp_path) == "unprobed"
    assert list(tmp_path.iterdir()) == []
    assert (
        extra_buffers(AMX, "model.gguf", tmp_path, lambda command: 0 if PLAIN in command else -signal.SIGILL) is False
    )
    assert known_verdict(AMX, tmp_path) == "crashes"
    assert extra_buffers(AMX, "model.gguf", tmp_path, lambda _: 0) is False  # remembered, not asked again
    assert known_verdict(f"{AMX} | OPENMP = 1", tmp_path) == "unprobed"
