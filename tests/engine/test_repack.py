"""Which weights count as copied into the CPU's own layout, and what the parts of a model weigh."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.shaped_gguf import Shape, write_shape

from llmchat_engine.models.fit.repack import cpu_features, repacked_bytes
from llmchat_engine.models.fit.weights import is_tied, layer_bytes, output_bytes, read_per_token
from llmchat_engine.models.gguf import Header, read_header

AVX2, AMX, ARM = frozenset({"avx2"}), frozenset({"avx2", "amx_int8"}), frozenset({"asimddp"})
SMALL = {"layers": 2, "width": 256, "heads": 4, "kv_heads": 2, "feed_forward": 512, "vocab": 512}


def header_of(path: Path, **changes: object) -> Header:
    shape = Shape(**{**SMALL, **changes})  # type: ignore[arg-type]
    return read_header(write_shape(path / "m.gguf", shape))


def matrices(header: Header) -> int:
    """Returns the bytes of all that rows are multiplied with, of files whose other tensors are in F32."""
    return int(sum(size for _, kind, size in read_per_token(header) if kind != "F32"))


@pytest.mark.parametrize(
    ("kind", "features", "copied"),
    [
        ("Q4_0", AVX2, True),
        ("Q4_K", AVX2, True),
        ("IQ4_NL", AVX2, True),
        ("Q8_0", AVX2, False),
        ("Q8_0", ARM, True),
        ("Q6_K", AVX2, False),
        ("Q6_K", ARM, True),
        ("Q2_K", AVX2, False),
        ("Q2_K", AVX2 | {"avx512f"}, True),
        ("Q4_1", AVX2, False),
        ("Q4_1", AMX, True),
        ("F16", AMX, False),
        ("Q4_0", frozenset(), False),
    ],
)
def test_what_is_copied(tmp_path: Path, kind: str, features: frozenset[str], copied: bool) -> None:
    header = header_of(tmp_path, kind=kind)
    assert repacked_bytes(header, features) == (matrices(header) if copied else 0)


def test_an_embedding_is_copied_only_where_it_is_the_output_too(tmp_path: Path) -> None:
    tied, apart = header_of(tmp_path, kind="Q4_0"), header_of(tmp_path, kind="Q4_0", tied=False)
    assert is_tied(tied)
    assert not is_tied(apart)
    assert repacked_bytes(tied, AVX2) == repacked_bytes(apart, AVX2)
    assert apart.file_size > tied.file_size


def test_rows_that_are_no_multiple_of_eight_stay(tmp_path: Path) -> None:
    header = header_of(tmp_path, kind="Q4_0", vocab=517)
    assert repacked_bytes(header, AVX2) == sum(layer_bytes(header)) - 2 * 2 * 256 * 4


def test_of_a_mixture_only_those_experts_are_read_that_are_used(tmp_path: Path) -> None:
    all_used, some = (header_of(tmp_path, experts=4, used=used) for used in (4, 1))
    whole, part = (sum(size for *_, size in read_per_token(header)) for header in (all_used, some))
    assert whole - part == pytest.approx(0.75 * 2 * 3 * 4 * 256 * 512 * 34 / 32)


def test_layers_and_output_are_all_of_the_file_but_its_header(tmp_path: Path) -> None:
    header = header_of(tmp_path)
    assert len(layer_bytes(header)) == 2
    assert sum(layer_bytes(header)) + output_bytes(header) == pytest.approx(header.tensor_bytes, abs=1024)


def test_features_of_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert cpu_features(tmp_path) == frozenset()
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2 amx_int8\n\nprocessor\t: 1\nflags\t: x\n")
    assert cpu_features(tmp_path) == {"fpu", "avx2", "amx_int8"}
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimddp i8mm\n")
    assert cpu_features(tmp_path) == {"fp", "asimddp", "i8mm"}
    monkeypatch.setattr("sys.platform", "darwin")
    assert cpu_features(tmp_path) == frozenset()
