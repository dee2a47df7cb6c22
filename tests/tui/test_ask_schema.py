"""`ask --schema` and its kin: a valid answer is exit code 0, anything else is kept, printed and exit code 5."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tui.asking import Opened, ask, stored

from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History

ADA = '{"name": "Ada", "age": 36}'


def engine_of(*texts: str) -> FakeEngine:
    return FakeEngine([Script(text) for text in texts])


def test_the_engine_is_given_the_schema_and_the_answer_is_valid(home: Path) -> None:
    engine = engine_of(ADA)
    asked = ask(home, "--schema", "name, age int", "Who?", engine=engine)
    assert (asked.code, asked.out, asked.err) == (0, ADA + "\n", "")
    assert json.loads(engine.requests[0].schema)["required"] == ["name", "age"]


def test_a_list_of_them(home: Path) -> None:
    engine = engine_of('{"items": [' + ADA + "]}")
    assert ask(home, "--schema-multi", "name, age int", "Who?", engine=engine).code == 0
    assert json.loads(engine.requests[0].schema)["required"] == ["items"]


def test_any_object(home: Path) -> None:
    engine = engine_of("{}")
    assert ask(home, "--format", "json", "Who?", engine=engine).code == 0
    assert json.loads(engine.requests[0].schema) == {"type": "object"}
    assert ask(home, "--format", "json", "Who?", engine=engine_of("[]")).code == 5


@pytest.mark.parametrize("text", ['{"name": "Ada"}', "Ada, 36", '{"name": "Ada", "age": NaN}', ADA + " ok"])
def test_an_answer_that_is_not_valid_is_kept_and_exit_code_5(home: Path, text: str) -> None:
    asked = ask(home, "--schema", "name, age int", "Who?", engine=engine_of(text))
    assert (asked.code, asked.out) == (5, text + "\n")
    assert asked.err.startswith("llmchat: error: the answer does not satisfy the schema — ")
    assert stored(home)[1].text == text


def test_an_answer_that_was_cut_off(home: Path) -> None:
    asked = ask(home, "--schema", "name, age int", "--max-tokens", "2", "Who?", engine=engine_of(ADA))
    assert (asked.code, asked.out) == (5, '{"name": "Ada",\n')
    assert asked.err.splitlines() == [
        "llmchat: error: the answer ends before the schema is satisfied — it reached the limit of tokens",
        "hint: raise --max-tokens",
    ]
    assert stored(home)[1].text == '{"name": "Ada",'


def test_one_of_several_answers(home: Path) -> None:
    asked = ask(home, "--schema", "name, age int", "--answers", "2", "Who?", engine=engine_of(ADA, "{}"))
    assert asked.code == 5
    assert "1 of 2 answers do not satisfy the schema" in asked.err


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ('{"type": "string", "pattern": "a"}', "at #/pattern"),
        ('{"type":', "line 1, column 9"),
        ("age number", "unknown type"),
        ("nothing.json", "there is no file nothing.json"),
        ('{"$ref": "http://localhost/x"}', "only references within the schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_before_a_model_is_loaded(home: Path, schema: str, told: str) -> None:
    opened = Opened()
    asked = ask(home, "--schema", schema, "Who?", engine=opened)
    assert (asked.code, asked.out, opened.specs) == (2, "", [])
    assert told in asked.err


@pytest.mark.parametrize("flags", [("--beams", "2"), ("--prefill", "{"), ("--grammar", "x"), ("--format", "json")])
def test_what_excludes_a_schema(home: Path, flags: tuple[str, str]) -> None:
    opened = Opened()
    asked = ask(home, "--schema", "name", *flags, "Who?", engine=opened)
    assert (asked.code, opened.specs) == (2, [])
    assert f"--schema and {flags[0]} exclude each other" in asked.err


def test_json_has_the_schema_and_whether_it_is_satisfied(home: Path) -> None:
    flags = ("--json", "--schema", "name, age int", "Who?")
    valid = json.loads(ask(home, *flags, engine=engine_of(ADA)).out)
    assert (valid["schema"]["required"], valid["schema_valid"]) == (["name", "age"], True)
    invalid = ask(home, *flags, engine=engine_of("{}"))
    assert (invalid.code, json.loads(invalid.out)["schema_valid"]) == (5, False)


def test_a_chat_goes_on_with_its_schema_until_a_flag_says_otherwise(home: Path, history: History) -> None:
    ask(home, "--schema", "name, age int", "Who?", engine=engine_of(ADA))
    engine = engine_of(ADA, "Free.", "{}")
    assert ask(home, "-c", "And who else?", engine=engine).code == 0
    assert ask(home, "-c", "--format", "text", "Tell me.", engine=engine).code == 0
    assert ask(home, "-c", "--format", "json", "And?", engine=engine).code == 0
    needed = [json.loads(request.schema or "{}").get("required") for request in engine.requests]
    assert needed == [["name", "age"], None, None]
    assert len(history.conversations()) == 1


def test_stdout_is_the_object_and_what_is_thought_is_not_in_it(home: Path) -> None:
    engine = FakeEngine([Script(ADA, thought="Let me see.")])
    asked = ask(home, "--schema", "name, age int", "Who?", engine=engine)
    assert (asked.code, asked.out, asked.err) == (0, ADA + "\n", "Let me see.\n")
