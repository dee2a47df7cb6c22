"""Passages and their places: `text[start:end] == chunk` for any file; nothing lost, torn or too long."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmchat_rag.chunk import chunks_of, embedded_text
from llmchat_rag.errors import ParseError
from llmchat_rag.graphemes import is_boundary
from llmchat_rag.parse.formats import parse_bytes
from llmchat_rag.types import Block, Chunk, Parsed, Span

LIMIT = 20
HALF_A_MEGABYTE = 1 << 19
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
NAMES = ["a.md", "a.txt", "a.rst", "a.py", "a.csv", "a.json", "a.jsonl", "a.html", "a.c", "a.eml", "LICENSE"]
MARKUP = [
    "# ",
    "## ",
    "- ",
    "> ",
    "```\n",
    "    ",
    "|",
    "a|b\n-|-\n",
    "def f():\n",
    "===\n",
    "---\n",
    "::\n\n  x\n",
    "1. ",
]
OTHER_MARKUP = ['"', ",", "<p>", "</p>", "<h1>x</h1>", "<pre>", "<tr><td>", "{", "}", "From: a\n", "@x\n"]
ENDS = ["\r\n", "\n", "\r", "\n\n", "\t", " ", "\ufeff", "\0", "\u2028", "\x0c"]
WORDS = [
    "word",
    "Word.",
    "e.g. ",
    ". ",
    "! ",
    "é",
    "e\u0301",
    "😀",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇫🇷🇮🇹",
    "漢字。かな",
    "각",
    "\u200d",
    "👍🏽",
    "x" * 90,
]
PIECES = st.sampled_from([*MARKUP, *OTHER_MARKUP, *ENDS, *WORDS])
TEXTS = st.lists(PIECES, max_size=60).map("".join)
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def count(texts: Sequence[str]) -> list[int]:
    """Counts like WordPiece: a word is at least one token, a long one several, an ideograph one."""
    return [sum(-(-len(word.encode()) // 6) for word in text.split()) for text in texts]


def parsed_or_none(name: str, data: bytes) -> Parsed | None:
    try:
        return parse_bytes(name, data)
    except ParseError:
        return None


def chunks(text: str, name: str = "a.md", limit: int = LIMIT) -> list[Chunk]:
    return chunks_of(parse_bytes(name, text.encode()), count, limit=limit)


def assert_places(parsed: Parsed, found: list[Chunk], limit: int) -> None:
    text = parsed.text
    kinds = {block.start: block.kind for block in parsed.blocks}
    ends = 0
    for chunk in found:
        span = chunk.span
        assert text[span.start : span.end] == chunk.text
        assert chunk.text.strip()
        assert chunk.tokens == sum(count([chunk.text])) or chunk.tokens <= limit
        assert chunk.tokens <= limit or kinds.get(span.start) == "fence" or len(chunk.text) < 70
        assert span.end > ends
        ends = span.end
        assert is_boundary(text, span.start)
        assert is_boundary(text, span.end)
        if parsed.own_lines:
            assert span.line == text.count("\n", 0, span.start) + 1
            assert span.last_line == text.count("\n", 0, span.end) + 1
        else:
            assert (span.line, span.last_line) == (0, 0)


def assert_nothing_lost(parsed: Parsed, found: list[Chunk]) -> None:
    """Whatever a block shows stands in a passage; a heading stands above one."""
    covered = bytearray(len(parsed.text))
    for chunk in found:
        covered[chunk.span.start : chunk.span.end] = b"\1" * (chunk.span.end - chunk.span.start)
    for block in parsed.blocks:
        if block.kind != "heading":
            lost = [i for i in range(block.start, block.end) if not covered[i] and not parsed.text[i].isspace()]
            assert lost == []


@SETTINGS
@given(TEXTS, st.sampled_from(NAMES), st.sampled_from(ENCODINGS), st.integers(3, 40))
def test_a_passage_is_what_stands_at_its_place(text: str, name: str, encoding: str, limit: int) -> None:
    parsed = parsed_or_none(name, text.encode(encoding))
    if parsed is None:
        return
    for character in "\r\0\ufeff":
        assert not parsed.text.startswith(character)
    assert "\r" not in parsed.text
    assert "\0" not in parsed.text
    found = chunks_of(parsed, count, limit=limit)
    assert_places(parsed, found, limit)
    assert_nothing_lost(parsed, found)


@SETTINGS
@given(st.lists(TEXTS, max_size=4))
def test_a_passage_of_a_notebook_is_what_stands_at_its_place(texts: list[str]) -> None:
    cells = [{"cell_type": ("code", "markdown")[n % 2], "source": [text]} for n, text in enumerate(texts)]
    parsed = parsed_or_none("a.ipynb", json.dumps({"cells": cells}).encode())
    if parsed is not None:
        found = chunks_of(parsed, count, limit=LIMIT)
        assert_places(parsed, found, LIMIT)
        assert_nothing_lost(parsed, found)


@SETTINGS
@given(st.text(max_size=300), st.integers(1, 30))
def test_any_text_at_all_keeps_its_places(text: str, limit: int) -> None:
    parsed = parsed_or_none("a.txt", text.encode("utf-8", "surrogatepass"))
    if parsed is not None:
        assert_places(parsed, chunks_of(parsed, count, limit=limit), limit)


@pytest.mark.parametrize("text", ["no end", "end\n", "\n\nmiddle\n\n", "\ufeffmark\r\n"])
def test_lines_are_those_of_the_file(text: str) -> None:
    (chunk,) = chunks(text)
    assert chunk.span.line == text.splitlines().index(next(line for line in text.splitlines() if line.strip())) + 1


def test_lines_are_not_counted_at_odd_separators() -> None:
    *_, last = chunks("one\x0b\x0c\u2028\u2029\x85two\n\nthree\n" + "word " * 30, "a.txt")
    assert last.span.last_line == 4


def test_headings_stand_above_and_no_passage_reaches_over_one() -> None:
    found = chunks("# A\n\none\n\n## B\n\ntwo\n\n# C\n\nthree\n")
    assert [(chunk.text, chunk.heading) for chunk in found] == [("one", "A"), ("two", "A › B"), ("three", "C")]


def test_headings_over_nothing_are_still_found() -> None:
    found = chunks("# A\n\n## B\n\n## C\n\ntext\n\n## D\n")
    assert [chunk.text for chunk in found] == ["## B", "text", "## D"]


def test_a_file_of_headings_is_not_a_passage_each() -> None:
    assert len(chunks("# a\n\n" * 1000, limit=200)) < 20


def test_the_last_sentence_is_repeated() -> None:
    sentences = [f"This is the sentence number {n} of all." for n in range(20)]
    found = chunks(" ".join(sentences), limit=50)
    assert len(found) > 2
    for before, after in pairwise(found):
        assert after.span.start < before.span.end
        assert after.text.startswith(before.text.rsplit(". ", 1)[-1])


def test_nothing_is_repeated_across_headings_or_in_code() -> None:
    text = "# A\n\n" + "Short one. " * 30 + "\n\n# B\n\n" + "Short two. " * 30
    found = chunks(text)
    (first_of_b,) = [chunk for before, chunk in pairwise(found) if chunk.heading != before.heading]
    assert "one" not in first_of_b.text
    code = chunks("\n".join(f"x{n} = {n}" for n in range(100)), "a.py")
    assert all(a.span.end <= b.span.start for a, b in pairwise(code))


def test_sentences_do_not_end_at_abbreviations() -> None:
    text = "We met Dr. Smith and J. Doe, e.g. at noon, in fig. 3 of it. " * 8
    starts = {chunk.text.split()[0] for chunk in chunks(text, limit=40)}
    assert starts == {"We"}


def test_a_fence_stays_whole_up_to_its_own_limit() -> None:
    fence = "```python\n" + "\n".join(f"line {n}" for n in range(30)) + "\n```"
    (only,) = chunks_of(parse_bytes("a.md", fence.encode()), count, limit=20, fence_limit=100)
    assert only.text == fence
    parts = chunks_of(parse_bytes("a.md", fence.encode()), count, limit=20, fence_limit=50)
    assert len(parts) > 2
    assert all(part.tokens <= 20 for part in parts)
    assert all(part.text.split("\n")[0] in fence.split("\n") for part in parts)


def test_a_table_is_cut_between_rows() -> None:
    rows = [f"| city {n} | river {n} |" for n in range(40)]
    found = chunks("| city | river |\n|---|---|\n" + "\n".join(rows), limit=30)
    assert len(found) > 3
    assert all(line in {"| city | river |", "|---|---|", *rows} for chunk in found for line in chunk.text.split("\n"))


def test_definitions_are_cut_between_and_named() -> None:
    code = "import os\n\n\nclass Walker:\n    def go(self):\n" + "        step = 1\n" * 8 + "\n    def stop(self):\n"
    code += "        halt = 2\n" * 8 + "\n\ndef run():\n" + "    pass\n" * 12
    found = chunks(code, "walk.py", limit=40)
    assert [chunk.heading for chunk in found][-2:] == ["Walker.stop", "run"]
    assert found[-1].text.startswith("def run():")
    assert any("Walker.go" in chunk.heading for chunk in found)


def test_rows_carry_the_names_of_their_columns() -> None:
    found = chunks("city,river\n" + "\n".join(f"c{n},r{n}" for n in range(60)), "a.csv", limit=30)
    assert len(found) > 2
    assert {chunk.heading for chunk in found} == {"city, river"}
    assert "city" not in found[0].text


def test_a_row_over_several_lines_stays_together() -> None:
    parsed = parse_bytes("a.csv", b'a,b\n1,"two\nlines"\n3,4\n')
    assert [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks[1:]] == [
        ("row", '1,"two\nlines"'),
        ("table", "3,4"),
    ]


@pytest.mark.parametrize("limit", range(17, 24))
def test_an_emoji_is_never_torn(limit: int) -> None:
    family, flag = "👩‍👩‍👧‍👦", "🇩🇪"
    found = chunks(family * 50 + flag * 50 + "e\u0301" * 200, "a.txt", limit=limit)
    assert len(found) > 5
    for chunk in found:
        assert not unicodedata.combining(chunk.text[0])
        assert "\u200d" not in {chunk.text[0], chunk.text[-1]}
        assert chunk.text.count("\U0001f1e9") == chunk.text.count("\U0001f1ea")


def test_a_mark_keeps_the_space_it_stands_on() -> None:
    found = chunks("word\n\n \u0301accent", "a.txt", limit=2)
    assert [chunk.text for chunk in found] == ["word", " \u0301accent"]


def test_a_line_without_spaces_is_cut() -> None:
    found = chunks("漢" * 100_000, "a.txt", limit=200)
    assert max(chunk.tokens for chunk in found) <= 200
    assert sum(len(chunk.text) for chunk in found) == 100_000
    assert len(found) <= 1.2 * 100_000 * 3 / 6 / 200


def test_a_run_of_letters_that_is_no_word_makes_no_passage() -> None:
    """WordPiece calls it one unknown token: nothing finds it, and a prompt would be full of it."""

    def count_words(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    code = "KEY = (\n    b'" + "c0ffee" * 5_000 + "'\n)\n" + "wide" + " " * 900 + "table\n" + "def f(): pass\n"
    found = chunks_of(parse_bytes("a.py", code.encode()), count_words, limit=200)
    shown = "\n".join(chunk.text for chunk in found)
    assert "c0ffee" * 50 not in shown
    assert all(word in shown for word in ("KEY = (", "wide", "table", "def f(): pass"))


def test_a_generated_dictionary_of_texts_is_cut_between_its_lines() -> None:
    """As pydoc_data/topics.py of the standard library: one statement of 700 KB."""
    lines = [f"           'Topic {number} has a line of words about something.\\n'" for number in range(3_000)]
    text = "# Generated.\ntopics = {'first': 'The first\\n'\n" + "\n".join(lines) + "}\n"
    found = chunks(text, "topics.py", limit=200)
    assert all(chunk.tokens <= 200 for chunk in found)
    assert all(chunk.text.startswith(("           'Topic", "'Topic", "# Generated.")) for chunk in found)
    assert all(text[chunk.span.end] in "\n" for chunk in found[:-1])
    assert sum(chunk.tokens for chunk in found) > 0.8 * 200 * len(found)


def test_prefixes_fit_beside_a_full_passage() -> None:
    deep = "".join(f"{'#' * level} Heading of level {level} with words\n\n" for level in range(1, 7)) + "word " * 500
    found = chunks_of(parse_bytes("a-very-long-name-of-a-file.md", deep.encode()), count, limit=200)
    for chunk in found:
        assert count([embedded_text(chunk, "A title " * 50)])[0] <= 256
    assert "level 6" in found[0].heading


def test_what_is_embedded_begins_with_title_and_headings() -> None:
    chunk = Chunk("text", Span(0, 4), "A › B", 1)
    assert embedded_text(chunk, "Title") == "Title › A › B\ntext"
    assert embedded_text(chunk, "A") == "A › B\ntext"
    assert embedded_text(Chunk("text", Span(0, 4)), "") == "text"


def test_pages_are_those_of_the_blocks() -> None:
    text = "one two\n\nthree four\n\nfive"
    blocks = (Block("paragraph", 0, 7, page=1), Block("paragraph", 9, 19, page=2), Block("paragraph", 21, 25, page=3))
    found = chunks_of(Parsed(text, blocks, own_lines=False), count, limit=4)
    assert [(chunk.span.page, chunk.span.last_page) for chunk in found] == [(1, 2), (2, 3)]
    (whole,) = chunks_of(Parsed(text, blocks, own_lines=False), count, limit=40)
    assert (whole.span.page, whole.span.last_page, whole.span.line) == (1, 3, 0)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json", "a.c", "a.html"])
@pytest.mark.parametrize("line", [b"word ", b"x", b"x\n", b"```\nx\n"])
def test_of_a_long_text_little_is_looked_at_together(name: str, line: bytes) -> None:
    most = 0

    def counting(texts: Sequence[str]) -> list[int]:
        nonlocal most
        most = max(most, sum(map(len, texts)))
        return count(texts)

    parsed = parse_bytes(name, line * (HALF_A_MEGABYTE // len(line)))
    found = chunks_of(parsed, counting, limit=200)
    assert most <= 1 << 18
    assert_places(parsed, found[:2], 400)
    assert_nothing_lost(parsed, found)


def test_words_in_one_endless_line_fill_their_passages() -> None:
    found = chunks("word " * 100_000, "a.txt", limit=200)
    assert len(found) <= 1.15 * 100_000 / 200
