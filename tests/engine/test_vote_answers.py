"""What counts as the same answer, and where an answer stands in a chain of thought."""

from __future__ import annotations

import json
import time
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmchat_engine.prompting.answers_key import Kind, canonical, key_of, kind_of, number_in
from llmchat_engine.prompting.answers_text import alone, last, last_line, marked


def found(text: str) -> str | None:
    """Returns what stands behind the last mark of a text."""
    place = marked(text)
    return text[place.start : place.end] if place else None


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("18", "18"),
        ("1,234.50", "2469/2"),
        ("$18", "18"),
        ("$1,234.50", "2469/2"),
        ("18 dollars", "18"),
        ("eighteen", "18"),
        ("About twenty of them", "20"),
        ("-5", "-5"),
        ("−5", "-5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("50%", "50"),
        ("50 percent", "50"),
        ("1/3", "1/3"),
        ("2/6", "1/3"),
        ("1 1/2", "3/2"),
        (".5", "1/2"),
        ("0.50", "1/2"),
        ("x = 42", "42"),
        ("16 - 3 - 4 = 9 eggs", "9"),
        ("5-3", "5"),
        ("18.", "18"),
        ("1,000,000", "1000000"),
    ],
)
def test_numbers_are_exact_and_units_say_nothing(answer: str, number: str) -> None:
    assert key_of(answer, "number") == number


@pytest.mark.parametrize("answer", ["unknown", "", "1/0", "9" * 101, "someone"])
def test_what_is_no_number_has_none(answer: str) -> None:
    assert number_in(answer) is None


@given(st.fractions(max_denominator=10_000))
def test_a_fraction_is_what_it_was(value: Fraction) -> None:
    assert number_in(str(value)) == value


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=3))
def test_a_decimal_is_the_same_with_commas_and_money(value: object) -> None:
    assert number_in(f"{value:,}") == number_in(f"${value:,}") == Fraction(str(value))


@pytest.mark.parametrize(
    ("answer", "choice"),
    [("(B)", "B"), ("(b)", "B"), ("b)", "B"), ("B)", "B"), ("B", "B"), ("B. Paris", "B"), ("option B", "B"),
     ("(B) Paris", "B"), ("**B**", "B"), ("The right one is (C).", "C")],
)  # fmt: skip
def test_a_choice_is_its_letter(answer: str, choice: str) -> None:
    assert key_of(answer, "choice") == choice


def test_json_is_the_same_in_any_order_and_with_any_blanks() -> None:
    assert key_of('{"b": [1.0, 2], "a": "x"}', "json") == key_of('{ "a":"x","b":[1,2] }', "json")
    assert key_of('{"a": 1}', "json") != key_of('{"a": "1"}', "json")


def test_half_a_surrogate_pair_in_json_is_text_that_can_be_written() -> None:
    assert key_of(r'["\ud800", "ü"]', "json").encode() == '["?","ü"]'.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda of: st.lists(of, max_size=3), max_leaves=5
    )
)
def test_json_values_that_differ_count_apart(value: object) -> None:
    text = json.dumps(value)
    assert json.loads(canonical(text)) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [("Paris", "paris."), ("The Seine", "seine"), ("don't", "Don’t"), ("New  York", "new york"), ("Yes, it is", "yes"),
     ("true", "True."), ("“Paris”", "Paris"), ("a dog", "the dog")],
)  # fmt: skip
def test_texts_that_say_the_same_count_together(one: str, other: str) -> None:
    assert key_of(one, "text") == key_of(other, "text")


@pytest.mark.parametrize(
    ("one", "other"), [("👍", "👎"), ("C++", "C"), ("Paris", "Paris, France"), ("no", "nobody"), ("the", "a")]
)
def test_texts_that_do_not_count_apart(one: str, other: str) -> None:
    assert key_of(one, "text") != key_of(other, "text")


