"""What of a text stands in the three lines of a notice."""

from __future__ import annotations

import pytest

from llmchat_tui.notices import ROWS, WIDTH, fitted, rows_of


@pytest.mark.parametrize("width", [1, 40, 80, 200])
@pytest.mark.parametrize("text", ["x" * 500, "a long path " * 40, "", "short"])
@pytest.mark.parametrize("hint", ["", "do this", "y" * 400])
def test_a_notice_has_three_lines(width: int, text: str, hint: str) -> None:
    columns = max(1, min(WIDTH, int(width * 0.9)) - 4)
    shown = fitted(text, hint, width)
    assert sum(rows_of(line, columns) for line in shown.split("\n")) <= ROWS


def test_what_is_cut_keeps_its_reason_and_what_helps() -> None:
    shown = fitted(f"cannot write /{'x' * 200}/chat.md — it exists already", "/export other.md", 80)
    assert shown.startswith("cannot write /xx")
    assert shown.endswith("/chat.md — it exists already\n/export other.md")


def test_what_fits_stays_whole() -> None:
    assert fitted("it failed", "try again", 80) == "it failed\ntry again"


def test_rows() -> None:
    assert [rows_of(text, 4) for text in ("", "a", "ab c", "ab cd", "a bcdefg", "abcdefgh i", "abcd e")] == [
        0, 1, 1, 2, 3, 3, 2,
    ]  # fmt: skip
