"""Worked examples from files: the forms that are known, and the line of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateInvalid, TemplateMissing
from llmchat_tui.templates import shots
from llmchat_tui.templates.shots import read_shots


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8", newline="")
    return path


def test_json_lines(tmp_path: Path) -> None:
    text = '{"input": "a", "output": "b", "reasoning": "so", "more": [1]}\n\n{"question": "c", "answer": 4}\r\n'
    found = read_shots(written(tmp_path, "a.jsonl", text))
    assert found == (Shot("a", "b", "so"), Shot("c", "4"))


def test_the_answers_of_gsm8k_are_cut() -> None:
    line = r'{"question": "How many?", "answer": "3 + 4 = <<3+4=7>>7.\n#### 7"}'
    (shot,) = (shots._shot(Path("a"), 1, record) for _, record in shots._json_lines(Path("a"), line))
    assert shot == Shot("How many?", "7", "3 + 4 = 7.")


def test_tables(tmp_path: Path) -> None:
    text = 'Input,output,reasoning\r\n"a, ""b""","c\nd",so\r\ne,f\r\n\r\ng,h,\r\n'
    found = read_shots(written(tmp_path, "a.csv", text))
    assert found == (Shot('a, "b"', "c\nd", "so"), Shot("e", "f"), Shot("g", "h"))
    assert read_shots(written(tmp_path, "a.TSV", "question\tanswer\na\tb\n")) == (Shot("a", "b"),)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"input": "a", "output": "b"}\n\n{"input": "a"}', ":3: cannot be used — there is no output"),
        ("a.jsonl", '{"output": "a"}', ":1: cannot be used — there is no input"),
        ("a.jsonl", '{"input": "", "output": "b"}', ":1: cannot be used — input is empty"),
        ("a.jsonl", '{"input": ["a"], "output": "b"}', ":1: cannot be used — input is no text"),
        ("a.jsonl", '{"input": true, "output": "b"}', ":1: cannot be used — input is no text"),
        ("a.jsonl", '{"input": "a", "output": "b", "reasoning": 3}', ":1: cannot be used — reasoning is no text"),
        ("a.jsonl", '\n["a", "b"]', ":2: cannot be used — expected a JSON object"),
        ("a.jsonl", "input,output\na,b", ":1: cannot be used — expected a JSON object"),
        ("a.jsonl", "[" * 100_000, ":1: cannot be used — expected a JSON object"),
        ("a.jsonl", "\n", ": cannot be used — there is no example"),
        ("a.csv", "input,output\n", ": cannot be used — there is no example"),
        ("a.csv", 'input,output\na,b\n"c\nd",\n', ":3: cannot be used — output is empty"),
        ("a.csv", "in,out\na,b\n", ":2: cannot be used — there is no input"),
        ("a.csv", 'input,output\na,b\nc,"d', ":3: cannot be used — unexpected end of data"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(TemplateInvalid) as caught:
        read_shots(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shots, "MOST", 2)
    path = written(tmp_path, "a.jsonl", '{"input": "a", "output": "b"}\n' * 3)
    with pytest.raises(TemplateInvalid, match=":3: cannot be used — more than 2 examples"):
        read_shots(path)
    monkeypatch.setattr(shots, "MAX_BYTES", 10)
    with pytest.raises(TemplateInvalid, match="more than 10 bytes"):
        read_shots(path)
    with pytest.raises(TemplateMissing):
        read_shots(tmp_path / "none.jsonl")
