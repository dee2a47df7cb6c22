"""Worked examples from a file: JSON lines, CSV or TSV. Knows no template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import TemplateInvalid
from llmchat_tui.templates.files import read_file

MAX_BYTES = 16 << 20
MOST = 10_000
"""Examples in one file; a context of 8,192 tokens has room for a hundred short ones."""
_INPUTS = ("input", "question", "prompt")
_OUTPUTS = ("output", "answer", "completion")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_STEPS_END = "\n#### "
"""What GSM8K writes between the steps of an answer and its result."""
_CALCULATION = re.compile(r"<<[^<>\n]*>>")
"""What it writes for a calculator, which a model would only copy."""


def read_shots(path: Path) -> tuple[Shot, ...]:
    """Returns the examples of a file, in its order.

    Args:
        path: .csv or .tsv with a header, else JSON lines. The columns are `input`, `output` and `reasoning`; `question`
            and `answer` are taken too, and an answer of GSM8K is cut into reasoning and output.

    Raises:
        TemplateMissing: there is no such file.
        TemplateInvalid: it cannot be read; names the line.
    """
    text = read_file(path, MAX_BYTES)
    separator = _SEPARATORS.get(path.suffix.lower())
    records = _json_lines(path, text) if separator is None else _table(path, text, separator)
    shots: list[Shot] = []
    for line, record in records:
        if len(shots) == MOST:
            raise _wrong(path, line, f"more than {MOST:,} examples")
        shots.append(_shot(path, line, record))
    if not shots:
        raise TemplateInvalid(f"{path}: cannot be used", "there is no example in it", f"edit {path}")
    return tuple(shots)


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise _wrong(path, number, 'expected a JSON object, as in {"input": "…", "output": "…"}') from error


def _table(path: Path, text: str, separator: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import csv  # where there is a table

    rows = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    line = 1
    header: list[str] = []
    try:
        for row in rows:
            if not header:
                header = [name.strip().lower() for name in row]
            elif row:
                yield line, dict(zip(header, row, strict=False))
            line = rows.line_num + 1
    except csv.Error as error:
        raise _wrong(path, line, str(error)) from error


def _shot(path: Path, line: int, record: Mapping[str, Any]) -> Shot:
    given, output = (_first(path, line, record, names) for names in (_INPUTS, _OUTPUTS))
    reasoning = record.get("reasoning") or ""
    if not isinstance(reasoning, str):
        raise _wrong(path, line, "reasoning is no text")
    if not reasoning and _STEPS_END in output:
        reasoning, _, output = output.rpartition(_STEPS_END)
        reasoning = _CALCULATION.sub("", reasoning)
    return Shot(given, output.strip(), reasoning)


def _first(path: Path, line: int, record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Returns the text under one of several names; a number counts as text, as in `"answer": 42`."""
    name = next((name for name in names if record.get(name) is not None), "")
    if not name:
        raise _wrong(path, line, f"there is no {names[0]}")
    value = record[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(path, line, f"{name} is empty" if value == "" or isinstance(value, str) else f"{name} is no text")
    return value


def _wrong(path: Path, line: int, why: str) -> TemplateInvalid:
    return TemplateInvalid(f"{path}:{line}: cannot be used", why, f"edit {path}")
