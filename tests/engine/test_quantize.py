"""Quantising: words, names, llama.cpp's log, and files that are there whole or not at all."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from gguf import GGUFWriter
from tests.engine import tiny_gguf
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import DiskUnwritable, NotEnoughDisk, QuantizeFailed, RequestInvalid
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.progress import Progress
from llmchat_engine.models.quantizing import quantize as module
from llmchat_engine.models.quantizing.log import QuantizeLog
from llmchat_engine.models.quantizing.quantize import TYPES, Quantized, dry_run, plan, quantize, target_name, type_of
from llmchat_engine.models.whole_file import Busy, temporary_beside

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 5 MB in float32 whose rows fit every type."""
    return tiny_llama(tmp_path_factory.mktemp("full") / "tiny-F32.gguf", width=256)


def made(work: Generator[Progress, None, Quantized]) -> tuple[Quantized, list[Progress]]:
    """Runs to the end; returns the result and what was told meanwhile."""
    told = []
    while True:
        try:
            told.append(next(work))
        except StopIteration as end:
            result: Quantized = end.value
            return result, told


def begun(work: Generator[Progress, None, Quantized]) -> None:
    """Runs until the file is being written."""
    while next(work).stage != "quantising":
        pass


@pytest.mark.parametrize(
    ("word", "meant"),
    [("INT4", "q4_k_m"), ("int8", "q8_0"), ("Q4_0", "q4_0"), ("q5-k-m", "q5_k_m"), ("bf16", "bf16")],
)
def test_words_mean_types(word: str, meant: str) -> None:
    assert type_of(word).word == meant


def test_an_unknown_word_is_told_what_there_is() -> None:
    with pytest.raises(RequestInvalid, match=r"there is no type q9_k.*int4.*q4_k_m"):
        type_of("q9_k")


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("Qwen3-0.6B-F16.gguf", "Qwen3-0.6B-Q4_K_M.gguf"),
        ("qwen3-0.6b-bf16.gguf", "qwen3-0.6b-Q4_K_M.gguf"),
        ("SmolLM2.Q4_1.gguf", "SmolLM2.Q4_K_M.gguf"),
        ("llama-f16-notes-fp32.gguf", "llama-f16-notes-Q4_K_M.gguf"),
        ("model.gguf", "model-Q4_K_M.gguf"),
        ("big-F16-00001-of-00003.gguf", "big-Q4_K_M.gguf"),
        ("xf16y.gguf", "xf16y-Q4_K_M.gguf"),
    ],
)
def test_the_type_stands_in_the_place_of_the_old_one(name: str, becomes: str) -> None:
    assert target_name(Path(name), type_of("int4")) == becomes


def test_a_blob_is_called_as_its_header_calls_it(tmp_path: Path) -> None:
    blob = tiny_llama(tmp_path / "sha256-0123")
    assert target_name(blob, type_of("int8")) == "tiny-llama-Q8_0.gguf"


def test_the_log_is_read_in_any_pieces() -> None:
    text = (
        "llama_model_loader: - kv 1: general.name str = [ 1/ 2] evil - [ 1, 1, 1, 1], type = f32, \n"
        "warning: blk.0.up.weight - ncols 64 not divisible by 256 (required for type q4_K) -> falling back to    q5_0\n"
        "[   1/   2] output_norm.weight - [    64,      1,      1,      1], type =    f32, size =    0.000 MiB\n"
        "[   2/   2] blk.0.up.weight    - [    64,    128,      1,      1], type =    f16, "
        "size =     0.03 MiB ->     0.01 MiB (q5_0)\n"
        "llama_model_quantize: failed to quantize: the moon is full\n"
    )
    for size in (1, 7, 1000):
        log = QuantizeLog()
        for start in range(0, len(text), size):
            log.feed(text[start : start + size])
        found = log.plan(size_before=100_000)
        assert [(one.name, one.weights, one.kind, one.becomes) for one in found.tensors] == [
            ("output_norm.weight", 64, "f32", "f32"),
            ("blk.0.up.weight", 8192, "f16", "q5_0"),
        ]
        assert found.fallbacks == {"q5_0": 1}
        assert found.size == 100_000 - 2 * 8192 + 8192 // 32 * 22
        assert (log.failure, found.requantized) == ("the moon is full", ())


def test_every_type_is_one_that_llama_cpp_knows(full: Path) -> None:
    for kind in TYPES:
        assert 0 < plan(full, kind).size <= full.stat().st_size


