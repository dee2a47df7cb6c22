"""`$name` in a text: what is a place, and that nothing put in is read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_tui.placeholders import escaped, filled_in, is_name, names_in, spelled_out
from llmchat_tui.recipe import Recipe

WORDS = ["$to|$input", "${to}$input", "$input$to", "$$to$to$$input${input}", "$5${to}}"]
TRICKY = st.text(alphabet="$}{ainput_5 ", max_size=12)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("$input", "?"),
        ("${input}", "?"),
        ("${input}s", "?s"),
        ("$inputs", "$inputs"),
        ("$$input", "$input"),
        ("$$$input", "$?"),
        ("5 $ and $5", "5 $ and $5"),
        ("${input", "${input"),
        ("$", "$"),
        ("${}", "${}"),
        ("$input$input", "??"),
    ],
)
def test_what_a_place_is(text: str, spelled: str) -> None:
    assert spelled_out(text, {"input": "?"}) == spelled


def test_names_in_order_and_once() -> None:
    assert names_in("$b ${a} $b $$c $5 ${d") == ("b", "a")
    assert (is_name("a_1"), is_name("1a"), is_name("a-b"), is_name("ä")) == (True, False, False, False)


@given(TRICKY)
def test_an_escaped_text_is_itself(text: str) -> None:
    assert spelled_out(escaped(text), {"input": "?"}) == text


@given(TRICKY, TRICKY, st.sampled_from(WORDS))
def test_filling_in_twice_is_filling_in_at_once(value: str, question: str, text: str) -> None:
    at_once = spelled_out(text, {"to": value, "input": question})
    assert spelled_out(filled_in(text, {"to": value}), {"input": question}) == at_once


@given(TRICKY, TRICKY)
def test_any_text_keeps_its_meaning_when_some_places_are_filled(text: str, value: str) -> None:
    at_once = spelled_out(text, {"a": value, "input": "?"})
    assert spelled_out(filled_in(text, {"a": value}), {"input": "?"}) == at_once


@pytest.mark.parametrize("question", ["what is $input?", "$$ $input ${input}", r"a \1 \g<0>", ""])
def test_a_question_stays_what_it_is(question: str) -> None:
    assert Recipe(wrapper="[$input] $$5").wrapped(question) == f"[{question}] $5"
    assert Recipe(wrapper="nothing").wrapped(question) == question
    assert Recipe().wrapped(question) == question
