"""Two rankings made one: the numbers."""

from __future__ import annotations

import pytest

from llmchat_rag.fuse import blended, fused, ranked


def test_the_cosine_weighs_seven_tenths_and_the_best_words_three() -> None:
    scores = fused({1: 0.5, 2: 0.4, 3: -0.2}, {2: 8.0, 3: 4.0})
    assert scores == pytest.approx({1: 0.35, 2: 0.28 + 0.3, 3: 0.15})


def test_the_words_alone_count_where_alpha_is_nothing() -> None:
    assert fused({1: 0.9, 2: 0.1}, {2: 3.0}, alpha=0.0) == {1: 0.0, 2: 1.0}


def test_without_any_word_the_cosine_decides() -> None:
    assert fused({1: 0.9, 2: 0.1}, {}) == pytest.approx({1: 0.63, 2: 0.07})
    assert fused({}, {}) == {}


def test_inverse_ranks_add_up() -> None:
    scores = fused({1: 0.9, 2: 0.8}, {2: 5.0, 3: 4.0}, fusion="rrf")
    assert scores == pytest.approx({1: 1 / 61, 2: 1 / 62 + 1 / 61, 3: 1 / 62})


def test_ranks_of_equals_are_always_the_same() -> None:
    assert ranked({5: 1.0, 3: 1.0, 4: 2.0}) == {4: 1, 3: 2, 5: 3}


def test_a_blend_stretches_both_and_survives_equals() -> None:
    assert blended({1: 10.0, 2: 0.0, 3: 5.0}, {1: 0.2, 2: 0.4, 3: 0.4}) == {1: 0.5, 2: 0.5, 3: 0.75}
    assert blended({1: 2.0}, {1: 7.0}) == {1: 1.0}
