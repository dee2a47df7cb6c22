"""A text that goes round in circles is seen, and nothing else is."""

from __future__ import annotations

import pytest

from llmchat_engine import Finished, Message, Notice, Request
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.loops import LEAST, LONGEST, ROUNDS, goes_round, out_of_circles

LONG = " ".join(f"word{i}" for i in range(110)) + ". "


@pytest.mark.parametrize(
    "circle", ["a", "the ", "The answer is:\n\n", "The token is 1, and the token is 1. The token is 2. ", LONG]
)
def test_a_circle_is_seen_whatever_stands_before_it(circle: str) -> None:
    assert len(circle) <= LONGEST
    rounds = max(ROUNDS, -(-LEAST // len(circle)))
    assert goes_round("It began with sense. " + circle * rounds)
    assert not goes_round("It began with sense. " + circle * (rounds - 1))


def test_it_is_seen_in_the_middle_of_a_round_too() -> None:
    circle = "The documents say that the token is the token of the document. "
    assert goes_round("Once. " + circle * 4 + circle[:20])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "\n".join(f"{n}. The commands of number {n} are these." for n in range(40)),
        "| a | b |\n" + "|---|---|\n" + "\n".join(f"| {n} | {n * n} |" for n in range(60)),
        "Title\n" + "=" * 100 + "\n",
        ("A refrain is sung twice in this song. " * 2 + LONG) * 2,
    ],
)
def test_what_only_looks_alike_is_none(text: str) -> None:
    assert not goes_round(text)


def test_a_circle_is_left_and_told_before_the_end() -> None:
    request = Request((Message("user", "?"),))
    events = list(out_of_circles(FakeEngine([Script("Round and round. " * 1000)]), request))
    *_, notice, last = events
    assert isinstance(notice, Notice) and isinstance(last, Finished)
    assert (last.reason, len(last.text) < 2 * LEAST) == ("stop", True)


def test_a_reply_that_ends_is_passed_on_as_it_is() -> None:
    request = Request((Message("user", "?"),))
    engine = FakeEngine([Script("Once and for all.")])
    last = list(out_of_circles(engine, request))[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.text) == ("eog", "Once and for all.")
