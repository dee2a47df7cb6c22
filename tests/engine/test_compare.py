"""Measuring models against each other: the numbers against numpy, the processes, what happens when one dies."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.measuring import TEXT, finished
from tests.engine.rig import SEED
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_llama

from llmchat_engine.errors import EngineDied, ModelError, NotEnoughDisk
from llmchat_engine.host.divergence import Divergences, Likelihood, divergence, mean_error
from llmchat_engine.host.rows_file import RowsFile
from llmchat_engine.launch import Places
from llmchat_engine.models.quantizing import compare as module
from llmchat_engine.models.quantizing.child import Child
from llmchat_engine.models.quantizing.compare import Side, compare, default_text
from llmchat_engine.models.quantizing.quantize import quantize, type_of
from llmchat_engine.models.quantizing.tasks import Divergence
from llmchat_engine.types import ModelSpec

ROOT = Path(__file__).parents[2]
WINDOW = 64
Rows = npt.NDArray[np.float32]


def logprobs(logits: npt.NDArray[np.float64]) -> Rows:
    wide = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True)), np.float32)


def random_rows(count: int, n_vocab: int, seed: int) -> Rows:
    return logprobs(np.random.default_rng((SEED, seed)).standard_normal((count, n_vocab)) * 3)


def compared(base: Rows, other: Rows, tokens: npt.NDArray[np.int64]) -> Divergence:
    tally = Divergences()
    for p, q, token in zip(base, other, tokens, strict=True):
        tally.add(p, q, int(token))
    return tally.result()


def test_the_numbers_are_those_of_numpy() -> None:
    count, n_vocab = 200, 1000
    base, other = random_rows(count, n_vocab, 1), random_rows(count, n_vocab, 2) * np.float32(0.1)
    other = logprobs(base.astype(np.float64) + other)
    tokens = np.random.default_rng((SEED, 3)).integers(0, n_vocab, count)
    found = compared(base, other, tokens)
    p, q = base.astype(np.float64), other.astype(np.float64)
    kl = (np.exp(p) * (p - q)).sum(axis=1)
    error = kl.std() / np.sqrt(count - 1)
    assert found.kl == pytest.approx(kl.mean(), rel=1e-6)
    assert found.kl_error == pytest.approx(error, rel=1e-6)
    assert found.kl_median == pytest.approx(np.median(kl), rel=1e-6)
    assert found.kl_max == pytest.approx(kl.max(), rel=1e-6)
    assert found.kl_p99 == pytest.approx(np.quantile(kl, 0.99), rel=1e-6)
    same = (p.argmax(axis=1) == q.argmax(axis=1)).mean()
    assert found.same_top == pytest.approx(same)
    assert found.same_top_error == pytest.approx(np.sqrt(same * (1 - same) / (count - 1)))
    at = np.arange(count)
    change = np.exp(q[at, tokens]) - np.exp(p[at, tokens])
    assert found.p_change == pytest.approx(change.mean(), rel=1e-5, abs=1e-9)
    assert found.p_change_rms == pytest.approx(np.sqrt((change**2).mean()), rel=1e-5)
    assert found.nll_change == pytest.approx((p[at, tokens] - q[at, tokens]).mean(), rel=1e-5)


def test_a_known_perturbation_has_its_known_divergence() -> None:
    base = np.log(np.array([[0.5, 0.25, 0.25]], np.float32))
    other = np.log(np.array([[0.25, 0.5, 0.25]], np.float32))
    found = compared(base, other, np.array([0]))
    assert found.kl == pytest.approx(0.25 * np.log(2), rel=1e-6)
    assert found.same_top == 0.0
    assert found.p_change == pytest.approx(-0.25)
    assert found.nll_change == pytest.approx(np.log(2), rel=1e-6)


def test_equal_rows_are_not_apart_even_with_tokens_that_are_ruled_out() -> None:
    rows = random_rows(20, 500, 4)
    rows[:, 7] = -np.inf
    found = compared(rows, rows.copy(), np.full(20, 3))
    assert (found.kl, found.kl_max, found.same_top, found.p_change) == (0.0, 0.0, 1.0, 0.0)
    impossible = rows[0].copy()
    impossible[3] = -np.inf
    assert np.isfinite(divergence(rows[0], impossible))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_a_mean_has_its_standard_error(values: list[float]) -> None:
    mean, error = mean_error(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-6)
    wanted = np.std(values) / np.sqrt(len(values) - 1) if len(values) > 1 else 0.0
    assert error == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_a_perplexity_has_the_error_of_its_mean() -> None:
    tally = Likelihood()
    for value in (-1.0, -2.0, -3.0):
        tally.add(value)
    assert (tally.count, tally.mean()[0]) == (3, 2.0)
    assert tally.mean()[1] == pytest.approx(np.sqrt(1 / 3))


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = random_rows(5, 33, 5)
    with (tmp_path / "rows").open("w+b") as file:
        writer, reader = RowsFile(file.fileno(), 33), RowsFile(file.fileno(), 33)
        for row in rows:
            writer.append(row)
        assert all((reader.next() == row).all() for row in rows)
        with pytest.raises(NotEnoughDisk, match="ends early"):
            reader.next()
        with pytest.raises(NotEnoughDisk, match="for 1,000,000,000,000 tokens"):
            writer.reserve(10**12)


@pytest.fixture(scope="module")
def full(models: Path) -> Path:
    """A model whose rows fit every type."""
    return tiny_llama(models / "compare-F32.gguf", width=256)


def measure(
    specs: list[ModelSpec], verdicts: Path, tmp_path: Path, prompts: tuple[str, ...] = ("hello",), text: str = TEXT
) -> tuple[Side, ...]:
    """Runs a comparison; its scratch directory has to be empty in the end."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    places = Places(verdicts, verdicts, verdicts)
    sides = finished(compare(specs, places, text, prompts, window=WINDOW, max_tokens=8, scratch=scratch))
    assert list(scratch.iterdir()) == []
    return sides


