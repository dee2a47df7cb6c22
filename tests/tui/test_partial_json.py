"""JSON cut off anywhere: what is made of it parses, says nothing that the end does not, and takes linear time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.partial_json import as_markdown, completed, pretty

NOTHING = object()
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def is_beginning(part: Any, whole: Any) -> bool:
    """Returns whether a value says nothing that another one does not: texts and numbers may still be cut."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_beginning(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(map(is_beginning, part, whole))
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, bool | None) or isinstance(whole, bool | None | str | dict | list):
        return part is whole
    return isinstance(part, int | float)


def written(value: Any, ascii_only: bool, indent: int | None) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=150, deadline=None)
def test_every_beginning_of_a_document_parses_and_agrees_with_its_end(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = written(value, ascii_only, indent)
    before: Any = NOTHING
    for end in range(len(text) + 1):
        closed = completed(text[:end])
        if closed is None:  # nothing has begun, or only half a number
            assert text[:end].strip() in ("", "-")
            continue
        part = json.loads(closed)
        assert is_beginning(part, value), (text[:end], closed)
        assert before is NOTHING or is_beginning(before, part), "what was there once goes on"
        before = part
        laid_out = pretty(text[:end])
        assert laid_out is not None and json.loads(laid_out) == part
    assert completed(text) == text


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_it_is_laid_out_as_the_library_does(value: Any) -> None:
    assert pretty(written(value, ascii_only=False, indent=None)) == json.dumps(value, ensure_ascii=False, indent=2)


@given(st.text(alphabet='{}[]",:\\u019ae.-+ tnfalsx\n', max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_json_afterwards_or_none(text: str) -> None:
    closed = completed(text)
    if closed is not None:
        json.loads(closed)
    try:
        json.loads(text)
    except ValueError:
        return
    assert closed == text.rstrip()


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("", None),
        (" \n", None),
        ("{", "{}"),
        ('{"na', "{}"),
        ('{"name"', "{}"),
        ('{"name":', "{}"),
        ('{"name": "A', '{"name": "A"}'),
        ('{"name": "Ada", "ag', '{"name": "Ada"}'),
        ('{"a": [1, 2', '{"a": [1, 2]}'),
        ('{"a": [1, 2,', '{"a": [1, 2]}'),
        ('{"a": tr', '{"a": true}'),
        ('{"a": -', "{}"),
        ('[1.', "[1]"),
        ('[1.5e', "[1.5]"),
        ('[1.5e-', "[1.5]"),
        ('["\\', '[""]'),
        ('["\\\\', '["\\\\"]'),
        ('["a\\u00', '["a"]'),
        ('["a\\ud83d', '["a"]'),
        ('["a\\ud83d\\u', '["a"]'),
        ('["a\\ud83d\\ude0', '["a"]'),
        ('["a\\ud83d\\ude00', '["a\\ud83d\\ude00"]'),
        ('["a\\\\ud83d', '["a\\\\ud83d"]'),
        ('"whole', '"whole"'),
        ("12", "12"),
        ("nul", "null"),
        ("Sure! Here is", None),
        ("{}}", None),
        ("[1] says", None),
        ('{"a" 1', None),
        ("[}", None),
        ("[1 2]", None),
        ('["a\nb"]', None),
        ("[" * 100_000, None),
        ("9" * 5000, None),
    ],
)  # fmt: skip
def test_what_becomes_of_a_beginning(text: str, closed: str | None) -> None:
    assert completed(text) == closed


def test_digits_and_keys_that_come_twice_stay_as_they_are_written() -> None:
    text = '{"a": 1.10, "a": 1e400, "b": 123456789012345678901234567890, "c": "\\u00e9", "d": {}, "e": []}'
    shown = pretty(text)
    assert shown is not None
    assert shown.split("\n") == [
        "{", '  "a": 1.10,', '  "a": 1e400,', '  "b": 123456789012345678901234567890,', '  "c": "\\u00e9",',
        '  "d": {},', '  "e": []', "}",
    ]  # fmt: skip


def test_only_what_cannot_be_markdown_is_taken_for_json_without_a_schema() -> None:
    assert as_markdown('{"a": 1') == '```json\n{\n  "a": 1\n}\n```'
    assert as_markdown("{") is not None
    assert as_markdown("[1, 2]") is None and as_markdown("[1, 2]", held=True) is not None
    assert as_markdown("[link](http://a.b)", held=True) is None
    assert as_markdown("12", held=True) == "```json\n12\n```" and as_markdown("12") is None
    fenced = as_markdown('{"a": "```"}')
    assert fenced is not None and fenced.startswith("````json\n") and fenced.endswith("\n````")


def test_it_takes_linear_time() -> None:
    def seconds(text: str) -> float:
        began = time.perf_counter()
        pretty(text)
        return time.perf_counter() - began

    for small in ('["' + "\\\\a" * 2_000, "[" + '{"a": [1, 2, 3]}, ' * 1_000, '["' + "a" * 10_000 + "\\"):
        head = small[:2]
        large = head + small[2:] * 20
        assert seconds(large) < 20 * 8 * max(seconds(small), 0.000_5), small[:20]
