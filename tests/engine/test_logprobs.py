"""Log-probabilities against a softmax in float64, which tokens are the likeliest, and what a row costs."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.rig import SEED

from llmchat_engine.errors import GenerationFailed
from llmchat_engine.host.logprobs import IMPOSSIBLE, likeliest, log_total, logprob, token_logprob

LARGE = 152_064
"""Qwen's vocabulary."""


def row_of(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def softmax(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Returns the probabilities, computed in another way and in float64."""
    weights = np.exp(row.astype(np.float64) - float(row.max()))
    return weights / weights.sum()  # type: ignore[no-any-return]


def random_row(size: int, spread: float, seed: int = SEED) -> npt.NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(size) * spread).astype(np.float32)


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("size", [1, 2, 513, LARGE])
def test_probabilities_are_those_of_a_softmax_in_float64(size: int, spread: float) -> None:
    row = random_row(size, spread) + np.float32(7.5)
    exact, total = softmax(row), log_total(row)
    for token in (*range(0, size, max(1, size // 50)), int(row.argmax())):
        found = logprob(row, token, total)
        assert abs(math.exp(found) - exact[token]) < 1e-5
        assert abs(found - math.log(exact[token] or 5e-324)) < 1e-5 or exact[token] == 0
        assert found <= 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from((-math.inf, -2.0, 0.0, 0.5, 3.0)), min_size=1, max_size=30), st.integers(0, 35))
def test_the_likeliest_come_in_order_and_of_equal_ones_the_lower_id(values: list[float], count: int) -> None:
    possible = [token for token, value in enumerate(values) if value > -math.inf]
    expected = sorted(possible, key=lambda token: (-values[token], token))[:count]
    assert likeliest(row_of(*values), count) == expected


def test_a_row_of_equal_logits_gives_the_first_ids() -> None:
    assert likeliest(np.zeros(LARGE, np.float32), 4) == [0, 1, 2, 3]


def test_what_is_told_of_a_token() -> None:
    row = row_of(1.0, 3.0, 2.0, -math.inf)
    told = token_logprob(row, 0, 2, "abcd".__getitem__)
    assert (told.id, told.text) == (0, "a")
    assert [(other.id, other.text) for other in told.top] == [(1, "b"), (2, "c")]
    assert math.exp(told.logprob) + sum(math.exp(other.logprob) for other in told.top) == pytest.approx(1.0, abs=1e-6)
    assert [other.id for other in token_logprob(row, 0, 9, "abcd".__getitem__).top] == [1, 2, 0]


def test_only_the_token_itself_where_no_others_are_asked_for() -> None:
    assert token_logprob(row_of(0.0, 0.0), 1, 0, str).top == ()


def test_an_impossible_token_has_a_number_that_json_can_carry() -> None:
    assert logprob(row_of(0.0, -math.inf), 1) == IMPOSSIBLE
    assert logprob(row_of(3.3e38, -3.3e38), 1) == IMPOSSIBLE
    assert math.isfinite(IMPOSSIBLE * 1000)


@pytest.mark.parametrize("values", [(0.0, math.nan), (math.nan, 0.0), (math.inf, 0.0), (-math.inf, -math.inf)])
def test_a_row_without_probabilities_is_a_failure_of_the_model(values: tuple[float, float]) -> None:
    with pytest.raises(GenerationFailed, match="gave no probabilities"):
        token_logprob(row_of(*values), 0, 1, str)


def test_the_row_stays_as_it_was() -> None:
    row = random_row(1000, 3.0)
    before = row.copy()
    token_logprob(row, 3, 10, str)
    assert np.array_equal(row, before)


def test_ten_alternatives_of_a_large_vocabulary_cost_less_than_a_millisecond_and_a_half() -> None:
    row = random_row(LARGE, 3.0)
    taken = []
    for _ in range(30):
        began = time.perf_counter()
        token_logprob(row, 17, 10, str)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.0015, [round(1000 * seconds, 2) for seconds in taken]


def test_the_rank_and_how_open_a_place_is() -> None:
    row = np.log(np.array([0.5, 0.125, 0.25, 0.125], np.float32))
    told = [token_logprob(row, token, 0, str) for token in range(4)]
    assert [one.rank for one in told] == [1, 3, 2, 3]
    assert told[0].entropy == pytest.approx(-sum(p * math.log(p) for p in (0.5, 0.25, 0.125, 0.125)), abs=1e-6)
    sure = np.array([0.0, -np.inf, -200.0], np.float32)
    assert token_logprob(sure, 0, 0, str).entropy == pytest.approx(0.0, abs=1e-9)
