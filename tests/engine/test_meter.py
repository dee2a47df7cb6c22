"""The rate of bytes, on a clock that the test turns."""

from __future__ import annotations

from llmchat_engine.models.meter import WINDOW, Meter


class Clock:
    """Says what it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    meter = Meter(10_000, "a.gguf", clock)
    for second in range(20):
        clock.now = 100 + second
        told = meter.told("downloading", second * 100 if second < 10 else 1000 + (second - 10) * 10)
    assert (told.done, told.total, told.unit, told.what) == (1090, 10_000, "bytes", "a.gguf")
    assert told.rate == 10.0
    assert told.seconds_left == 891.0


def test_a_line_that_stopped_falls_to_nothing() -> None:
    clock = Clock()
    meter = Meter(1000, "", clock)
    meter.told("downloading", 0)
    clock.now += 1
    assert meter.told("downloading", 500).rate == 500
    clock.now += WINDOW
    assert 0 <= meter.told("downloading", 500).rate < 100
    clock.now += WINDOW
    assert meter.told("downloading", 500).rate == 0


def test_it_is_too_early_to_tell_and_a_new_beginning_is_none_backwards() -> None:
    clock = Clock()
    meter = Meter(1000, "", clock)
    assert meter.told("downloading", 500).rate == 0
    clock.now += 0.1
    assert meter.told("downloading", 900).rate == 0
    clock.now += 1
    assert meter.told("downloading", 100).rate == 0


def test_ten_times_a_second_is_often_enough() -> None:
    clock = Clock()
    meter = Meter(1000, "", clock)
    assert meter.due()
    meter.told("downloading", 1)
    assert not meter.due()
    clock.now += 0.11
    assert meter.due()