@pytest.mark.parametrize(("word", "tensor"), [("int4", "Q4_K_M"), ("int8", "Q8_0"), ("f16", "F16")])
def test_a_smaller_model_is_written_whole(full: Path, tmp_path: Path, llama: Llama, word: str, tensor: str) -> None:
    target = tmp_path / "new" / "small.gguf"
    result, told = made(quantize(full, target, type_of(word), threads=1))
    assert read_header(target).quantization == tensor
    assert result.path == target
    assert result.size_after == target.stat().st_size < result.size_before == full.stat().st_size
    assert abs(dry_run(full, type_of(word)) - result.size_after) < 1000
    assert (result.fallbacks, result.requantized) == ({}, ())
    assert [one.name for one in target.parent.iterdir()] == ["small.gguf"]
    assert target.stat().st_mode & 0o077 == 0
    assert told[0].stage == "looking at the model"
    assert all(0 <= one.done <= one.total for one in told[1:])
    model = Model(llama, str(target), extra_buffers=False)
    assert tensor.startswith(model.quantization)  # it says Q4_K where the header says Q4_K_M
    model.close()


def test_bits_are_those_of_the_weights(full: Path, tmp_path: Path) -> None:
    assert 4.4 < made(quantize(full, tmp_path / "a.gguf", type_of("q4_0"), threads=1))[0].bits < 5.6
    assert 8.4 < made(quantize(full, tmp_path / "b.gguf", type_of("q8_0"), threads=1))[0].bits < 8.7


def test_rows_that_do_not_fit_fall_back_and_are_told(tiny_chat: Path, tmp_path: Path) -> None:
    result, _ = made(quantize(tiny_chat, tmp_path / "small.gguf", type_of("int4"), threads=1))
    assert result.fallbacks == {"q5_0": 12, "q8_0": 2}


def test_a_split_model_becomes_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llama: Llama) -> None:
    monkeypatch.setattr(tiny_gguf, "GGUFWriter", functools.partial(GGUFWriter, split_max_tensors=8))
    tiny_llama(tmp_path / "big-F16.gguf", width=256)
    first = tmp_path / "big-F16-00001-of-00003.gguf"
    target = tmp_path / target_name(first, type_of("int8"))
    result, _ = made(quantize(first, target, type_of("int8"), threads=1))
    assert target.name == "big-Q8_0.gguf"
    assert result.size_before == sum(part.stat().st_size for part in tmp_path.glob("big-F16-*"))
    assert len(read_header(target).parts) == 1
    Model(llama, str(target), extra_buffers=False).close()


