"""What a question looks up: nothing typed is an operator, nothing typed is an error."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pytest
from tests.rag.places import notes

from llmchat_rag.question import MOST_TERMS, leans, standing_alone, wanted
from llmchat_rag.store import Library

ODD = [
    '"',
    "'",
    "*",
    "^",
    "NEAR(",
    "AND",
    "OR",
    "NOT",
    ":",
    "-",
    "+",
    "(",
    ")",
    "{",
    "}",
    "\0",
    "\ud800",
    "日本",
    "é",
    "😀",
]
ODD += [
    "\n",
    "\t",
    "\x1b[2J",
    "title:",
    "rowid",
    "1.0.21",
    "a.b.c",
    "..",
    "%",
    "\\",
    ";",
    "--",
    "\u202e",
    "ﬁ",
    "İ",
    "٣",
]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is the capital of Italy?", '"what" OR "capital" OR "italy"'),
        ("the the THE cat", '"cat"'),
        ("to be or not to be", '"to" OR "be" OR "or" OR "not"'),
        ("fixed in 1.0.21?", '"fixed" OR "1.0.21"'),
        ("os.path.join fails", '"os.path.join" OR "path" OR "join" OR "fails"'),
        ("is IL-2 state-of-the-art", '"il" OR "2" OR "state" OR "art" OR "il-2"'),
        ("due 2024-03-01", '"due" OR "2024" OR "03" OR "01" OR "2024-03-01"'),
        ('who said "to be or not"', '"who" OR "said" OR "to be or not"'),
        ('a "word" alone', '"word" OR "alone"'),
        ('x" OR rowid:1 OR "y', '"x" OR "rowid" OR "1" OR "y" OR " OR rowid:1 OR "'),
        ("?!", ""),
        ("", ""),
    ],
)
def test_words_are_quoted_and_or_ed(text: str, words: str) -> None:
    assert " OR ".join(wanted(text).words) == words


@pytest.mark.parametrize(
    ("text", "pairs"),
    [("日本の首都", '"日本" OR "本の" OR "の首" OR "首都"'), ("水 is water", '"水" *'), ("plain", "")],
)
def test_text_without_spaces_is_looked_up_by_pairs(text: str, pairs: str) -> None:
    assert " OR ".join(wanted(text).pairs) == pairs


def test_a_pasted_page_is_cut_to_its_first_words() -> None:
    assert wanted(" ".join(f"word{number}" for number in range(5000))).words[MOST_TERMS - 1 :] == (
        f'"word{MOST_TERMS - 1}"',
    )


def test_a_thousand_odd_strings_are_no_error(tmp_path: Path) -> None:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "11"))
    print(f"LLMCHAT_TEST_SEED={seed}")
    rng = random.Random(seed)
    with notes(tmp_path) as place:
        place.write("a.md", "title AND rowid NEAR 1.0.21 日本 é cat")
        place.update()
        for _ in range(1000):
            parts = [rng.choice(ODD) if rng.random() < 0.6 else rng.choice(string.printable) for _ in range(9)]
            look_up(place.library, rng.choice(["", " "]).join(parts))


def look_up(library: Library, text: str) -> None:
    looked_up = wanted(text)
    library.find_words("chunk_words", looked_up.words, 5)
    library.find_words("chunk_pairs", looked_up.pairs, 5)


@pytest.mark.parametrize(
    "word", ["a." * 300_000, "«" * 500_000, '"' * 500_000, "日" * 100_000, "." * 1_000_000, "a-" * 500_000]
)
def test_a_hostile_question_takes_no_time(word: str) -> None:
    from time import process_time

    started = process_time()
    wanted(word)
    leans(word)
    assert process_time() - started < 1.0


@pytest.mark.parametrize(
    "text", ["and in Germany?", "why?", "What about the price?", "How old is she?", "tell me more"]
)
def test_a_follow_up_is_searched_with_the_question_before(text: str) -> None:
    assert standing_alone(text, ["Who built the Eiffel tower?"]) == f"Who built the Eiffel tower?\n{text}"


@pytest.mark.parametrize(
    "text",
    [
        "Who wrote Hamlet?",
        "How do I install ripgrep on Debian?",
        "日本の首都はどこですか",
        "Which of these European capitals has the largest population density today, measured in people per hectare?",
    ],
)
def test_a_question_of_its_own_is_searched_alone(text: str) -> None:
    assert standing_alone(text, ["Who built the Eiffel tower?"]) == text


def test_two_follow_ups_reach_back_to_what_they_are_about() -> None:
    assert standing_alone("why?", ["Who built the Eiffel tower?", "and when?"]).splitlines() == [
        "Who built the Eiffel tower?",
        "and when?",
        "why?",
    ]
