"""What is taken for a schema, and whether an answer satisfies one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmchat_engine.errors import RequestInvalid
from llmchat_tui.errors import UsageError
from llmchat_tui.schemas import ANY_OBJECT, schema_from, several_of, why_invalid


def read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema_from(text))
    return found


def test_the_short_form() -> None:
    found = read("name: of the person, age int, tall float, alive bool, tags str[], bio")
    assert found == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "of the person"},
            "age": {"type": "integer"},
            "tall": {"type": "number"},
            "alive": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "bio": {"type": "string"},
        },
        "required": ["name", "age", "tall", "alive", "tags", "bio"],
        "additionalProperties": False,
    }


def test_on_lines_a_description_may_have_commas() -> None:
    found = read("\n  name: first, then last\n  age int\n")
    assert found["properties"]["name"]["description"] == "first, then last"
    assert found["required"] == ["name", "age"]


def test_json_and_files(tmp_path: Path) -> None:
    assert read('  {"type": "null"} ') == {"type": "null"}
    (tmp_path / "a.json").write_text('﻿{"type": "null"}\n', encoding="utf-8")
    (tmp_path / "short").write_text("name\nage int\n", encoding="utf-8")
    assert read(str(tmp_path / "a.json")) == {"type": "null"}
    assert read(str(tmp_path / "short"))["required"] == ["name", "age"]
    assert schema_from(ANY_OBJECT) == ANY_OBJECT


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        (" , ", "no fields"),
        ("name, name", "twice"),
        ("age number", "unknown type 'number'"),
        ("age int or so", "cannot be read: 'age int or so'"),
        ("1st", "cannot be read"),
        ("a b c", "cannot be read"),
        ("people.json", "there is no file people.json"),
        ("./people", "there is no file ./people"),
    ],
)
def test_what_is_none(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=r"schema|file|field") as caught:
        schema_from(text)
    assert told in caught.value.what


def test_a_file_that_is_no_text_or_too_long(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "long.json").write_bytes(b"{" + b" " * 300_000 + b"}")
    for name, told in (("binary.json", "UTF-8"), ("long.json", "262,144")):
        with pytest.raises(UsageError) as caught:
            schema_from(str(tmp_path / name))
        assert told in caught.value.why


def test_what_the_engine_cannot_do_is_refused_with_its_place() -> None:
    with pytest.raises(RequestInvalid) as caught:
        schema_from('{"type": "object", "properties": {"a": {"type": "string", "pattern": "x+"}}}')
    assert "at #/properties/a/pattern" in caught.value.why


def test_several_of_a_schema_that_refers_to_itself() -> None:
    name = {"$ref": "#/$defs/name"}
    person = {
        "type": "object",
        "properties": {"$ref": name, "child": {"$ref": "#"}, "pets": {"items": name}},
        "required": ["$ref"],
        "$defs": {"name": {"type": "string"}, "people": {"type": "array", "items": {"$ref": "#/properties/child"}}},
    }
    whole = several_of(json.dumps(person))
    schema_from(whole)
    good = {"items": [{"$ref": "Ada", "child": {"$ref": "Bo"}, "pets": ["Rex"]}]}
    assert why_invalid(whole, json.dumps(good)) == ""
    for bad in (
        '{"items": [{"$ref": 3}]}',
        '{"items": [{"$ref": "Ada", "child": {"child": 1}}]}',
        "{}",
        '{"items": {}}',
    ):
        assert why_invalid(whole, bad)


@pytest.mark.parametrize(
    ("schema", "text", "why"),
    [
        ('{"type": "object"}', '{"a": 1}', ""),
        ('{"type": "object"}', '{"a": 1', "line 1, column 8: it is no JSON"),
        ('{"type": "object"}', "", "no JSON"),
        ('{"type": "object"}', '{"a": NaN}', "NaN is no JSON number"),
        ('{"type": "object"}', "[]", "at #: [] is not of type 'object'"),
        ('{"properties": {"a": {"type": "integer"}}}', '{"a": 1.5}', "at #/a: 1.5 is not of type 'integer'"),
        ('{"type": "string", "format": "date"}', '"2024-02-30"', "is not a 'date'"),
        ('{"$ref": "http://localhost:9/x.json"}', "1", "which is not in it"),
        ("{}", "[" * 100_000, "no JSON that can be read"),
        ('{"items": {"$ref": "#"}}', "[" * 500 + "]" * 500, "nested too deeply"),
    ],
)
def test_whether_an_answer_satisfies_one(schema: str, text: str, why: str) -> None:
    found = why_invalid(schema, text)
    assert why in found
    assert bool(found) == bool(why)