def test_a_target_that_is_there_stays(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.gguf"
    target.write_bytes(b"precious")
    with pytest.raises(RequestInvalid, match="is there already"):
        made(quantize(full, target, type_of("int4")))
    assert target.read_bytes() == b"precious"
    made(quantize(full, target, type_of("int4"), force=True, threads=1))
    assert read_header(target).quantization == "Q4_K_M"


def test_a_target_that_came_meanwhile_stays(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.gguf"
    work = quantize(full, target, type_of("int4"), threads=1)
    begun(work)
    target.write_bytes(b"precious")
    with pytest.raises(RequestInvalid, match="is there already"):
        made(work)
    assert (target.read_bytes(), len(list(tmp_path.iterdir()))) == (b"precious", 1)


def test_a_model_is_never_written_over_itself(full: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.gguf"
    os.link(full, same)
    with pytest.raises(RequestInvalid, match="over itself"):
        made(quantize(full, same, type_of("int4"), force=True))
    with pytest.raises(RequestInvalid, match="is a directory"):
        made(quantize(full, tmp_path, type_of("int4"), force=True))


def test_no_part_of_a_split_model_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_gguf, "GGUFWriter", functools.partial(GGUFWriter, split_max_tensors=8))
    tiny_llama(tmp_path / "big-F16.gguf", width=256)
    first, second = (tmp_path / f"big-F16-0000{number}-of-00003.gguf" for number in (1, 2))
    before = second.read_bytes()
    with pytest.raises(RequestInvalid, match="over itself"):
        made(quantize(first, second, type_of("int8"), force=True, threads=1))
    assert second.read_bytes() == before


def test_what_is_no_file_is_not_replaced(full: Path, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.gguf", tmp_path / "link.gguf"
    os.mkfifo(pipe)
    link.symlink_to("gone.gguf")
    with pytest.raises(RequestInvalid, match="no plain file"):
        made(quantize(full, pipe, type_of("int8"), force=True))
    with pytest.raises(RequestInvalid, match="is there already"):
        made(quantize(full, link, type_of("int8")))
    with pytest.raises(DiskUnwritable, match="its name is too long"):
        made(quantize(full, tmp_path / f"{'n' * 300}.gguf", type_of("int8")))
    assert {one.name for one in tmp_path.iterdir()} == {"pipe.gguf", "link.gguf"}


def test_what_was_rounded_once_is_rounded_again_only_when_asked(full: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    made(quantize(full, first, type_of("q8_0"), threads=1))
    with pytest.raises(RequestInvalid, match=r"quantised already.*q8_0"):
        made(quantize(first, second, type_of("q4_0")))
    assert not second.exists()
    result, _ = made(quantize(first, second, type_of("q4_0"), allow_requantize=True, threads=1))
    assert result.requantized == ("q8_0",)
    assert plan(first, type_of("f16")).requantized == ()


def test_a_full_disk_is_told_before_anything_is_written(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmchat_engine.models.disk.free_bytes", lambda _: 1 << 20)
    with pytest.raises(NotEnoughDisk, match=r"write small\.gguf"):
        made(quantize(full, tmp_path / "small.gguf", type_of("int4")))
    assert list(tmp_path.iterdir()) == []


def test_closing_it_leaves_nothing(slow_chat: Path, tmp_path: Path) -> None:
    work = quantize(slow_chat, tmp_path / "small.gguf", type_of("q2_k"), threads=1)
    begun(work)
    work.close()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_midst_of_a_tensor_is_read() -> None:
    log = QuantizeLog()
    log.feed("[   1/   2] blk.0.up.weight - [    64,    128,      1,      1], type =    f16, converting to q4_K .. ")
    log.feed("llama_model_quantize: failed to quantize: basic_ios::clear: iostream error\n")
    assert (log.failure, log.tensors) == ("basic_ios::clear: iostream error", [])


def test_a_disk_that_takes_no_more_is_told(full: Path, tmp_path: Path) -> None:
    limited = (
        "import sys, pathlib, resource\n"
        "from llmchat_engine.errors import NotEnoughDisk\n"
        "from llmchat_engine.models.quantizing.quantize import quantize, type_of\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "try:\n"
        "    list(quantize(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), type_of('q8_0'), threads=1))\n"
        "except NotEnoughDisk as error:\n"
        "    print(error.why)\n"
    )
    command = [sys.executable, "-c", limited, str(full), str(tmp_path / "small.gguf")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("the disk took no more of it"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("death", "why"),
    [("abort", "SIGABRT"), ("kill", "SIGKILL"), ("exit", "the tensors are tired")],
)
def test_the_death_of_the_child_is_told(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, death: str, why: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(module, "_PROGRAM", "tests.engine.dying_child")
    monkeypatch.setenv("DYING_CHILD", death)
    with pytest.raises(QuantizeFailed, match=why):
        made(quantize(full, tmp_path / "small.gguf", type_of("int4")))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_one_file_that_the_next_one_sweeps(slow_chat: Path, tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from llmchat_engine.models.quantizing.quantize import quantize, type_of\n"
        "for told in quantize(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), type_of('q2_k'), threads=1):\n"
        "    print(told.stage, flush=True)\n"
        "    told.stage == 'quantising' and sys.stdin.read()\n"
    )
    target = tmp_path / "small.gguf"
    command = [sys.executable, "-c", script, str(slow_chat), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while (line := run.stdout.readline()) and "quantising" not in line:
            pass
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    left = tmp_path / ".small.gguf.part"
    assert not target.exists()
    assert {one.name for one in tmp_path.iterdir()} <= {left.name}
    left.write_bytes(b"half of a model")
    made(quantize(slow_chat, target, type_of("int8"), threads=1))
    assert [one.name for one in tmp_path.iterdir()] == ["small.gguf"]
    assert read_header(target).quantization == "Q8_0"


def test_two_writers_of_one_file_do_not_meet(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "small.gguf"
    with temporary_beside(target):
        with pytest.raises(Busy), temporary_beside(target):
            pass
        with pytest.raises(QuantizeFailed, match="another llmchat is writing it"):
            made(quantize(full, target, type_of("int4")))
    assert list(tmp_path.iterdir()) == []
