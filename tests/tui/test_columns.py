"""Rows in columns: they fit the terminal, lose what matters least, and hold nothing that a terminal obeys."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.cli.columns import Column, table
from llmchat_tui.piece_text import columns_of

COLUMNS = (
    Column("name", least=8),
    Column("size", right=True),
    Column("arch", drops=2),
    Column("from", least=4, drops=1),
)
ROWS = [("a-long-name-of-a-model", "98 MB", "llama", "hugging face"), ("b", "2.5 GB", "qwen3", "ollama")]


def test_without_a_bound_nothing_is_cut() -> None:
    assert table(COLUMNS, ROWS) == [
        "name                      size  arch   from",
        "a-long-name-of-a-model   98 MB  llama  hugging face",
        "b                       2.5 GB  qwen3  ollama",
    ]


def test_the_widest_is_cut_first_and_then_columns_go() -> None:
    assert table(COLUMNS, ROWS, 40)[1] == "a-long-nam…   98 MB  llama  hugging face"
    assert table(COLUMNS, ROWS, 24)[0] == "name        size  from"
    assert table(COLUMNS, ROWS, 18)[0] == "name          size"


def test_a_column_without_a_cell_is_left_out() -> None:
    assert table(COLUMNS, [("a", "1", "", "b")])[0] == "name  size  from"


@given(st.lists(st.tuples(*[st.text(max_size=30)] * 4), min_size=1, max_size=4), st.integers(16, 60))
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_room_and_none_is_two(rows: list[tuple[str, str, str, str]], room: int) -> None:
    cut = [(name, size[:5], arch, where) for name, size, arch, where in rows]
    for line in table(COLUMNS, cut, room):
        assert columns_of(line) <= max(room, 20)
        assert "\n" not in line
        assert "\x1b" not in line
