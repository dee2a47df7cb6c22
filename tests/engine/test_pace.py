"""Which number of threads is taken, by what steps took: scripted times."""

from __future__ import annotations

from collections.abc import Callable

from llmchat_engine.host.pace import EVERY, TRIES, Pace


def run(pace: Pace, steps: int, seconds: Callable[[int], float]) -> list[int]:
    """Returns what was chosen."""
    chosen = []
    for _ in range(steps):
        chosen.append(pace.choose())
        pace.took(chosen[-1], seconds(chosen[-1]))
    return chosen


def test_each_is_tried_and_the_quickest_taken() -> None:
    chosen = run(Pace((3, 4)), 40, {3: 0.02, 4: 0.016}.__getitem__)
    assert chosen[: 2 * TRIES] == [3] * TRIES + [4] * TRIES
    assert set(chosen[2 * TRIES :]) == {4}


def test_one_is_no_choice() -> None:
    assert set(run(Pace((4, 4)), 300, lambda _: 0.01)) == {4}


def test_one_step_that_was_held_up_decides_nothing() -> None:
    times = iter([0.02, 0.02, 0.02, 0.016, 3.0, 0.016])
    assert run(Pace((3, 4)), 7, lambda _: next(times, 0.016))[-1] == 4


def test_when_the_machine_gets_busy_the_other_is_found() -> None:
    pace = Pace((3, 4))
    run(pace, 50, {3: 0.02, 4: 0.016}.__getitem__)
    busy = run(pace, 2 * EVERY, {3: 0.025, 4: 0.08}.__getitem__)
    assert busy[-1] == 3
    again = run(pace, 2 * EVERY, {3: 0.02, 4: 0.016}.__getitem__)
    assert again[-1] == 4


def test_trying_the_others_is_rare() -> None:
    pace = Pace((3, 4))
    run(pace, 2 * TRIES, {3: 0.01, 4: 0.02}.__getitem__)
    chosen = run(pace, 10 * EVERY, {3: 0.01, 4: 0.02}.__getitem__)
    assert chosen.count(4) <= 10 * TRIES + TRIES
