"""`llmchat doctor`: findings from injected facts, and the command on homes that are well and unwell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.stored import add_turn

from llmchat_engine.build import Build
from llmchat_tui.cli import vitals
from llmchat_tui.cli.app import App
from llmchat_tui.cli.checkup import Facts, Finding, Gpu, Machine, Place, findings, size_text
from llmchat_tui.cli.doctor import doctor
from llmchat_tui.cli.install_hint import Accelerator, install_commands
from llmchat_tui.history import History

QUIET = Machine(
    system="Linux 6.1 x86_64",
    cpu="a CPU",
    processors=8,
    cores=4,
    threads=3,
    quota=None,
    load=0.5,
    free=8 << 30,
    limited_by="the memory of this machine",
    swap_used=0,
    spin_count="",
    gpus=(),
    nvcc=False,
)
CPU_BUILD = Build(version="1", system_info="CPU : AVX2 = 1 | OPENMP = 1")
H100 = Gpu("NVIDIA H100 80GB HBM3", "cuda")


def facts(build: Build = CPU_BUILD, machine: Machine = QUIET, **changes: object) -> Facts:
    well = Facts(
        versions={},
        build=build,
        machine=machine,
        places=(Place("data", "/home/me/.local/share/llmchat", "0700", True), Place("cache", "/home/me/c", "", True)),
        files={},
        hosts=(),
        last_crash="",
        gpu_layers=-1,
    )
    return replace(well, **changes)  # type: ignore[arg-type]


def only(facts: Facts) -> Finding:
    (finding,) = findings(facts)
    return finding


def test_all_is_well() -> None:
    assert findings(facts()) == []
    cuda = Build(version="1", supports_gpu=True, devices=("CUDA0 (H100)",))
    assert findings(facts(cuda, replace(QUIET, gpus=(H100,)))) == []


@pytest.mark.parametrize(
    ("gpu", "accelerator"),
    [(H100, "cuda"), (Gpu("the GPU of this Mac", "metal"), "metal"), (Gpu("AMD", "rocm"), "rocm")],
)
def test_a_gpu_beside_a_build_for_the_cpu(gpu: Gpu, accelerator: Accelerator) -> None:
    found = only(facts(machine=replace(QUIET, gpus=(gpu,), nvcc=True)))
    assert found.kind == "slow"
    assert found.what == f"{gpu.name} is not used: llama.cpp was built for the CPU alone"
    assert {f"{name}: {command}" for name, command in install_commands(accelerator).items()} < set(found.hints)
    assert f"in a checkout: make chat LLMCHAT_BUILD={accelerator}" in found.hints


def test_a_gpu_without_its_toolkit() -> None:
    assert only(facts(machine=replace(QUIET, gpus=(H100,)))).hints[0].startswith("install the CUDA toolkit first")


def test_a_gpu_that_its_build_does_not_find() -> None:
    build = replace(CPU_BUILD, system_info="CUDA : ARCHS = 900 | CPU : AVX2 = 1")
    found = only(facts(build, replace(QUIET, gpus=(H100,))))
    assert "the driver may be too old" in found.what
    assert found.hints == ("nvidia-smi",)


def test_a_gpu_that_the_settings_leave_out() -> None:
    found = only(facts(Build(supports_gpu=True, devices=("CUDA0",)), gpu_layers=0))
    assert found.hints == ("llmchat config set gpu_layers -1",)


@pytest.mark.parametrize(("gpus", "accelerator"), [((), "cpu"), ((H100,), "cuda")], ids=["cpu", "cuda"])
def test_a_library_that_cannot_be_loaded(gpus: tuple[Gpu, ...], accelerator: Accelerator) -> None:
    found = only(facts(Build(error="SIGILL: it was built for another CPU"), replace(QUIET, gpus=gpus)))
    assert found.kind == "problem"
    assert f"pip: {install_commands(accelerator)['pip']}" in found.hints


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(QUIET, load=6.5), "a load of 6.5 on 8 processors"),
        (replace(QUIET, swap_used=1 << 30), "1.0 GiB are in swap"),
        (replace(QUIET, threads=5), "5 threads share 4 cores"),
        (replace(QUIET, spin_count="300000"), "GOMP_SPINCOUNT is 300000"),
    ],
    ids=["busy", "swap", "threads", "spin"],
)
def test_what_makes_it_slow(machine: Machine, words: str) -> None:
    found = only(facts(machine=machine))
    assert found.kind == "slow"
    assert words in found.what
    assert found.hints != ()


@pytest.mark.parametrize(
    "machine",
    [
        replace(QUIET, load=5.9),
        replace(QUIET, swap_used=1 << 20),
        replace(QUIET, threads=4),
        replace(QUIET, spin_count="2000"),
        replace(QUIET, spin_count="infinite?"),
    ],
    ids=["load", "swap", "threads", "spin", "odd"],
)
def test_what_does_not(machine: Machine) -> None:
    assert findings(facts(machine=machine)) == []


def test_amx_that_crashes_is_told() -> None:
    assert "AMX is switched off" in only(facts(replace(CPU_BUILD, amx="crashes"))).what
    assert findings(facts(replace(CPU_BUILD, amx="unprobed"))) == []


@pytest.mark.parametrize("mode", ["0755", "0710", "0701"])
def test_a_directory_that_is_open(mode: str) -> None:
    found = only(facts(places=(Place("data", "/home/me/my chats", mode, True),)))
    assert found.kind == "problem"
    assert found.hints == ("chmod 700 '/home/me/my chats'",)


def test_a_directory_of_somebody_else() -> None:
    assert "another user" in only(facts(places=(Place("sockets", "/tmp/x", "0700", False),))).what


def test_problems_come_first() -> None:
    found = findings(facts(machine=replace(QUIET, load=9.0), findings=(Finding("problem", "broken"),)))
    assert [finding.kind for finding in found] == ["problem", "slow"]


def test_sizes() -> None:
    assert [size_text(size) for size in (12, 57344, 338 << 20, 3 << 29)] == ["12 bytes", "56 KiB", "338 MiB", "1.5 GiB"]


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home with a model, on a machine whose build, hardware and sockets are made up; the home."""
    home.mkdir(mode=0o700)
    (home / "models").mkdir(mode=0o700)
    tiny_llama(home / "models" / "tiny.gguf")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(vitals, "read_build", lambda _: CPU_BUILD)
    monkeypatch.setattr(vitals, "_machine", lambda _threads, spin_count, _state: replace(QUIET, spin_count=spin_count))
    return home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(doctor, arguments, obj=App(), catch_exceptions=False)


