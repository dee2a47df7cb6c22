"""Sets of questions from JSON lines: which kind a line is, how it is asked, what is wrong in it and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import InputError, UsageError
from llmchat_tui.evaluation.grading import grade
from llmchat_tui.evaluation.items import Item, Kind
from llmchat_tui.evaluation.reading import beside, built_in, find_set, read_examples, read_items

GSM8K = {"question": "2 and 3?", "answer": "He adds <<2+3=5>>2 + 3 = 5.\n#### 5"}
AGE = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def read(tmp_path: Path, *lines: Any) -> tuple[Item, ...]:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return read_items(path)


@pytest.mark.parametrize(
    ("line", "kind", "answers"),
    [
        (GSM8K, "number", ("5",)),
        ({"question": "?", "answer": 42}, "number", ("42",)),
        ({"question": "?", "answer": "1,234.5"}, "number", ("1,234.5",)),
        ({"question": "?", "answer": ["4", "4.0"]}, "number", ("4", "4.0")),
        ({"question": "?", "answer": 0.00001}, "number", ("0.00001",)),
        ({"question": "?", "answer": 1e22}, "number", ("10000000000000000000000",)),
        ({"question": "?", "answer": ".5"}, "number", (".5",)),
        ({"question": "?", "answer": "\u22125 %"}, "number", ("\u22125 %",)),
        ({"question": "?", "answer": "12/25"}, "exact", ("12/25",)),
        ({"question": "?", "answer": 3.14, "tolerance": 0.01}, "number", ("3.14",)),
        ({"question": "?", "answer": "Paris"}, "exact", ("Paris",)),
        ({"question": "?", "answer": ["one", "1"]}, "exact", ("one", "1")),
        ({"question": "?", "answer": "4", "kind": "exact"}, "exact", ("4",)),
        ({"question": "?", "answer": "Paris", "kind": "contains"}, "contains", ("Paris",)),
        ({"question": "?", "choices": ["x", "y"], "answer": 1}, "choice", ("B",)),
        ({"question": "?", "choices": ["x", "y"], "answer": "b"}, "choice", ("B",)),
        ({"question": "?", "choices": ["B", "A"], "answer": "A"}, "choice", ("B",)),
        ({"question": "?", "regex": "a+"}, "regex", ()),
        ({"question": "?", "schema": AGE}, "schema", ()),
        ({"question": "?", "schema": "name, age int"}, "schema", ()),
        ({"question": "?", "schema": AGE, "answer": {"age": 3}}, "schema", ('{"age": 3}',)),
        ({"question": "?", "rejected": "no"}, "none", ()),
        ({"input": "?", "output": "Paris"}, "exact", ("Paris",)),
    ],
)
def test_the_kind_of_a_line_is_seen(tmp_path: Path, line: Any, kind: Kind, answers: tuple[str, ...]) -> None:
    (item,) = read(tmp_path, line)
    assert (item.kind, item.answers) == (kind, answers)


def test_a_line_of_gsm8k_has_its_steps_without_the_calculators_notes(tmp_path: Path) -> None:
    (item,) = read(tmp_path, GSM8K)
    assert item.as_shot() == Shot("2 and 3?", "5", "He adds 2 + 3 = 5.")


def test_options_are_listed_behind_the_question(tmp_path: Path) -> None:
    (item,) = read(tmp_path, {"question": "Which?", "choices": ["x", "y"], "answer": "y"})
    assert item.asked == "Which?\nA. x\nB. y\nAnswer with the letter."
    assert (item.right_choice, item.expected) == (1, "B (y)")


def test_ids_are_the_lines_where_none_are_given(tmp_path: Path) -> None:
    items = read(tmp_path, {"question": "a", "answer": 1}, "", {"id": "x", "question": "b", "answer": 2})
    assert [item.id for item in items] == ["1", "x"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, ""),
        ("[1]", "it is no JSON object"),
        ({"answer": 1}, '"question" is no text'),
        ({"question": " ", "answer": 1}, '"question" is no text'),
        ({"question": "?"}, '"answer" is no text'),
        ({"question": "?", "answer": []}, '"answer" is no text'),
        ({"question": "?", "answer": ""}, '"answer" is empty'),
        ({"question": "?", "answer": True}, '"answer" is no text'),
        ({"question": "?", "answer": "x", "kind": "number"}, "'x' is no number"),
        ({"question": "?", "answer": "1", "tolerance": -1}, '"tolerance" is no number'),
        ('{"question": "?", "answer": 1, "tolerance": NaN}', '"tolerance" is no number'),
        ('{"question": "?", "answer": 1, "tolerance": Infinity}', '"tolerance" is no number'),
        ({"question": "?", "answer": 1, "tolerance": 10**400}, '"tolerance" is no number'),
        ('{"question": "?", "answer": 1e999}', '"answer" is no text'),
        ({"question": "?", "answer": "x\ud800"}, "surrogates not allowed"),
        ({"question": "\ud800", "answer": "x"}, "surrogates not allowed"),
        ({"question": "?", "answer": "x", "kind": "poem"}, "'poem' is unknown; known are number, exact"),
        ({"question": "?", "choices": ["x"], "answer": 0}, "there are 1 choices"),
        ({"question": "?", "choices": "xy", "answer": 0}, '"choices" is no list'),
        ({"question": "?", "choices": ["x", "y"], "answer": 2}, '"answer" is no option'),
        ({"question": "?", "choices": ["x", "y"], "answer": "C"}, '"answer" is no option'),
        ({"question": "?", "choices": ["x", "y"], "answer": True}, '"answer" is no option'),
        ({"question": "?", "regex": "("}, "no regular expression: missing )"),
        ({"question": "?", "regex": "a{99999999999}"}, "no regular expression"),
        ({"question": "?", "regex": "(" * 3000 + ")" * 3000}, "no regular expression"),
        ({"question": "?", "regex": 1}, '"regex" is no text'),
        ({"question": "?", "kind": "schema"}, '"schema" is missing'),
        ({"question": "?", "schema": {"type": "poem"}}, "is no JSON schema: 'poem'"),
        ({"question": "?", "schema": "name poem"}, "unknown type"),
        ({"question": "?", "schema": {"$ref": "http://example.com/x"}}, "cannot be followed"),
        ({"question": "?", "schema": AGE, "answer": {"age": "x"}}, "does not satisfy the schema"),
    ],
)
def test_what_is_wrong_in_a_line_is_told_with_its_number(tmp_path: Path, line: Any, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, {"id": "x", "question": "?", "answer": 1}, line)
    assert caught.value.what.startswith("set.jsonl:2")
    assert why in caught.value.why


def test_two_lines_with_one_id_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    line = {"id": "x", "question": "?", "answer": 1}
    with pytest.raises(InputError, match=r"set\.jsonl:2: the id 'x' is there twice"):
        read(tmp_path, line, line)
    with pytest.raises(InputError, match="holds no question"):
        read(tmp_path, "", "  ")
    with pytest.raises(UsageError, match="cannot be read"):
        read_items(tmp_path / "nowhere.jsonl")


def test_a_set_is_a_path_or_the_name_of_one_that_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert built_in() == ("basics",)
    assert find_set("basics").is_file()
    assert find_set("other.jsonl") == Path("other.jsonl")
    with pytest.raises(UsageError, match="there is no set nothing"):
        find_set("nothing")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "basics").write_text("{}")
    assert find_set("basics") == Path("basics")


def test_the_set_that_comes_along_has_thirty_items_of_several_kinds() -> None:
    items = read_items(find_set("basics"))
    assert len(items) == 30
    assert {item.kind for item in items} == {"number", "exact", "contains", "choice", "regex", "schema"}


def test_its_own_answers_are_right_by_its_own_rules() -> None:
    for item in read_items(find_set("basics")):
        assert all(grade(item, answer).right for answer in item.answers), item.id


def test_its_examples_reason_are_right_and_are_none_of_its_questions() -> None:
    path = find_set("basics")
    examples = read_items(beside(path))
    assert len(examples) == 8
    assert {item.question for item in examples} & {item.question for item in read_items(path)} == set()
    assert all(item.reasoning and grade(item, item.answers[0]).right for item in examples)
    assert [shot.output for shot in read_examples(beside(path))] == [item.answers[0] for item in examples]


def test_examples_may_stand_in_a_table_and_must_have_answers(tmp_path: Path) -> None:
    table = tmp_path / "shots.csv"
    table.write_text("input,output,reasoning\na,b,because\n")
    assert read_examples(table) == (Shot("a", "b", "because"),)
    lines = tmp_path / "shots.jsonl"
    lines.write_text(json.dumps({"id": "p", "question": "?", "regex": "a"}))
    with pytest.raises(InputError, match="the example p has no answer"):
        read_examples(lines)
