"""What counts as right, kind by kind: replies as models write them, and what was found in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.evaluation.grading import Grade, grade
from llmchat_tui.evaluation.items import KINDS, Item, Kind

TWELVE = Item("n", "number", "?", ("12",))
ANIMALS = Item("c", "choice", "?", ("B",), ("a shark", "a dolphin", "a frog"))
PERSON = Item(
    "s",
    "schema",
    "?",
    ('{"name": "Maria", "age": 34}',),
    schema='{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]}',
)


@pytest.mark.parametrize(
    ("reply", "right", "found"),
    [
        ("12", True, "12"),
        ("He has 5 + 7 = 12 apples.", True, "12"),
        ("**12.0**", True, "12"),
        ("twelve", True, "12"),
        ("#### 12", True, "12"),
        ("The answer is 12. That took 3 minutes.", True, "12"),
        ("\\boxed{12}, as 3 know", True, "12"),
        ("$12.00", True, "12"),
        ("24/2", True, "12"),
        ("12 of them, and 3 more", False, "3"),
        ("It is 12, not 13.", True, "12"),
        ("The answer is not 13, it is 12.", True, "12"),
        ("The answer is not 12.", False, ""),
        ("Not 12 but 13", False, "13"),
        ("-12", False, "-12"),
        ("1.2", False, "1.2"),
        ("120", False, "120"),
        ("I do not know.", False, ""),
        ("", False, ""),
    ],
)
def test_a_number_may_stand_in_a_sentence(reply: str, right: bool, found: str) -> None:
    assert grade(TWELVE, reply) == Grade(right, found)


def test_a_tolerance_is_exact() -> None:
    item = Item("t", "number", "?", ("3.14",), tolerance=0.1)
    assert grade(item, "3.24").right
    assert grade(item, "3.04").right
    assert not grade(item, "3.241").right


def test_thousands_and_several_accepted_numbers() -> None:
    assert grade(Item("t", "number", "?", ("1,234.5",)), "it is 1234.50 dollars").right
    assert grade(Item("t", "number", "?", ("4", "5")), "5").right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("Paris", True),
        ("paris.", True),
        ("  **Paris**\n", True),
        ("The answer is Paris.", True),
        ("Let me think.\nAnswer: Paris", True),
        ("The capital of France is Paris.", False),
        ("Paris or Rome", False),
        ("", False),
    ],
)
def test_an_exact_text_stands_alone_or_is_marked(reply: str, right: bool) -> None:
    assert grade(Item("e", "exact", "?", ("Paris", "Paris, France")), reply).right is right


def test_exact_texts_without_letters_and_with_articles() -> None:
    assert grade(Item("e", "exact", "?", ("The Beatles",)), "beatles").right
    assert grade(Item("e", "exact", "?", ("+",)), " + ").right
    assert not grade(Item("e", "exact", "?", ("+",)), "-").right
    assert not grade(Item("e", "exact", "?", ("no",)), "No idea.").right


@pytest.mark.parametrize(
    ("wanted", "reply", "right"),
    [
        ("C++", "**C++.**", True),
        ("C++", "C", False),
        ("C++", "C#", False),
        ("5", "-5", False),
        ("-5", "\u22125", True),
        ("x + y", "x+y", True),
        ("x+y", "x-y", False),
        ("3.5", "3 5", False),
        ("3.5", "3.5.", True),
        ("well-known", "Well known", True),
        ("Paris", "# Paris", True),
        ("Paris", "- Paris", True),
    ],
)
def test_signs_that_mean_something_count_in_exact_texts(wanted: str, reply: str, right: bool) -> None:
    assert grade(Item("e", "exact", "?", (wanted,)), reply).right is right


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("The capital of France is Paris.", True),
        ("paris", True),
        ("Parisian bread", False),
        ("comparison", False),
    ],
)
def test_contained_are_whole_words(reply: str, right: bool) -> None:
    assert grade(Item("e", "contains", "?", ("Paris",)), reply) == Grade(right, "Paris" if right else "")


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("B", "B"),
        ("(b)", "B"),
        ("B. a dolphin", "B"),
        ("**B**", "B"),
        ("Option B", "B"),
        ("A. a shark\n\nThe correct answer is B. a dolphin", "B"),
        ("It is a dolphin.", "B"),
        ("Dolphin", "B"),
        ("C", "C"),
        ("A shark or a dolphin", ""),
        ("A or B", ""),
        ("A, B", ""),
        ("B and C are right", ""),
        ("(A) / (B)", ""),
        ("B, I think", "B"),
        ("B. It has vitamins A and C.", "B"),
        ("A horse", ""),
        ("D", ""),
        ("A. a shark\nB. a dolphin\nC. a frog", ""),
        ("B. It is a dolphin, with vitamin A.", "B"),
        ("", ""),
    ],
)
def test_an_option_is_named_by_its_letter_or_its_words(reply: str, found: str) -> None:
    assert grade(ANIMALS, reply) == Grade(found == "B", found)


def test_an_option_within_another_is_not_taken_for_it() -> None:
    item = Item("c", "choice", "?", ("B",), ("blue", "dark blue"))
    assert grade(item, "the sea is dark blue").found == "B"
    assert grade(item, "the sea is blue").found == "A"
    assert grade(item, "A. blue\nB. dark blue").found == ""
    assert grade(item, "dark blue, and not the blue of the sky").found == ""
    signed = Item("c", "choice", "?", ("B",), ("5", "-5"))
    assert grade(signed, "-5").found == "B"
    assert grade(signed, "it is 5").found == "A"


def test_a_pattern_is_looked_for_anywhere() -> None:
    item = Item("r", "regex", "?", pattern=r"\d{3}-\d{4}")
    assert grade(item, "call 555-0123 now") == Grade(True, "555-0123")
    assert grade(item, "call me") == Grade(False)


def test_a_pattern_that_tries_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_tui.evaluation.grading.PATIENCE", 0.05)
    assert not grade(Item("r", "regex", "?", pattern="(a+)+$"), "a" * 40 + "b").right
    assert grade(Item("r", "regex", "?", pattern="(a+)+$"), "aaa").right, "the next one has its own time"


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ('{"name": "Maria", "age": 34}', True),
        ('{"age": 34.0, "name": " MARIA "}', True),
        ('Here it is:\n```json\n{"name": "Maria", "age": 34}\n```\nDone.', True),
        ('{"name": "Maria", "age": 34, "city": "Rome"}', True),
        ('{"name": "Maria", "age": 35}', False),
        ('{"name": "Maria", "age": "34"}', False),
        ('{"name": "Maria", "age": true}', False),
        ('{"name": "Maria"}', False),
        ('{"name": "Maria", "age": 34', False),
        ("[" * 5000, False),
        ("Maria is 34.", False),
    ],
)
def test_json_satisfies_its_schema_and_says_what_was_expected(reply: str, right: bool) -> None:
    assert grade(PERSON, reply).right is right


def test_scalars_stand_in_a_fence_too() -> None:
    item = Item("s", "schema", "?", ('"x"',), schema='{"type":"string"}')
    assert grade(item, '```json\n"x"\n```').right
    assert not grade(item, '```json\n"y"\n```').right


def test_lists_are_compared_in_order_and_without_an_answer_the_schema_is_enough() -> None:
    item = Item("s", "schema", "?", ('["a", {"b": 1}]',), schema='{"type":"array"}')
    assert grade(item, '["A", {"b": 1, "c": 2}]').right
    assert not grade(item, '[{"b": 1}, "a"]').right
    assert not grade(item, '["a"]').right
    assert grade(Item("s", "schema", "?", schema='{"type":"array"}'), "[1]").right


def test_nobody_judges_what_nobody_knows() -> None:
    with pytest.raises(ValueError, match="cannot be judged"):
        grade(Item("x", "none", "?"), "anything")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([kind for kind in KINDS if kind != "none"]), st.text(max_size=200))
def test_no_reply_breaks_a_judge(kind: Kind, reply: str) -> None:
    answers = {"number": ("1",), "choice": ("A",), "schema": ("{}",)}.get(kind, ("x",))
    choices = ("x", "y") if kind == "choice" else ()
    item = Item("i", kind, "?", answers, choices, pattern="x", schema='{"type":"object"}')
    assert isinstance(grade(item, reply), Grade)