def spec_of(path: Path) -> ModelSpec:
    return ModelSpec(path, gpu_layers=0, threads=1)


def divergence_of(side: Side) -> Divergence:
    assert side.measured.divergence is not None, side.measured.why_no_divergence
    return side.measured.divergence


def test_a_model_is_not_apart_from_itself(full: Path, verdicts: Path, tmp_path: Path) -> None:
    first, second = measure([spec_of(full), spec_of(full)], verdicts, tmp_path)
    found = divergence_of(second)
    assert found.kl_max < 1e-6
    assert found.same_top == 1.0
    assert abs(found.nll_change) < 1e-6
    assert first.measured.divergence is None
    assert first.answers == second.answers


def test_int8_is_nearer_to_the_full_model_than_int4(full: Path, verdicts: Path, tmp_path: Path) -> None:
    smaller = []
    for word in ("int8", "int4"):
        smaller.append(tmp_path / f"compare-{word}.gguf")
        finished(quantize(full, smaller[-1], type_of(word), threads=1))
    base, int8, int4 = measure([spec_of(path) for path in (full, *smaller)], verdicts, tmp_path, ("a", "b"))
    near, far = divergence_of(int8), divergence_of(int4)
    assert 0 < near.kl < far.kl
    assert near.same_top >= far.same_top
    assert near.kl_median <= near.kl_p99 <= near.kl_max
    assert base.size > int8.size > int4.size
    assert base.bits == pytest.approx(32, rel=0.1)
    assert (base.measured.quantization, int8.measured.quantization) == ("F32", "Q8_0")
    for side in (base, int8, int4):
        assert len(side.answers) == 2
        assert all(0 < answer.tokens <= 8 for answer in side.answers)
        assert (side.measured.decode > 0) == any(answer.tokens > 1 for answer in side.answers)
        assert 10 << 20 < side.measured.peak_memory < 1 << 30
        assert side.measured.text is not None
        assert side.measured.text.prefill > 0
        # The change that is told of pairs of tokens is the difference of the means.
    assert base.measured.text is not None
    assert int4.measured.text is not None
    assert far.nll_change == pytest.approx(int4.measured.text.nll - base.measured.text.nll, abs=1e-6)


def test_types_of_the_cache_are_compared(full: Path, verdicts: Path, tmp_path: Path) -> None:
    plain = spec_of(full)
    kinds = [plain, replace(plain, cache_type_k="q8_0", cache_type_v="q8_0")]
    kinds.append(replace(plain, cache_type_k="q4_0", cache_type_v="q4_0"))
    _, eight, four = measure(kinds, verdicts, tmp_path)
    assert 0 < divergence_of(eight).kl < divergence_of(four).kl
    assert (eight.name, four.name) == ("compare-F32, cache q8_0", "compare-F32, cache q4_0")


OTHERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another size of vocabulary": (lambda path: tiny_llama(path, vocab=600), "their vocabularies differ"),
    "another text of a token": (lambda path: tiny_llama(path, marks={5: "<other>"}), "their vocabularies differ"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_vocabularies_are_not_compared_token_by_token(
    name: str, tiny_chat: Path, verdicts: Path, tmp_path: Path
) -> None:
    make, why = OTHERS[name]
    _, other = measure([spec_of(tiny_chat), spec_of(make(tmp_path / "other.gguf"))], verdicts, tmp_path)
    assert (other.measured.divergence, other.measured.why_no_divergence) == (None, why)
    assert other.measured.text is not None


def test_another_architecture_with_the_same_words_is_compared(tiny_chat: Path, verdicts: Path, tmp_path: Path) -> None:
    _, other = measure(
        [spec_of(tiny_chat), spec_of(tiny_gemma3_swa(tmp_path / "gemma.gguf"))], verdicts, tmp_path, prompts=()
    )
    assert divergence_of(other).kl > 0.1
    assert (other.answers, other.measured.decode) == ((), 0.0)


def test_a_file_that_is_no_model_is_told_before_the_first_is_measured(
    tiny_chat: Path, verdicts: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    work = compare(
        [spec_of(tiny_chat), spec_of(broken)], Places(verdicts, verdicts, verdicts), TEXT, (), scratch=tmp_path
    )
    with pytest.raises(ModelError):
        next(work)


def test_the_death_of_the_process_is_told(
    tiny_chat: Path, verdicts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(module, "_PROGRAM", "tests.engine.dying_child")
    monkeypatch.setenv("DYING_CHILD", "abort")
    with pytest.raises(EngineDied, match=r"tiny-chat could not be measured.*SIGABRT"):
        measure([spec_of(tiny_chat), spec_of(tiny_chat)], verdicts, tmp_path)


def test_closing_it_ends_the_process(
    slow_chat: Path, verdicts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Child] = []

    class Seen(Child):
        def __enter__(self) -> Child:
            started.append(self)
            return self

    monkeypatch.setattr(module, "Child", Seen)
    places = Places(verdicts, verdicts, verdicts)
    work = compare([spec_of(slow_chat)] * 2, places, default_text(), ("a",), scratch=tmp_path)
    while next(work).stage != "reading":
        pass
    work.close()
    (child,) = started
    assert child._process.poll() is not None
    assert list(tmp_path.iterdir()) == []


def test_the_built_in_text_is_prose_of_some_length() -> None:
    text = default_text()
    assert 8_000 < len(text) < 12_000
    assert text.isascii()
