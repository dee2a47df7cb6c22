"""Markdown cut into blocks while it streams, and code taken out of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_tui.cli.blocks import BlockSplitter, extract_fence

_PIECES = st.sampled_from(
    ["```", "~~~", "\n", "\n\n", "- a", "1. b", "  ", "    ", "text", "| a | b |", "> q", "`", "#"]
)
markdown = st.lists(_PIECES, max_size=30).map("".join)


def split(*pieces: str) -> list[str]:
    splitter = BlockSplitter()
    return [block for piece in pieces for block in splitter.feed(piece)] + splitter.finish()


@pytest.mark.parametrize(
    "blocks",
    [
        ["one\nstill one", "two"],
        ["| a | b |\n|---|---|\n| 1 | 2 |", "after"],
        ["- a\n- b\n\n- c\n\n  inside c", "after"],
        ["1. a\n   ```sh\n   x\n\n   y\n   ```\n2. b", "after"],
        ["```py\nx = 1\n\ny = 2\n```", "after"],
        ["~~~\n```\n\n~~~"],
        ["````\n```\n\n````", "after"],
        ["    indented\n    ```", "after"],
        ["> quote\n>\n> more", "after"],
        ["text", "```\nnever closed\n\nat all"],
    ],
)
def test_blocks_are_kept_whole(blocks: list[str]) -> None:
    text = "\n\n".join(blocks)
    assert split(text) == blocks
    assert split(*text) == blocks


def test_a_block_comes_as_soon_as_it_is_whole() -> None:
    splitter = BlockSplitter()
    assert splitter.feed("one\n") == []
    assert splitter.feed("\n") == ["one"]
    assert splitter.feed("two\n```py\n") == ["two"]
    assert splitter.feed("x\n```\n") == ["```py\nx\n```"]
    assert splitter.feed("- a\n\n") == []
    assert splitter.feed("b\n") == ["- a"]


@given(markdown)
def test_no_text_is_lost(text: str) -> None:
    joined = "".join("".join(split(text)).split())
    assert joined == "".join(text.split())


@given(markdown, st.lists(st.integers(0, 60), max_size=5))
def test_the_pieces_of_the_stream_do_not_matter(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert split(*(text[a:b] for a, b in pairwise(places))) == split(text)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("no code", None, None),
        ("```py\nx = 1\n```", "x = 1", "x = 1"),
        ("```\na\n```\ntext\n~~~sh\nb\n\nc\n~~~\nend", "a", "b\n\nc"),
        ("~~~\n```\nx\n```\n~~~", "```\nx\n```", "```\nx\n```"),
        ("1. do\n   ```sh\n   a\n     b\n   ```", "a\n  b", "a\n  b"),
        ("````\n```\n````", "```", "```"),
        ("```\nopen", None, None),
        ("```\na\n```\n```\nopen", "a", "a"),
        ("```\n```", "", ""),
        ("```py\r\nx\r\n```\r\n", "x", "x"),
        ("`` `a` ``\n```a`b\nx\n```", None, None),
        ("```\na\n``` b\n```", "a\n``` b", "a\n``` b"),
        ("```\na\n`````  ", "a", "a"),
    ],
)
def test_extract_fence(text: str, first: str | None, last: str | None) -> None:
    assert (extract_fence(text), extract_fence(text, last=True)) == (first, last)


@given(st.text(st.sampled_from("ab \n#-")).filter(lambda code: not code.endswith("\n")))
def test_what_is_fenced_is_extracted(code: str) -> None:
    assert extract_fence(f"before\n\n```lang\n{code}\n```\nafter") == code
