"""Templates from TOML: every key, and that what is wrong is named with file, line and key."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateInvalid, TemplateMissing, UserError, exit_code
from llmchat_tui.templates.reading import read_template, template_of
from llmchat_tui.templates.values import Template

WHOLE = """\
description = "sorts"
system = "You sort."
user = "$input in $language for $$5"
num_shots = 1
shots_by = "similar"
cot = "few-shot"
votes = 5
think = "on"
think_budget = 0
keep_thoughts = true
schema = "name, age int"

[params]
language = "English"

[sampling]
temperature = 1
stop = ["END"]

[[shots]]
input = "a"
reasoning = "because"
output = "b"

[[shots]]
input = "c"
output = "d"
reasoning = "so"
whole = true
"""


def read(text: str) -> Template:
    return template_of(text, "mine", Path("mine.toml"))


def fault(text: str) -> TemplateInvalid:
    with pytest.raises(TemplateInvalid) as caught:
        read(text)
    return caught.value


def test_every_key() -> None:
    found = read(WHOLE)
    assert json.loads(found.schema)["properties"]["age"] == {"type": "integer"}
    assert found == Template(
        "mine",
        "sorts",
        "You sort.",
        "$input in $language for $$5",
        {"language": "English"},
        (Shot("a", "b", "because"), Shot("c", "d", "so", whole=True)),
        1,
        "similar",
        "few-shot",
        5,
        "on",
        0,
        True,
        found.schema,
        sampling={"temperature": 1.0, "stop": ("END",)},
        path=Path("mine.toml"),
    )


def test_nothing_is_a_template_too() -> None:
    assert read("") == Template("mine", path=Path("mine.toml"))


def test_documents() -> None:
    found = read('[documents]\ncollections = ["notes", "papers"]\nk = 3\ncite = true\n')
    assert (found.collections, found.docs_k, found.cite) == (("notes", "papers"), 3, True)
    assert read('cot = "off"\nvotes = 0\n[documents]\nk = 3\n').docs_k == 3


@pytest.mark.parametrize(
    ("text", "line", "what", "why"),
    [
        ('syste = "x"', 1, "unknown key syste", "did you mean system?"),
        ('name = "x"', 1, "unknown key name", "there are description, "),
        ('\n\ncot = "fewshot"', 3, "cot cannot be 'fewshot'", "none of off, zero-shot, few-shot"),
        ("votes = 17", 1, "votes cannot be 17", "<= 16"),
        ("votes = true", 1, "votes cannot be true", "a whole number"),
        ("think = true", 1, "think cannot be true", "none of auto, on, off"),
        ("system = 1", 1, "system cannot be 1", "expected text, got a whole number"),
        ("shots = 3", 1, "shots cannot be 3", "text or a list"),
        ('format = "xml"', 1, "format cannot be 'xml'", "none of json"),
        ('user = "hello"', 1, "there is no $input in user", ""),
        ('user = "$input $langage"\n[params]\nlanguage=""', 1, "$langage in user is no parameter", "$language?"),
        ('user = "$input $x"', 1, "$x in user is no parameter", "$$x for the text"),
        ("\n[params]\n'a b' = \"\"", 3, "'a b' cannot be a parameter", ""),
        ('[params]\ninput = ""', 2, "input cannot be a parameter", ""),
        ("[params]\na = 3", 2, "params.a cannot be 3", "expected text"),
        ("[sampling]\ntemperature = 0\ntemprature = 3", 3, "unknown key temprature in sampling", "temperature?"),
        ("[sampling]\n\ntemperature = -1", 3, "sampling.temperature cannot be '-1'", ">= 0"),
        ("[sampling]\nmirostat = 5", 2, "sampling.mirostat cannot be '5'", "none of 0, 1, 2"),
        ("[sampling]\nstop = [1]", 2, "sampling.stop cannot be", "expected text"),
        ("[documents]\nk = 0", 2, "documents.k cannot be 0", ">= 1"),
        ("[documents]\nks = 3", 2, "unknown key ks in documents", "did you mean k?"),
        ('votes = 3\n[documents]\ncollections = ["a"]', 1, "votes and documents exclude", ""),
        ('cot = "zero-shot"\n[documents]\nk = 1', 1, "cot and documents exclude", ""),
        ('format = "json"\n[documents]\ncite = true', 3, "cite and format exclude", ""),
        ('cot = "few-shot"', 1, "cot cannot be 'few-shot'", "no shots"),
        ('[[shots]]\ninput = "a"\noutput = "b"\n# x\n[[shots]]\n\ninput = "a"\noutput = 3', 8, "output of shot 2", ""),
        ('[[shots]]\ninput = "a"\noutpt = "b"', 3, "unknown key outpt in shot 1", "did you mean output?"),
        ('[[shots]]\ninput = "a"\noutput="b"\n[[shots]]\ninput = "a"', 4, "shot 2 has no output", ""),
        ('shots = [{input = "a", output = " "}]', 1, "shot 1 has no output", ""),
        (
            'cot = "few-shot"\nnum_shots = 0\n[[shots]]\ninput = "a"\noutput = "b"\nreasoning = "c"',
            1, "cot cannot be 'few-shot'", "num_shots = 0",
        ),
        ('cot = "few-shot"\n[[shots]]\ninput = "a"\noutput = "b"', 2, "shot 1 has no reasoning", ""),
        ("schema = \"{\"", 1, "schema cannot be used", "no JSON"),
        ('schema = "name, age in"', 1, "the field age has an unknown type 'in'", "str, int"),
        ('schema = "$fields"', 1, "$fields in schema is no parameter", ""),
        ('schema = {type = "nothing"}', 1, "schema cannot be used", ""),
        ('schema = "a"\ngrammar = "root ::= [a]"', 2, "schema and grammar exclude", "one form"),
        ('format = "json"\nschema = "a"', 2, "format and schema exclude", ""),
        ('grammar = "root ::= x"', 1, "grammar cannot be used", "line 1, column 10"),
        ("choices = []", 1, "choices has none", ""),
        ('choices = ["a", "b\\nc"]', 1, "cannot be a choice", ""),
        ('choices = "$x"', 1, "$x in choices is no parameter", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, line: int, what: str, why: str) -> None:
    error = fault(text)
    assert error.what.startswith(f"mine.toml:{line}: ")
    assert what in error.what
    assert why in error.why
    assert error.hint == "edit mine.toml"
    assert exit_code(error) == 3


def test_what_is_no_toml_is_named_with_line_and_column() -> None:
    error = fault('system = "a"\nuser = "')
    assert error.what == "mine.toml:2:9: not valid TOML"
    assert fault("[" * 5000).what.startswith("mine.toml")


def test_a_built_in_template_is_named_by_its_name() -> None:
    with pytest.raises(TemplateInvalid, match=r"^mine\.toml:1: unknown key x"):
        template_of("x = 1", "mine", None)


@given(st.text(max_size=60) | st.sampled_from(WHOLE.splitlines()).map(lambda line: line.partition("=")[0] + "= 1e999"))
@settings(max_examples=60)
def test_any_text_is_a_template_or_says_why(text: str) -> None:
    with suppress(TemplateInvalid):
        assert read(text).name == "mine"


@given(st.integers(0, 99), st.sampled_from(["x = 1", "[params]", "[[shots]]", "shots = 1", "[sampling.a]", ""]))
@settings(max_examples=60)
def test_any_damage_is_a_template_or_says_why(line: int, other: str) -> None:
    lines = WHOLE.splitlines()
    lines[line % len(lines)] = other
    with suppress(TemplateInvalid):
        assert read("\n".join(lines)).name == "mine"


def test_a_choice_is_a_grammar() -> None:
    assert read('choices = ["yes", "no", "yes", \'a "b\\\']').grammar == 'root ::= "yes" | "no" | "a \\"b\\\\"'
    assert read('choices = "yes, no"').grammar == 'root ::= "yes" | "no"'
    assert read('choices = "${labels}"\n[params]\nlabels = "a, b"').grammar == "${labels}"


def test_schemas() -> None:
    assert read('format = "json"').schema == '{"type":"object"}'
    assert json.loads(read('schema = {type = "string"}').schema) == {"type": "string"}
    assert json.loads(read('schema = \'{"type": "string"}\'').schema) == {"type": "string"}
    assert read('schema = "$fields"\n[params]\nfields = ""').schema == "$fields"


def test_files_beside_the_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "s.json").write_text('{"type": "string"}')
    (tmp_path / "g.gbnf").write_text('root ::= "a"')
    (tmp_path / "e.jsonl").write_text('{"input": "a", "output": "b"}\n')
    path = tmp_path / "mine.toml"
    path.write_text('schema = "s.json"\nshots = "e.jsonl"\n')
    found = read_template(path)
    assert (json.loads(found.schema), found.shots) == ({"type": "string"}, (Shot("a", "b"),))
    assert (found.name, found.path) == ("mine", path)
    path.write_text('grammar = "g.gbnf"')
    assert read_template(path).grammar == 'root ::= "a"'


@pytest.mark.parametrize("key", ["schema", "shots"])
def test_a_file_that_is_missing_is_named_with_the_key(tmp_path: Path, key: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'system = "a"\n{key} = "none.json"\n')
    with pytest.raises(TemplateInvalid, match=rf"mine.toml:2: {key}: there is no file .*none.json"):
        read_template(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TemplateMissing, match="there is no file"):
        read_template(tmp_path / "none.toml")
    with pytest.raises(TemplateInvalid, match="it is a directory"):
        read_template(tmp_path)
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(TemplateInvalid, match="pipe"):
        read_template(tmp_path / "pipe.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b'a = 1\nb = "\xff"')
    with pytest.raises(TemplateInvalid, match=r"bad\.toml:2: cannot be read — it is not UTF-8"):
        read_template(bad)
    bad.write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(TemplateInvalid, match="more than 1,048,576 bytes"):
        read_template(bad)
    with pytest.raises(UserError):
        read_template(Path("a\0b.toml"))


def test_a_mark_and_line_ends_of_windows(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'system = "a"\r\n\r\n[sampling]\r\ntemperature = 0\r\n')
    assert read_template(path).system == "a"
    path.write_bytes(b'system = "a"\r\n\r\n[sampling]\r\ntemp = 0\r\n')
    with pytest.raises(TemplateInvalid, match=r"mine\.toml:4: unknown key temp"):
        read_template(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_template_or_say_why(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(data)
    with suppress(TemplateInvalid):
        assert read_template(path).name == "mine"


@pytest.mark.parametrize(
    "before",
    [
        "system = '''\n" + "a ] \n" * 20_000 + "'''\n",
        'system = """\n' + "a } \\\\ \n" * 20_000 + '"""\n',
        "shots = [  # ]\n" + '{input = "a]", output = "b"},\n' * 5_000 + "]\n",
    ],
    ids=["literal", "basic", "array"],
)
def test_the_line_behind_a_long_value_is_found_at_once(before: str) -> None:
    from time import process_time

    started = process_time()
    assert fault(f"{before}x = 1").what.startswith(f"mine.toml:{before.count(chr(10)) + 1}: unknown key x")
    assert process_time() - started < 5  # quadratic, it took minutes


@pytest.mark.parametrize(
    "value", ['"a\\"]" # [', "'[' # '", '"""a""""  # [', "'''a''''", "['a', [\n]\n]", "{a = {b = '}'}}"]
)
def test_where_a_value_ends(value: str) -> None:
    from llmchat_tui.toml_edit import key_lines

    lines = key_lines(f"first = {value}\nlast = 1\n")
    assert lines["last",] == 2 + value.count("\n")
