"""Edits of TOML texts of every shape: one key changes, and every other byte stays."""

from __future__ import annotations

import difflib
import random
import re
import tomllib

import pytest
from tests.engine.rig import SEED

from llmchat_tui.toml_edit import NotEditableError, flatten, key_lines, with_value, without_key

NAMES = ("a", "b-c", '"q.x"', "'l it'", '"eq = 1"', '"#h"', '"[x]"', '"a\\"b"', '""', '"\\u00e9"')
VALUES = (
    "1", "true", "1.5", "1979-05-27", '"a # b"', '"x\\"y ]"', "'raw # ]'", '"""m\n# no\n[ x = 1\n"q" """', '""""q""""',
    "'''l\n] # '' x\n'''", "[1, # c ] \"\n 2]", "[\n]", "[[1], ['#']]", '{ k = "}", l = [1] }',
)  # fmt: skip
TAILS = ("", "  ", ' # tail = "x', "#t")
PLACES = (("new",), ("a", "new"), ("q.x", "z z"), ("aliases", "b"))
GIVEN = ('t # "', 3, True, 1.5, "é\n\\", [1, "x"])


def text_of(rng: random.Random) -> str:
    """Returns some valid TOML without arrays of tables."""
    lines: list[str] = []
    for _ in range(rng.randrange(9)):
        key = " . ".join(rng.choices(NAMES, k=rng.choice((1, 1, 1, 2))))
        pad, tail = rng.choice(("", "  ", "\t")), rng.choice(TAILS)
        line = rng.choice(("", '# [x] = "', f"[{key}]{tail}", *[f"{key} = {rng.choice(VALUES)}{tail}"] * 4))
        lines.append(pad + line)
        try:
            tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError:
            lines.pop()
    text = "\n".join(lines) + rng.choice(("", "\n", "\n\n\n"))
    return text.replace("\n", "\r\n") if rng.random() < 0.3 else text


def lost(before: str, after: str) -> list[str]:
    """Returns the lines that are no more."""
    changes = difflib.ndiff(re.split("\r?\n", before), re.split("\r?\n", after))
    return [line for line in changes if line.startswith("- ")]


def test_an_edit_changes_its_key_and_nothing_else() -> None:
    rng, edited = random.Random(SEED), 0
    print(f"LLMCHAT_TEST_SEED={SEED}")
    for _ in range(300):
        text = text_of(rng)
        before = flatten(tomllib.loads(text))
        assert {*before} <= {*key_lines(text)}, text
        place, value = rng.choice([*before, *PLACES]), rng.choice(GIVEN)
        try:
            after = with_value(text, place, value)
            found = flatten(tomllib.loads(after))
        except (NotEditableError, tomllib.TOMLDecodeError):
            continue  # its table is written inside a statement: for the caller to tell
        edited += 1
        assert found == before | {place: value}, (text, after)
        if place not in before:
            assert lost(text, after) == [], (text, after)
            ends = {*re.findall("\r?\n", after)}
            assert ends == ({*re.findall("\r?\n", text)} or {"\n"}), (text, after)
        taken = flatten(tomllib.loads(without_key(after, place)))
        assert taken == {key: kept for key, kept in before.items() if key != place}, after
    assert edited > 150


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_as_those_of_the_file_do(end: str) -> None:
    text = f"a = 1{end}b = 2"
    assert with_value(text, ("c",), 3) == f"a = 1{end}b = 2{end}c = 3{end}"
    assert with_value(text, ("t", "c"), 3) == f"a = 1{end}b = 2{end}{end}[t]{end}c = 3{end}"
    assert tomllib.loads(without_key(text, ("b",))) == {"a": 1}
    assert with_value(f"a = 1{end}{end}{end}", ("a",), 2) == f"a = 2{end}{end}{end}"
    assert with_value(f"a = 1{end}{end}{end}", ("b",), 2) == f"a = 1{end}b = 2{end}{end}{end}"