def told(*arguments: str) -> tuple[int, list[str]]:
    """Returns the exit code and the findings of a run."""
    result = run("--json", *arguments)
    return result.exit_code, [finding["what"] for finding in json.loads(result.stdout)["findings"]]


def test_a_home_that_is_well(machine: Path) -> None:
    with History.open(machine / "chats.db") as history:
        add_turn(history, "a question that nobody else may read", "an answer")
    result = run()
    assert result.stdout.endswith("\nAll is well.\n")
    assert result.exit_code == 0
    assert f"{machine}/chats.db, " in result.stdout
    assert "checked: ok" in result.stdout
    assert "tiny.gguf" in result.stdout
    assert "nobody" not in run("--json").stdout + result.stdout


def test_the_speed_of_memory_is_told_where_it_was_measured(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not measured yet: llmchat models fit measures it" in run().stdout
    monkeypatch.setattr(vitals, "_machine", lambda *_: replace(QUIET, bandwidth=41.7e9))
    assert "42 GB/s of memory are read" in run().stdout
    assert json.loads(run("--json").stdout)["machine"]["bandwidth"] == 41.7e9


def test_whether_layers_can_go_to_other_machines_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not in this build (CMAKE_ARGS=-DGGML_RPC=on)" in run().stdout
    monkeypatch.setattr(vitals, "read_build", lambda _: replace(CPU_BUILD, rpc=True))
    assert "RPC               in this build\n" in run().stdout


def test_it_makes_nothing(machine: Path) -> None:
    before = sorted(machine.rglob("*"))
    assert run().exit_code == 0
    assert sorted(machine.rglob("*")) == before


def test_a_broken_database(machine: Path) -> None:
    with History.open(machine / "chats.db") as history:
        add_turn(history, "one", "two")
    data = (machine / "chats.db").read_bytes()
    (machine / "chats.db").write_bytes(data[:4096] + b"\xaa" * 4096 * (len(data) // 4096 - 1))
    code, found = told()
    assert code == 1
    assert any("chats.db" in what for what in found)
    assert "cannot be used" in run().stdout or "damaged" in run().stdout


def test_a_database_that_others_can_read(machine: Path) -> None:
    with History.open(machine / "chats.db"):
        (machine / "chats.db").chmod(0o644)
    code, found = told()
    assert code == 1
    assert found == [f"{machine}/chats.db: others can read it: chmod 600 {machine}/chats.db"]


def test_a_home_that_is_open(machine: Path) -> None:
    machine.chmod(0o755)
    result = run()
    assert result.exit_code == 1
    assert f"problem: {machine} is open to other users of this machine (mode 0755)\n    chmod 700 {machine}\n" in (
        result.stdout
    )


def test_a_broken_configuration_hides_nothing_else(machine: Path) -> None:
    (machine / "config.toml").write_text("temprature = 1\n")
    machine.chmod(0o755)
    code, found = told()
    assert code == 1
    assert len(found) == 2
    assert "unknown key temprature" in found[0]


def test_a_model_that_is_none(machine: Path) -> None:
    (machine / "models" / "tiny.gguf").write_text("<!DOCTYPE html>")
    code, found = told()
    assert code == 1
    assert "tiny.gguf" in found[0]


def test_a_model_that_does_not_fit(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCHAT_CTX", "2000000000")
    code, found = told()
    assert code == 1
    assert "2,000,000,000 tokens does not fit into memory" in found[0]


def test_the_last_crash_is_told(machine: Path) -> None:
    logs = machine / "state" / "logs"
    for directory in (machine / "state", logs):
        directory.mkdir(mode=0o700)
    (logs / "host-1.log").write_text("t 1 started\nFatal Python error: Segmentation fault\n\x1b[31mThread\n")
    result = run()
    assert result.exit_code == 0
    assert "Fatal Python error: Segmentation fault" in result.stdout


def test_slow_alone_leaves_the_exit_code(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "300000")
    result = run()
    assert result.exit_code == 0
    assert "\nslow: GOMP_SPINCOUNT is 300000" in result.stdout


def test_names_are_sanitised(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "read_build", lambda _: Build(version="\x1b[31m1", error=""))
    assert "\x1b" not in run().stdout


def test_the_gpus_of_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1234)\nGPU 1: Tesla T4 (UUID: GPU-5)\n"

    def output(*command: str) -> str:
        return listed if command == ("nvidia-smi", "-L") else ""

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(vitals, "_output", output)
    assert list(vitals.visible_gpus()) == [H100, Gpu("Tesla T4", "cuda")]


def test_a_mac_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mac:
        machine = "arm64"

    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("os.uname", Mac)
    assert [gpu.accelerator for gpu in vitals.visible_gpus()] == ["metal"]


def test_a_program_that_fails_says_nothing() -> None:
    commands: Sequence[tuple[str, ...]] = [("/nowhere/nvidia-smi", "-L"), ("false",)]
    assert [vitals._output(*command) for command in commands] == ["", ""]
