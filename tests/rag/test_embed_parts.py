"""The parts without a model: batches, cores, the stand-in embedder, the time of a re-ranker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rag.conftest import room_environment

from llmchat_rag.embed.batches import batches, clean
from llmchat_rag.embed.fake import HashEmbedder, ScriptedReranker
from llmchat_rag.embed.machine import has_bf16, physical_cores
from llmchat_rag.embed.probes import agreement, unit
from llmchat_rag.types import Cancelled, Embedder, Reranker

CPU = "processor\t: {n}\nphysical id\t: {socket}\ncore id\t\t: {core}\nflags\t\t: fpu sse {flag}\n\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=80), st.integers(1, 600), st.integers(1, 20))
def test_every_text_is_in_one_batch_and_no_batch_is_too_big(lengths: list[int], tokens: int, most: int) -> None:
    found = list(batches(lengths, tokens, most))

    assert sorted(position for batch in found for position in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or (lengths[batch[0]] * len(batch) <= tokens and len(batch) <= most)
    order = [lengths[position] for batch in found for position in batch]
    assert order == sorted(order, reverse=True)


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert clean("a\ud83d b") == "a? b"
    assert clean("héllo 😀") == "héllo 😀"


def cpuinfo(folder: Path, pairs: list[tuple[int, int]], flag: str = "") -> Path:
    path = folder / "cpuinfo"
    rows = (CPU.format(n=n, socket=socket, core=core, flag=flag) for n, (socket, core) in enumerate(pairs))
    path.write_text("".join(rows), encoding="utf-8")
    return path


def test_hyper_threads_count_once(tmp_path: Path) -> None:
    path = cpuinfo(tmp_path, [(0, 0), (0, 1), (0, 0), (0, 1), (1, 0), (1, 0)])
    everything = frozenset(range(6))

    assert physical_cores(path, tmp_path / "none", everything) == 3
    assert physical_cores(path, tmp_path / "none", frozenset({0, 2})) == 1


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("", 4)])
def test_the_quota_of_a_container_holds(tmp_path: Path, quota: str, cores: int) -> None:
    path = cpuinfo(tmp_path, [(0, core) for core in range(4)])
    (tmp_path / "cpu.max").write_text(quota, encoding="utf-8")

    assert physical_cores(path, tmp_path / "cpu.max", frozenset(range(4))) == cores


def test_without_cpuinfo_the_processors_count(tmp_path: Path) -> None:
    assert physical_cores(tmp_path / "none", tmp_path / "none", frozenset({0, 1})) == 2


@pytest.mark.parametrize(("flag", "expected"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512f", False)])
def test_bfloat16_is_read_from_the_flags(tmp_path: Path, flag: str, expected: bool) -> None:
    assert has_bf16(cpuinfo(tmp_path, [(0, 0)], flag)) is expected


def test_agreement_is_the_worst_of_all() -> None:
    left = np.array([[1, 0], [0, 1]], np.float32)

    assert agreement(left, left) == 1
    assert agreement(left, np.array([[1, 0], [1, 0]], np.float32)) == 0
    assert agreement(left, np.full((2, 2), np.nan, np.float32)) == -1
    assert agreement(left, left[:1]) == -1


def test_a_vector_of_no_length_stays() -> None:
    assert unit(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]


def test_the_stand_in_keeps_the_protocols() -> None:
    embedder: Embedder = HashEmbedder()
    reranker: Reranker = ScriptedReranker({})

    assert len(embedder.fingerprint) == len(reranker.fingerprint) == 64


def test_the_stand_in_ranks_by_shared_words() -> None:
    embedder = HashEmbedder()
    passages = ["the cat sat on the mat", "rivers of northern France", "a violin has four strings"]

    cosines = embedder.encode_passages(passages) @ embedder.encode_query("how many strings has a violin?")

    assert cosines.argmax() == 2
    assert cosines[2] > embedder.gate > max(cosines[:2])


def test_the_stand_in_says_the_same_in_every_process() -> None:
    vector = HashEmbedder(16).encode_query("Cats, dogs and éclairs")

    assert np.round(vector[:4], 3).tolist() == pytest.approx([0, -0.178, 0.636, 0.414], abs=1e-3)
    assert np.linalg.norm(vector) == pytest.approx(1)


def test_the_stand_in_tells_its_progress_and_stops() -> None:
    embedder, told = HashEmbedder(), list[int]()
    texts = [f"text {number}" for number in range(150)]

    embedder.encode_passages(texts, told.append)
    assert told == [64, 128, 150]

    with pytest.raises(Cancelled):
        embedder.encode_passages(texts, cancelled=lambda: True)


def test_no_texts_make_no_vectors() -> None:
    assert HashEmbedder(8).encode_passages([]).shape == (0, 8)
    assert not HashEmbedder(8).encode_query("?!").any()


def test_the_scripted_re_ranker_says_what_it_was_told() -> None:
    reranker = ScriptedReranker({"cat": 3, "dog": -1}, needs=0.5)

    scores = reranker.score("q", ["a dog", "a cat", "a cow"], 1)
    assert scores is not None and scores.tolist() == [-1, 3, 0]
    assert reranker.score("q", ["a dog"], 0.4) is None
    assert reranker.asked == [("q", ("a dog", "a cat", "a cow")), ("q", ("a dog",))]


def test_torch_is_loaded_with_threads_that_do_not_spin(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import os; spins = os.environ['GOMP_SPINCOUNT']", encoding="utf-8")
    environment = room_environment()
    environment.pop("GOMP_SPINCOUNT", None)
    program = "import sys; sys.path.insert(0, sys.argv[1]); from llmchat_rag.embed.bulk import load_torch as load"
    program += "; print(load().spins)"

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, capture_output=True, text=True
    )

    assert done.stdout == "2000\n", done.stderr
