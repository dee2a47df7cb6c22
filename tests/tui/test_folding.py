"""Tokens for long pastes, and the walk through earlier messages, without a screen."""

from __future__ import annotations

import pytest

from llmchat_tui.folding import Folds, is_long, normal, shown
from llmchat_tui.recall import Recall

LONG = "\n".join(f"line {number}" for number in range(120))


@pytest.mark.parametrize(
    ("text", "long"),
    [("x", False), ("x\n" * 10, False), ("x\n" * 10 + "x", True), ("x" * 2000, False), ("x" * 2001, True), ("", False)],
)
def test_what_is_long(text: str, long: bool) -> None:
    assert is_long(text) == long


def test_line_ends_become_plain_and_the_rest_harmless() -> None:
    assert normal("a\r\nb\rc\n") == "a\nb\nc\n"
    assert shown("a\r\nb\x1b[31m\u2028c\u202e\x85") == "a\nb␛[31m\nc\ufffd\ufffd"


def test_a_token_stands_for_the_exact_text() -> None:
    folds = Folds()
    evil = LONG + "\x1b]0;x\x07[pasted 120 lines #1][pasted 120 lines #2]"
    token = folds.fold(evil, "")
    other = folds.fold("y" * 3000, token)
    assert (token, other) == ("[pasted 120 lines #1]", "[pasted 3,000 characters #2]")
    assert folds.expand(f"a {token}{other} b") == f"a {evil}{'y' * 3000} b"
    assert folds.spans(f"a{token}") == [(1, 1 + len(token))]


def test_what_only_looks_like_a_token_is_text() -> None:
    folds = Folds()
    typed = "[pasted 120 lines #1] [pasted 120 lines #7]"
    assert folds.expand(typed) == typed
    token = folds.fold(LONG, typed)
    assert token == "[pasted 120 lines #2]"
    assert folds.expand(typed + token) == typed + LONG


def test_a_draft_that_comes_back_is_folded_as_it_was() -> None:
    folds = Folds()
    draft = f"explain {folds.fold(LONG, '')} and {folds.fold(LONG + 'z', '')}."
    exact = folds.expand(draft)
    assert folds.load("another chat") == "another chat"
    assert folds.load(exact) == draft
    assert folds.expand(draft) == exact


def test_a_loaded_text_that_holds_an_old_token_as_words_keeps_them() -> None:
    folds = Folds()
    token = folds.fold(LONG, "")
    assert folds.load(f"what is {token}?") == f"what is {token}?"
    assert folds.expand(f"what is {token}?") == f"what is {token}?"


def test_a_huge_loaded_text_is_folded_but_for_the_question_at_its_end() -> None:
    folds = Folds()
    own_words = "\n".join("my own words" for _ in range(40))
    assert folds.load(own_words) == own_words
    document = "--- a.txt ---\n" + LONG * 5
    shown_text = folds.load(f"{document}\n\nwhat is this?")
    assert shown_text.endswith("#1]\n\nwhat is this?")
    assert folds.expand(shown_text) == f"{document}\n\nwhat is this?"
    assert folds.load("x" * 30_000) == "[pasted 30,000 characters #2]"


def test_old_texts_are_not_kept_for_ever() -> None:
    folds = Folds()
    first = folds.fold("first" + LONG, "")
    for number in range(40):
        folds.fold(f"{number}{LONG}", "")
    folds.load("")
    assert folds.expand(first) == first


def test_the_walk_through_earlier_messages() -> None:
    reads: list[int] = []

    def prompts() -> list[str]:
        reads.append(1)
        return ["three", "two", "one"]

    recall = Recall(prompts)
    assert recall.newer("draft") is None
    assert not reads
    assert [recall.older("draft"), recall.older("three"), recall.older("two"), recall.older("one")] == [
        "three", "two", "one", None,
    ]  # fmt: skip
    assert [recall.newer("one"), recall.newer("two, changed"), recall.older("three")] == [
        "two",
        "three",
        "two, changed",
    ]
    assert [recall.newer("x"), recall.newer("three"), recall.newer("draft")] == ["three", "draft", None]
    assert len(reads) == 1
    recall.sent()
    assert recall.older("") == "three"
    assert len(reads) == 2


def test_nothing_to_walk_through() -> None:
    recall = Recall(tuple)
    assert recall.older("draft") is None
    assert recall.newer("draft") is None
