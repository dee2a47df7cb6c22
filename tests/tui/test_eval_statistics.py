"""Intervals and paired tests against values that others have published or that can be counted by hand."""

from __future__ import annotations

import math
from itertools import product

import pytest

from llmchat_tui.evaluation.statistics import Paired, holm, mcnemar, paired, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_as_newcombe_1998_has_it(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_of_all_right_and_of_nothing() -> None:
    low, high = wilson(20, 20)
    assert low == pytest.approx(1 - 0.1611, abs=5e-5)
    assert high == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (5, 0, 0.0625),
        (0, 6, 0.03125),
        (1, 9, 22 / 1024),
        (9, 1, 22 / 1024),
        (2, 8, 112 / 1024),
    ],
)
def test_mcnemars_test_counts_the_falls_of_a_coin(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == p


def test_mcnemars_test_is_what_trying_every_fall_gives() -> None:
    for differing in range(1, 9):
        for gained in range(differing + 1):
            extreme = abs(2 * gained - differing)
            falls = [sum(fall) for fall in product((0, 1), repeat=differing)]
            share = sum(abs(2 * heads - differing) >= extreme for heads in falls) / len(falls)
            assert math.isclose(mcnemar(gained, differing - gained), share)


def test_mcnemars_test_of_thousands_does_not_overflow() -> None:
    assert 0.0 < mcnemar(2600, 2400) < 0.01
    assert mcnemar(3000, 0) == 0.0


def test_two_ways_on_the_same_items() -> None:
    found = paired([True, True, False, False, True], [True, False, True, False, False])
    assert (found.items, found.gained, found.lost) == (5, 2, 1)
    assert found.difference == pytest.approx(0.2)
    assert found.p == 1.0
    assert Paired(0, 0, 0).difference == 0.0


def test_ways_on_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        paired([True], [])


def test_holms_correction_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()
