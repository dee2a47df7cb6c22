"""The context as numbers and as a bar: they add up for every prompt, and the bar is as wide as it was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.events import Measured
from llmchat_tui.gauge import Gauge, bar, gauge_of

COUNTS = st.integers(0, 10_000)
MEASURED = st.builds(Measured, COUNTS, st.lists(COUNTS, max_size=9).map(tuple), COUNTS, st.integers(0, 40_000))


@given(MEASURED, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_the_parts_add_up_to_the_prompt(measured: Measured, has_system: bool, has_draft: bool) -> None:
    gauge = gauge_of(measured, has_system=has_system, has_draft=has_draft)
    assert gauge.used == measured.total
    assert gauge.used + gauge.free == measured.n_ctx == gauge.n_ctx
    assert sum(count for _, count in gauge.segments()) == measured.total
    assert min(gauge.system, gauge.history, gauge.draft) >= 0
    assert has_draft or gauge.draft == 0


@given(MEASURED)
@settings(max_examples=100, deadline=None)
def test_measuring_changes_nothing(measured: Measured) -> None:
    before = measured.messages
    assert gauge_of(measured, has_system=True, has_draft=True) == gauge_of(measured, has_system=True, has_draft=True)
    assert measured.messages == before


@pytest.mark.parametrize(
    ("has_system", "has_draft", "wanted"),
    [
        (True, True, Gauge(12, 15, 37, 100)),
        (False, True, Gauge(2, 25, 37, 100)),
        (True, False, Gauge(12, 52, 0, 100)),
        (False, False, Gauge(2, 62, 0, 100)),
    ],
)
def test_what_the_template_adds_belongs_to_its_neighbour(has_system: bool, has_draft: bool, wanted: Gauge) -> None:
    measured = Measured(2, (10, 5, 10, 30), 7, 100)
    assert gauge_of(measured, has_system=has_system, has_draft=has_draft) == wanted


def test_what_documents_take_is_taken_from_what_is_free() -> None:
    gauge = gauge_of(Measured(2, (10, 30), 7, 100), has_system=True, has_draft=False, documents=40)
    assert gauge.segments() == [("system", 12), ("history", 37), ("docs", 40)]
    assert (gauge.free, gauge.level) == (11, "amber")


def test_worked_examples_are_a_part_of_their_own() -> None:
    measured = Measured(2, (10, 5, 6, 7, 8, 30), 7, 100)
    gauge = gauge_of(measured, has_system=True, has_draft=True, shots=2)
    assert gauge.segments() == [("system", 12), ("shots", 11), ("history", 15), ("draft", 37)]
    assert gauge.used == measured.total
    alone = gauge_of(measured, has_system=False, has_draft=False, shots=6)
    assert alone.segments() == [("system", 2), ("shots", 66), ("history", 7)]


def test_empty_parts_are_not_named() -> None:
    assert Gauge(0, 3, 0, 10).segments() == [("history", 3)]
    assert gauge_of(Measured(0, (), 0, 10), has_system=False, has_draft=False).segments() == []


@pytest.mark.parametrize(
    ("used", "level"), [(0, "ok"), (79, "ok"), (80, "amber"), (99, "amber"), (100, "red"), (101, "red"), (5000, "red")]
)
def test_it_is_amber_from_80_percent_and_red_without_room_for_a_reply(used: int, level: str) -> None:
    assert Gauge(0, used, 0, 100).level == level


@given(st.floats(-2, 3, allow_nan=False), st.integers(0, 300))
@settings(max_examples=300, deadline=None)
def test_a_bar_is_exactly_as_wide_as_asked_for(share: float, width: int) -> None:
    drawn = bar(share, width)
    assert len(drawn) == width
    assert set(drawn) <= set("█░▏▎▍▌▋▊▉")
    assert drawn == "█" * drawn.count("█") + drawn.strip("█░") + "░" * drawn.count("░")
    assert len(drawn.strip("█░")) <= 1


@given(st.floats(0, 1, allow_nan=False), st.floats(0, 1, allow_nan=False), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_more_is_never_drawn_shorter(one: float, other: float, width: int) -> None:
    less, more = sorted((one, other))
    assert length(bar(less, width)) <= length(bar(more, width))
    assert abs(length(bar(less, width)) - 8 * width * less) <= 0.5


def length(drawn: str) -> int:
    """Returns how much is filled, in eighths of a character."""
    return 8 * drawn.count("█") + sum("▏▎▍▌▋▊▉".find(part) + 1 for part in drawn)
