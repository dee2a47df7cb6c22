"""A reply token by token: the text of each, through characters of several tokens; what a branch begins with."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tui.scored import FIRST_OTHER, pieces, scored, stored, told

from llmchat_engine.answers import Candidate, TokenLogprob
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.token_view import (
    beginning,
    choices_of,
    facts_of,
    in_digits,
    refusal,
    shown_tokens,
    step_of,
)

OTHER = Candidate(FIRST_OTHER, " maybe", -1.0)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Returns bytes in pieces, as a tokenizer without manners would cut them."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def as_told(parts: list[bytes]) -> list[TokenLogprob]:
    return [TokenLogprob(number, part.decode("utf-8", "replace"), -1.0) for number, part in enumerate(parts)]


@given(st.text(alphabet="ab é漢🦀\n\u0301", max_size=30), st.lists(st.integers(0, 200), max_size=30))
@settings(max_examples=200, deadline=None)
def test_the_tokens_make_the_text_wherever_it_is_cut(text: str, places: list[int]) -> None:
    parts = cut(text.encode(), places)
    tokens = shown_tokens(as_told(parts), stored(text, len(parts)), 0)
    assert "".join(token.text for token in tokens) == text
    done = b""
    for token, part in zip(tokens, parts, strict=True):
        done += part
        if "\ufffd" not in token.told.text:  # where a character is cut, more than one reading can be right
            assert token.end == len(done.decode())


def test_marks_stand_outside_the_text_and_the_thought() -> None:
    parts = ["<think>", "\n", "Well", ",", " so", "</think>", "\n\n", "It", " is", " 42", "<|im_end|>"]
    reply = stored("It is 42", 11, settings={"thought": {"text": "Well, so", "tokens": 7}})
    tokens = shown_tokens([told(number, part, 0.5) for number, part in enumerate(parts)], reply, 7)
    assert [token.text for token in tokens] == ["", "", "Well", ",", " so", "", "", "It", " is", " 42", ""]
    assert [token.is_thought for token in tokens] == [True] * 7 + [False] * 4
    assert [token.shown for token in tokens if token.is_mark] == ["<think>", "\n", "</think>", "\n\n", "<|im_end|>"]


def test_a_tokenizer_may_begin_a_text_with_a_space() -> None:
    tokens = shown_tokens([told(0, " Hello", 0.5), told(1, " you", 0.5)], stored("Hello you", 2), 0)
    assert [token.text for token in tokens] == ["Hello", " you"]


class TestABranch:
    def test_begins_with_the_tokens_before_and_the_other_one(self) -> None:
        found = scored(pieces("Rome was founded in 753 BC"))
        begins = beginning(found, 2, OTHER)
        assert (begins.text, begins.token_ids, begins.model_key) == (
            "Rome was maybe",
            (0, 1, FIRST_OTHER),
            FAKE_MODEL.key,
        )
        assert (begins.thought, begins.thought_tokens) == ("", 0)
        assert beginning(found, 0, OTHER).text == " maybe"

    def test_behind_a_thought_has_all_of_it(self) -> None:
        found = scored([*pieces("Let me see"), *pieces("It is 42")], thought=3)
        begins = beginning(found, 4, OTHER)
        assert (begins.text, begins.token_ids) == ("It maybe", (0, 1, 2, 3, FIRST_OTHER))
        assert (begins.thought, begins.thought_tokens) == ("Let me see", 3)
        assert beginning(found, 3, OTHER).text == " maybe"

    def test_inside_a_thought_has_no_answer_yet(self) -> None:
        found = scored([*pieces("Let me see"), *pieces("It is 42")], thought=3)
        begins = beginning(found, 1, OTHER)
        assert (begins.text, begins.token_ids) == ("", (0, FIRST_OTHER))
        assert (begins.thought, begins.thought_tokens) == ("Let maybe", 2)

    def test_inside_a_chain_of_thought_reasons_on_in_its_answer(self) -> None:
        found = scored([*pieces("Let me see"), *pieces("It is 42")], thought=3)
        found.reply.settings["recipe"] = {"cot": "zero-shot"}
        begins = beginning(found, 1, OTHER)
        assert (begins.text, begins.token_ids, begins.thought) == ("Let maybe", (0, FIRST_OTHER), "")
        assert beginning(found, 3, OTHER).thought_tokens == 3

    def test_that_closes_a_thought_early_adds_no_text_to_it(self) -> None:
        reply = stored("42", 4, settings={"thought": {"text": "Let me", "tokens": 3}})
        tokens = [told(number, part, 0.5) for number, part in enumerate(("Let", " me", "</think>", "42"))]
        found = scored(("x",), marks=frozenset({2}))
        found = type(found)(reply, FAKE_MODEL, found.score, shown_tokens(tokens, reply, 3), True, frozenset({2}))
        close = Candidate(2, "</think>", -1.0)
        assert refusal(found, 1, close) == ""
        begins = beginning(found, 1, close)
        assert (begins.thought, begins.thought_tokens, begins.text) == ("Let", 2, "")

    def test_is_refused_where_there_is_nothing_to_go_on_from(self) -> None:
        found = scored(pieces("Rome was"), marks=frozenset({7}))
        assert refusal(found, 1, OTHER) == ""
        assert "ends" in refusal(found, 1, Candidate(7, "<|im_end|>", -1.0))
        assert "part of a character" in refusal(found, 1, Candidate(8, "\ufffd", -1.0))
        assert "other-7B wrote this" in refusal(scored(pieces("Rome was"), own=False), 1, OTHER)

    def test_is_refused_inside_a_character(self) -> None:
        parts = cut("a🦀b".encode(), [1, 3])
        reply = stored("a🦀b", 3)
        found = scored(("x",))
        found = type(found)(reply, FAKE_MODEL, found.score, shown_tokens(as_told(parts), reply, 0), True)
        assert [bool(refusal(found, at, OTHER)) for at in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("share", "step"), [(1.0, 0), (0.9, 0), (0.89, 1), (0.6, 1), (0.3, 2), (0.1, 3), (0.05, 4), (0, 4)]
)
def test_there_are_five_steps(share: float, step: int) -> None:
    assert step_of(Candidate(0, "a", math.log(share) if share else -3.4e38)) == step


def test_numbers_in_words() -> None:
    assert facts_of(TokenLogprob(1, "a", math.log(0.61), (), 12_345, math.log(2) * 1.3)) == (
        "p 0.61 · rank 12,345 · entropy 1.3 bits"
    )
    assert [in_digits(share) for share in (1.0, 0.5, 0.01, 0.0042, 0.0)] == ["1.00", "0.50", "0.01", "4e-03", "0.00"]
    summary = scored(pieces("Rome was founded")).summary
    assert summary == "4 tokens · mean probability 0.71 · perplexity 1.52", summary


def test_the_token_that_came_is_among_the_choices() -> None:
    rare = told(5, " rare", 0.001)
    assert [choice.id for choice in choices_of(rare)].count(5) == 1
    beyond = TokenLogprob(5, " rare", -9.0, rare.top[:3], 57)
    assert choices_of(beyond)[-1].id == 5 and len(choices_of(beyond)) == 4


def test_unlikely_is_what_was_not_the_likeliest_or_one_of_many() -> None:
    tokens = scored(pieces("Rome was founded in 753 BC and so on and on")).tokens
    assert [round(math.exp(token.told.logprob), 2) for token in tokens if token.is_unlikely] == [0.03, 0.18]
