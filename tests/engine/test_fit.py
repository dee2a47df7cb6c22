"""What a model needs, what is free, and the context that is chosen from both."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_llama, tiny_mamba

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.host.context import N_SEQ_MAX_RECURRENT
from llmchat_engine.models.fit.memory import parse_vm_stat
from llmchat_engine.models.fit.need import (
    OUTPUT_ROWS,
    SEQUENCES,
    Free,
    choose_context,
    compute_bytes,
    kv_bytes_per_token,
    memory_free,
    memory_needed,
)
from llmchat_engine.models.gguf import Header, read_header

MIB = 1 << 20
PLENTY = Free(1 << 50, "nothing")
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def header(tmp_path: Path) -> Header:
    """A header in the shape of SmolLM2-135M, so that its measured sizes can stand here."""
    tiny = read_header(tiny_llama(tmp_path / "a.gguf"))
    return replace(
        tiny,
        file_size=98_362_432,
        n_vocab=49_152,
        context_length=16_384,
        block_count=30,
        embedding_length=576,
        head_count=(9,) * 30,
        head_count_kv=(3,) * 30,
        key_length=64,
        value_length=64,
    )


def test_cache_bytes_are_the_measured_ones(header: Header) -> None:
    assert kv_bytes_per_token(header) == 23_040
    assert kv_bytes_per_token(header, "q8_0", "q8_0") == 12_240
    assert memory_needed(header, 2048).kv == 45 * MIB


@pytest.mark.parametrize(("n_ctx", "measured"), [(2048, 46.38), (8192, 166.38)])
def test_buffers_are_the_measured_ones(header: Header, n_ctx: int, measured: float) -> None:
    # llama.cpp's own figure leaves out the logits, and the scores in half precision that its CPU computes with.
    halves, logits = n_ctx * 512 * 9 * 2, OUTPUT_ROWS * 4 * 49_152
    assert (compute_bytes(header, n_ctx, flash=False) - halves - logits) / MIB == pytest.approx(measured, rel=0.1)


def test_cells_are_counted_in_whole_steps(header: Header) -> None:
    assert memory_needed(header, 257) == memory_needed(header, 512)
    assert memory_needed(header, 257).kv > memory_needed(header, 256).kv


def test_layers_without_a_cache_cost_nothing(header: Header) -> None:
    half = replace(header, head_count_kv=(3, 0) * 15)
    assert kv_bytes_per_token(half) == 11_520
    shared = replace(header, metadata={"llama.attention.shared_kv_layers": 20})
    assert kv_bytes_per_token(shared) == 7_680
    every_third = replace(header, metadata={"llama.full_attention_interval": 3})
    assert kv_bytes_per_token(every_third) == 7_680


def test_recurrent_model_needs_the_same_for_every_context(tmp_path: Path) -> None:
    mamba = read_header(tiny_mamba(tmp_path / "m.gguf"))
    assert kv_bytes_per_token(mamba) == 0
    assert memory_needed(mamba, 512) == memory_needed(mamba, 8192)
    assert memory_needed(mamba, 512).kv == SEQUENCES * 2 * 4 * (3 * 64 + 64 * 8)
    assert choose_context(mamba, 0, PLENTY) == 2048


def test_the_host_makes_as_many_sequences_as_are_counted() -> None:
    assert SEQUENCES == N_SEQ_MAX_RECURRENT


def test_sliding_layers_count_in_full(tmp_path: Path) -> None:
    gemma = read_header(tiny_gemma3_swa(tmp_path / "g.gguf"))
    assert kv_bytes_per_token(gemma) == 6 * 2 * (12 + 12) * 2


def test_automatic_context_is_the_least_of_trained_and_8192(header: Header) -> None:
    assert choose_context(header, 0, PLENTY) == 8192
    assert choose_context(replace(header, context_length=4096), 0, PLENTY) == 4096
    assert choose_context(replace(header, context_length=100), 0, PLENTY) == 100


def test_automatic_context_takes_what_fits(header: Header) -> None:
    free = Free(300 * MIB, "the test")
    n_ctx = choose_context(header, 0, free)
    assert 512 <= n_ctx < 8192
    assert memory_needed(header, n_ctx).total <= free.bytes < memory_needed(header, n_ctx + 256).total


def test_chosen_context_may_be_longer_than_trained(header: Header) -> None:
    assert choose_context(header, 20_000, PLENTY) == 20_000


def test_context_that_does_not_fit_says_which_one_would(header: Header) -> None:
    free = Free(300 * MIB, "the memory limit of this container (cgroup)")
    with pytest.raises(NotEnoughMemory, match="a context of 8,192 tokens does not fit into memory") as caught:
        choose_context(header, 8192, free)
    assert "weights 94 MiB, cache 180 MiB, buffers" in caught.value.why
    assert "300 MiB are free, limited by the memory limit of this container" in caught.value.why
    fits = int(caught.value.hint.removeprefix("load it with --ctx "))
    assert choose_context(header, fits, free) == fits


@pytest.mark.parametrize("wanted", [0, 512, 100_000])
def test_weights_that_do_not_fit_ask_for_another_model(header: Header, wanted: int) -> None:
    with pytest.raises(NotEnoughMemory, match="the model does not fit into memory") as caught:
        choose_context(header, wanted, Free(90 * MIB, "the test"))
    assert caught.value.hint.startswith("choose a smaller model")


def _machine(root: Path, *, available: int, v2: str = "", v1: str = "") -> tuple[Path, Path]:
    """Writes what a kernel would show of a machine and of the group `/box/app` in it."""
    proc, groups = root / "proc", root / "cgroup"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    (proc / "meminfo").write_text(f"MemTotal: 999 kB\nMemAvailable: {available // 1024} kB\n")
    (proc / "self/cgroup").write_text(f"{v1}{v2}")
    return proc, groups


def test_free_memory_of_a_machine_without_limits(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, available=5 * MIB)
    assert memory_free(proc, groups) == Free(5 * MIB, "the memory of this machine")


def test_limit_of_a_group_above_counts_and_file_pages_are_free(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, available=900 * MIB, v2="0::/box/app\n")
    box = groups / "box"
    (box / "app").mkdir(parents=True)
    (box / "app/memory.max").write_text("max\n")
    (box / "app/memory.current").write_text("1\n")
    (box / "memory.max").write_text(f"{400 * MIB}\n")
    (box / "memory.current").write_text(f"{300 * MIB}\n")
    (box / "memory.stat").write_text(f"anon 1\ninactive_file {50 * MIB}\nactive_file {30 * MIB}\n")
    free = memory_free(proc, groups)
    assert free == Free(180 * MIB, "the memory limit of this container (cgroup)")


def test_limit_of_version_1_and_its_word_for_none(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, available=900 * MIB, v1="4:memory:/not/mounted/here\n")
    (groups / "memory").mkdir()
    (groups / "memory/memory.usage_in_bytes").write_text(f"{100 * MIB}\n")
    (groups / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_free(proc, groups).bytes == 900 * MIB
    (groups / "memory/memory.limit_in_bytes").write_text(f"{150 * MIB}\n")
    (groups / "memory/memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {20 * MIB}\n")
    assert memory_free(proc, groups).bytes == 70 * MIB


def test_vm_stat_of_a_mac_is_understood() -> None:
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:          10.\nPages active:      1000.\nPages inactive:      20.\n"
        "Pages speculative:    3.\nPages purgeable:      4.\n"
    )
    assert parse_vm_stat(text) == 37 * 16_384
    assert parse_vm_stat("nonsense") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much address space is in use")
def test_address_space_limit_of_a_real_process() -> None:
    code = (
        "import resource\n"
        "from llmchat_engine.models.fit.memory import memory_free\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({700 * MIB}, {700 * MIB}))\n"
        "free = memory_free()\n"
        "print(free.bytes, free.limited_by)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(REPOSITORY / "engine")}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    count, _, words = run.stdout.strip().partition(" ")
    assert words == "the address space limit of this process (ulimit -v)"
    assert 200 * MIB < int(count) < 444 * MIB
