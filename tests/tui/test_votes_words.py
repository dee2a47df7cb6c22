"""A vote in words and read from disk: who won, who counted, and files that say what cannot be a vote."""

from __future__ import annotations

from typing import Any

import pytest

from llmchat_engine.answers import StopReason
from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_tui.growing import packed_vote
from llmchat_tui.thoughts import Thought
from llmchat_tui.votes import counts_for_winner, ended_vote, outcome_of, poll_of, progress_of


def chain(number: int, answer: str, reason: StopReason = "eog") -> Chain:
    return Chain(number, f"so {answer}", answer, answer.lower(), reason, 10 + number)


SPLIT = Polled((chain(0, "Four"), chain(1, "5"), chain(2, "four"), chain(3, "")), (("Four", 2), ("5", 1)), 8, 46)


def test_a_vote_that_runs_and_one_that_has_ended() -> None:
    assert progress_of(SPLIT) == f"4 of 8 chains · {SPLIT.outcome} · 46 tokens"
    assert ended_vote(SPLIT) == f"{SPLIT.outcome} · 4 of 8 chains"
    assert progress_of(Polled((), (), 8)) == "0 of 8 chains"
    assert ended_vote(Polled((chain(0, ""),), (), 1)) == "no chain found an answer"
    assert ended_vote(None) == ""


def test_those_that_reached_the_winner_count() -> None:
    assert [counts_for_winner(one, SPLIT) for one in SPLIT.chains] == [True, False, True, False]
    stopped = chain(7, "Four", "cancelled")
    assert not counts_for_winner(stopped, SPLIT)


def test_a_long_answer_with_escapes_is_one_short_harmless_line() -> None:
    answer = "\x1b[31m" + "long\n" * 100
    shown = outcome_of(Polled((chain(0, answer),), ((answer, 1),), 1))
    assert "\x1b" not in shown and "\n" not in shown and len(shown) < 70


def test_it_is_the_same_from_disk() -> None:
    assert poll_of({"votes": packed_vote(SPLIT)}) == SPLIT


@pytest.mark.parametrize(
    "kept", [None, 3, [], {}, {"tally": 3, "total": 1, "chains": []}, {"tally": [], "total": "x", "chains": [1]}]
)
def test_what_is_no_vote_is_none(kept: Any) -> None:
    assert poll_of({"votes": kept}) is None
    assert poll_of({}) is None


@pytest.mark.parametrize(
    ("thought", "line"),
    [
        (Thought("hm", 412, 3.14), "thought 3.1 s · 412 tokens"),
        (Thought("hm", 1, 0.0), "thought 1 token"),
        (Thought("hm"), "thought"),
        (Thought("hm", 0, 0.0, is_cut=True), "thought · no answer came"),
        (Thought("hm", 2, 1.0, is_cut=True), "thought 1.0 s · 2 tokens · no answer came"),
    ],
)
def test_a_thought_in_a_line(thought: Thought, line: str) -> None:
    assert thought.line == line and bool(thought)


def test_nothing_was_thought() -> None:
    assert not Thought() and not Thought("\n\n") and Thought(tokens=3)
