"""What rounds of the benchmark come to: the ratios that llmchat promises, and the rows of its table.

Arithmetic alone: measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from llmchat_tui.cli.bench_chat import TURNS
from llmchat_tui.cli.bench_clock import Answer
from llmchat_tui.cli.bench_depths import Floor
from llmchat_tui.cli.bench_report import Ratios, Samples
from llmchat_tui.cli.bench_round import Round

FIXED = 0.010
"""Seconds that a regenerated reply may take beside its decode steps."""
TURN, NOTHING = "turn {}, first token", "turn {}, with nothing to start from"
AGAIN, OVER = "the last reply again, old one kept", "over to the other reply"
BACK = "another chat and back, short question"
CONTINUED, REOPENED = "reopened, last reply continued", "reopened, short question"
_MS = 1000.0
_MIB = 2.0**20


def ratios(rounds: Sequence[Round]) -> Ratios:
    """Returns the ratios of some rounds."""
    return Ratios(
        turn10_ttft=_middle(rounds, _turn10),
        regenerate_steps=_middle(rounds, _steps),
        switch_back_tokens=max(round_.alive.back_to_first.evaluated for round_ in rounds),
        reopen=_middle(rounds, lambda round_: round_.reopened.to_first / round_.nothing[TURNS].to_first),
        reopen_bit_equal=all(_same(round_.alive.continued, round_.reopened) for round_ in rounds),
    )


def _middle(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    return round(median(value(round_) for round_ in rounds), 4)


def _same(one: Answer, other: Answer) -> bool:
    return one.finished.token_ids == other.finished.token_ids


def _turn10(round_: Round) -> float:
    return round_.last.to_first / (round_.reference.reading + round_.reference.step)


def _steps(round_: Round) -> float:
    return max(0.0, round_.alive.regeneration - FIXED) / round_.depths[-1].step


def add_round(samples: Samples, round_: Round, floor: Floor) -> None:
    """Adds the values of a round to the rows.

    Args:
        samples: The rows.
        round_: What was found.
        floor: The best that the machine could do.
    """
    for seconds in round_.loads:
        samples.add("load, file in the system's cache", "s", seconds, floor=floor.model / floor.bandwidth)
    for point in round_.depths:
        samples.add(f"prefill at {point.depth:,}", "tokens/s", point.prefill_rate)
    for point in round_.depths:
        best = 1 / floor.step(point.depth)
        samples.add(f"decode at {point.depth:,}", "tokens/s", point.decode_rate, floor=best)
    for turn in (2, TURNS):
        _add_first(samples, TURN.format(turn), round_.alive.turns[turn - 1], floor)
        _add_first(samples, NOTHING.format(turn), round_.nothing[turn], floor)
    for answer in round_.alive.regenerated:
        _add_first(samples, AGAIN, answer, floor)
    for answer in (round_.alive.back_to_first, round_.alive.back_to_new):
        _add_first(samples, OVER, answer, floor)
    _add_first(samples, BACK, round_.alive.came_back, floor)
    _add_first(samples, CONTINUED, round_.reopened, floor)
    _add_first(samples, REOPENED, round_.reasked, floor)
    depth = round_.last.finished.prompt_tokens
    least = (floor.model + depth * floor.per_token) / _MIB
    samples.add("memory of the engine", "MiB", round_.alive.resident / _MIB, floor=least)


def _add_first(samples: Samples, name: str, answer: Answer, floor: Floor) -> None:
    """Adds the time to a first token, and how many tokens it took; what came back from outside was read once more."""
    finished = answer.finished
    best = floor.first_token(finished.cached_tokens, answer.evaluated)
    if finished.restored:
        best += floor.moved(finished.restored.tokens)
    note = f"{answer.evaluated:,} of {finished.prompt_tokens:,} tokens computed"
    samples.add(name, "ms", _MS * answer.to_first, note, floor=_MS * best)