@pytest.mark.parametrize("answer", [":", " ... ", "**", "\u201c\u201d", "---", ""])
def test_punctuation_alone_says_nothing_and_gets_no_vote(answer: str) -> None:
    assert key_of(answer, "text") == key_of(answer, "number") == ""


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["18", "$18", "unknown"], "number"),
        (["18 dollars", "none"], "number"),
        (["x = 3", "3"], "number"),
        (["(A)", "B", "C) 12"], "choice"),
        (['{"a": 1}', "[1]", "18"], "json"),
        (["Paris", "London", "18"], "text"),
        (["World War 2", "World War 1"], "text"),
        (["A dog", "A cat"], "text"),
        ([], "text"),
    ],
)
def test_what_kind_counts_is_what_most_are(answers: list[str], kind: Kind) -> None:
    assert kind_of(answers) == kind


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 times 4 is 12.\nAnswer: 12", "12"),
        ("3 times 4 is 12.\nAnswer:\n12 apples.\n", "12 apples"),
        ("So the answer is 12. I hope that helps.", "12"),
        ("So the answer is 1.5 litres.", "1.5 litres"),
        ("Therefore, the final answer is: **12**.", "12"),
        ("**Answer:** 12", "12"),
        ("**Final Answer**: (B) Paris", "(B) Paris"),
        ("The correct answer choice is (B).", "(B)"),
        ("The answer to the question is Paris.", "Paris"),
        ("The answer would be 7.", "7"),
        ("Natalia sold 72 clips.\n#### 72", "72"),
        ("#### -5", "-5"),
        (r"Thus $\boxed{\frac{1}{2}}$ it is.", r"\frac{1}{2}"),
        ("Answer: 1\nNo, wait.\nAnswer: 2", "2"),
        ("Answer: 12\nAnswer:", "12"),
        ('Answer: {"a":\n 1} and more', '{"a":\n 1}'),
        ('Answer:\n```json\n{"a": 1}\n```', '{"a": 1}'),
        ("Answer: Paris. It is in France", "Paris. It is in France"),
    ],
)
def test_the_answer_stands_behind_the_last_mark_that_has_one(text: str, answer: str) -> None:
    assert found(text) == answer


@pytest.mark.parametrize(
    "text", ["", "I do not know.", "#### Summary\nIt is.", "Answer:", "answers are many", "\\boxed{"]
)
def test_a_text_without_a_mark_has_no_marked_answer(text: str) -> None:
    assert marked(text) is None


def test_a_mark_on_a_line_of_its_own_is_no_reason() -> None:
    text = "3 times 4 is 12.\n**Answer:** 12"
    place = marked(text)
    assert place
    assert text[: place.reasons] == "3 times 4 is 12.\n"


def test_a_mark_in_a_sentence_leaves_the_sentence_whole() -> None:
    text = "3 times 4 is 12, so the answer is 12."
    place = marked(text)
    assert place
    assert text[: place.reasons] == "3 times 4 is 12, so the answer is 12"


def test_a_reply_of_one_short_line_is_the_answer() -> None:
    place = alone(" Paris.\n")
    assert place
    assert (place.start, place.end) == (1, 6)
    assert alone("One.\nTwo.") is None
    assert alone("word " * 40) is None
    assert alone(" \n") is None


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("First 3, then 4, which makes 12.", "number", "12"),
        ("It is −5 degrees", "number", "−5"),
        ("Not (A) but (B), I think", "choice", "(B)"),
        ('First {"a": 1}, no: {"a": {"b": 2}} it is', "json", '{"a": {"b": 2}}'),
    ],
)
def test_without_a_mark_the_last_of_the_kind_is_taken(text: str, kind: Kind, answer: str) -> None:
    place = last(text, kind)
    assert place
    assert text[place.start : place.end] == answer


def test_a_text_could_be_anything() -> None:
    assert last("Paris is the capital.", "text") is None
    assert last("no digits", "number") is None
    assert last("{broken", "json") is None


def test_the_last_line_that_says_something() -> None:
    assert last_line("one\n two \n\n  \n") == "two"
    assert last_line("\n") == ""


@given(st.text(alphabet='Answer: is#5\\boxed{}[]"\n.,*(B)−½', max_size=80))
@example("\\boxed{{}")
@example("Answer: **")
def test_any_text_is_read_without_a_failure(text: str) -> None:
    kinds: tuple[Kind, ...] = ("number", "choice", "json", "text")
    for place in (marked(text), alone(text), *(last(text, kind) for kind in kinds)):
        assert place is None or 0 <= place.start < place.end <= len(text)
    for kind in kinds:
        assert isinstance(key_of(text, kind), str)


@settings(deadline=None)
@given(st.sampled_from(["[", "{", "9", "answer ", "answer to ", "#", "1,", "1/", "(A", " ", '{"a":', "= ", "-", "1 "]))
def test_a_text_made_to_be_slow_is_not(piece: str) -> None:
    text, began = piece * (20_000 // len(piece)), time.process_time()
    kinds: tuple[Kind, ...] = ("number", "choice", "json", "text")
    marked(text)
    for kind in kinds:
        last(text, kind)
        key_of(text, kind)
    kind_of([text])
    assert time.process_time() - began < 1.0
