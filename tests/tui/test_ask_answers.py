"""`ask --answers`, `--beams` and `--length-penalty`, in this process with a scripted engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tui.asking import ask, stored

from llmchat_engine import Sampling
from llmchat_engine.testing import FakeEngine, Script

COLOURS = (Script("Red."), Script("A deep\nblue."), Script("Green it is."))
PRINTED = """\
--- answer 1 of 3 ---
Red.
--- answer 2 of 3 ---
A deep
blue.
--- answer 3 of 3 ---
Green it is.
"""


def test_each_is_printed_under_a_separator_and_kept(home: Path) -> None:
    engine = FakeEngine(COLOURS)
    asked = ask(home, "--answers", "3", "A colour?", engine=engine)
    assert (asked.code, asked.out, asked.err) == (0, PRINTED, "")
    assert engine.requests[0].answers == 3
    question, *replies = stored(home)
    assert [reply.text for reply in replies] == ["Red.", "A deep\nblue.", "Green it is."]
    assert {reply.parent_id for reply in replies} == {question.id}


def test_the_order_is_that_of_the_numbers_whichever_ends_first(home: Path) -> None:
    asked = ask(home, "--answers", "2", "hi", engine=FakeEngine([Script("one two three"), Script("short")]))
    assert asked.out == "--- answer 1 of 2 ---\none two three\n--- answer 2 of 2 ---\nshort\n"


def test_what_goes_on_goes_on_from_the_first(home: Path) -> None:
    ask(home, "--answers", "3", "A colour?", engine=FakeEngine(COLOURS))
    engine = FakeEngine([Script("Because.")])
    assert ask(home, "-c", "Why?", engine=engine).out == "Because.\n"
    assert [message.text for message in engine.requests[0].messages] == ["A colour?", "Red.", "Why?"]


def test_no_stream_prints_the_same(home: Path) -> None:
    assert ask(home, "--answers", "3", "--no-stream", "hi", engine=FakeEngine(COLOURS)).out == PRINTED


def test_json_has_all(home: Path) -> None:
    asked = ask(home, "--answers", "3", "--json", "hi", engine=FakeEngine(COLOURS))
    found = json.loads(asked.out)
    _, *replies = stored(home)
    assert found["reply"] == "Red."
    assert [answer["reply_id"] for answer in found["answers"]] == [reply.id for reply in replies]
    assert found["answers"][1] == {
        "reply_id": replies[1].id,
        "reply": "A deep\nblue.",
        "thought": "",
        "stop_reason": "eog",
        "complete": True,
        "reply_tokens": 3,
        "token_ids": [0, 1, 2],
        "seed": None,
        "logprob": None,
    }
    assert json.loads(ask(home, "--json", "hi").out)["answers"] == []


def test_what_had_come_is_printed_where_the_engine_died(home: Path) -> None:
    engine = FakeEngine([Script("one two three", crash_after=2), Script("short"), Script("uno dos tres")])
    asked = ask(home, "--answers", "3", "hi", engine=engine)
    assert asked.code == 8
    assert asked.out.split("---") == [
        "", " answer 1 of 3 ", "\none two\n", " answer 2 of 3 ", "\nshort\n", " answer 3 of 3 ", "\nuno dos\n",
    ]  # fmt: skip
    assert [reply.status for reply in stored(home)[1:]] == ["failed", "complete", "failed"]


def test_the_time_limit_stops_all(home: Path) -> None:
    engine = FakeEngine([Script("one two", hang_after=1), Script("uno dos")])
    asked = ask(home, "--answers", "2", "--timeout", "0.1", "hi", engine=engine)
    assert asked.code == 1
    assert asked.out == "--- answer 1 of 2 ---\none\n--- answer 2 of 2 ---\nuno\n"


def test_usage_counts_all(home: Path) -> None:
    asked = ask(home, "--answers", "3", "-u", "hi", engine=FakeEngine(COLOURS))
    assert "+ 7 reply tokens of 3 answers" in asked.err
    assert "7 tokens of 3 answers" in ask(home, "--answers", "3", "--verbose", "hi", engine=FakeEngine(COLOURS)).err


def test_beams(home: Path) -> None:
    engine = FakeEngine(COLOURS)
    assert ask(home, "--beams", "4", "--length-penalty", "0.6", "hi", engine=engine).out == "Red.\n"
    (request,) = engine.requests
    assert (request.beams, request.length_penalty, request.answers) == (4, 0.6, 1)
    assert request.sampling == Sampling()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--answers", "2", "--beams", "4"], "--answers and --beams exclude each other"),
        (["--answers", "2", "--docs"], "--answers and documents exclude each other"),
        (["--answers", "2", "-x"], "--answers and --extract exclude each other"),
        (["--length-penalty", "2"], "--length-penalty is about beams"),
        (["--answers", "17"], "17"),
        (["--answers", "0"], "0"),
        (["--beams", "0"], "0"),
    ],
)
def test_what_cannot_be_is_refused(home: Path, flags: list[str], named: str) -> None:
    engine = FakeEngine()
    asked = ask(home, *flags, "hi", engine=engine)
    assert (asked.code, asked.out, engine.requests) == (2, "", [])
    assert named in asked.err
