"""Tokens in lines: no line is too wide, no word is broken that fits, every token has a place, nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from llmchat_tui.widgets.token_lines import BREAK, HALF, TokenLines, laid_out

TOKENS = st.lists(st.text(alphabet="ab c\n\té漢🦀\u0301", max_size=9), min_size=1, max_size=40)


def shown(lines: TokenLines) -> list[str]:
    return ["".join(span.text for span in row) for row in lines.rows]


@given(TOKENS, st.integers(2, 30))
@settings(max_examples=200, deadline=None)
def test_every_token_has_its_place_and_no_line_is_too_wide(texts: list[str], width: int) -> None:
    lines = laid_out(texts, width)
    rows = shown(lines)
    assert "".join(rows).replace(BREAK, "\n").replace("⇥", "\t") == "".join(text or HALF for text in texts)
    assert all(cell_len(row) <= max(width, 3) for row in rows)
    assert len(lines.places) == len(texts)
    for token, (row, column) in enumerate(lines.places):
        assert any(span.token == token and span.at == column for span in lines.rows[row])
        assert row in lines.rows_of(token)
    for spans in lines.rows:
        edge = 0
        for span in spans:
            assert (span.at, span.width) == (edge, cell_len(span.text))
            edge += span.width


def test_words_stay_whole_and_breaks_are_seen() -> None:
    lines = laid_out(["Rome", " was", " found", "ed", " in", " 753", ".\n\n", "And"], 12)
    assert shown(lines) == ["Rome was ", "founded in ", f"753.{BREAK}", BREAK, "And"]
    assert lines.places[2] == (1, 0), "where its letters are, and not the space at the end of the line before"
    assert lines.places[6] == (2, 3)
    assert list(lines.rows_of(2)) == [0, 1] and list(lines.rows_of(6)) == [2, 3]


def test_a_word_that_is_longer_than_a_line_is_broken() -> None:
    assert shown(laid_out(["a", "b" * 25], 10)) == ["a" + "b" * 8, "b" * 9, "b" * 8]
    assert shown(laid_out(["漢" * 7], 6)) == ["漢漢", "漢漢", "漢漢", "漢"]


@pytest.mark.parametrize(("row", "column", "token"), [(0, 0, 0), (0, 5, 1), (0, 40, 1), (1, 0, 2), (2, 9, 3)])
def test_the_nearest_token_is_found(row: int, column: int, token: int) -> None:
    assert laid_out(["Rome", " was\n", "\n", "it"], 12).nearest(row, column) == token


def test_a_reply_of_any_length_keeps_its_words() -> None:
    text = " ".join(f"word{number}" for number in range(3_000))
    rows = shown(laid_out(re.findall(r" ?\w{1,4}", text), 40))
    assert "".join(rows) == text and all(row[0] != " " for row in rows)
