"""The lines of `ask --logprobs`, and tokens as text for a terminal."""

from __future__ import annotations

import math

import pytest
from tests.tui.terminal import unexpected

from llmchat_engine.answers import Candidate, TokenLogprob
from llmchat_tui.cli.logprobs import as_json, logprob_lines
from llmchat_tui.piece_text import cell, columns_of, percent, visible

TOLD = TokenLogprob(
    5,
    " mat",
    math.log(0.25),
    (Candidate(9, " hat", math.log(0.5)), Candidate(5, " mat", math.log(0.25))),
    rank=2,
    entropy=1.5 * math.log(2),
)


def test_a_token_is_a_line() -> None:
    assert list(logprob_lines([TOLD])) == ["·mat               25.00 %  ██▌░░░░░░░  #2        1.50 bits  ·hat 50.00 %"]
    assert list(logprob_lines([])) == []


def test_an_unlikely_one_is_coloured() -> None:
    (line,) = logprob_lines([TOLD], color=True)
    assert line.startswith("\x1b[33m·mat")


def test_json_has_every_number() -> None:
    (token,) = as_json([TOLD])
    assert (token["id"], token["text"], token["rank"]) == (5, " mat", 2)
    assert token["probability"] == pytest.approx(0.25)
    assert token["entropy_bits"] == pytest.approx(1.5)
    assert [other["id"] for other in token["top"]] == [9, 5]


def test_what_a_server_does_not_tell_is_left_open() -> None:
    likely = (Candidate(-1, " hat", math.log(0.5)), Candidate(-1, " mat", math.log(0.25)))
    told = TokenLogprob(-1, " mat", math.log(0.25), likely, rank=2, entropy=math.nan)
    assert list(logprob_lines([told])) == ["·mat               25.00 %  ██▌░░░░░░░  #2                   ·hat 50.00 %"]
    assert as_json([told])[0]["entropy_bits"] is None


def test_nothing_in_a_token_acts_on_a_terminal() -> None:
    hostile = "\x1b[31m\x9b\u202e\u200b\x07\n"
    (line,) = logprob_lines([TokenLogprob(1, hostile, -1.0, (Candidate(2, hostile, -1.0),))])
    assert unexpected(line.encode()) == []
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a\tb\r\n", "·a⇥b␍↵"),
        ("\x1b", "␛"),
        ("\u200d\xa0", "\\u200d\\u00a0"),
        ("日本", "日本"),
        ("\ufffd", "\ufffd"),
        ("", ""),
    ],
)
def test_blanks_are_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("text", ["", "a", "abcdef", "日本語", "e\u0301e\u0301e\u0301", "👍👍👍"])
def test_a_cell_has_its_width(text: str, columns: int) -> None:
    assert columns_of(cell(text, columns)) == columns


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100.00 %"), (0.12345, "12.35 %"), (0.0001, "0.01 %"), (1e-9, "<0.01 %"), (0.0, "0.00 %")],
)
def test_percentages(share: float, shown: str) -> None:
    assert percent(share) == shown
