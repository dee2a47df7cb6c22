"""Sets of questions from JSON lines; what is wrong in one names its file and line. Those that come along, by name.

Knows what a line may hold; nothing of models and replies.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

from llmchat_engine import RequestInvalid
from llmchat_engine.prompting.answers_key import plain_signs
from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import InputError, UsageError
from llmchat_tui.evaluation.items import KINDS, LETTERS, Item, Kind
from llmchat_tui.inputs import Limits, read_text
from llmchat_tui.schemas.checking import why_invalid
from llmchat_tui.schemas.short_form import schema_of

MAX_MEBIBYTES = 64
"""Of a set: GSM8K's test questions have 0.7, and all are held in memory."""
NUMBER = re.compile(r"\s*[-+]?\$?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)[ ]?%?\s*")
"""An answer that is a number and nothing else; no fraction, which may be a date."""
_CALCULATOR = re.compile(r"<<[^>]*>>")
"""GSM8K's notes for a calculator: nobody says them."""
_HIGHEST = sys.float_info.max
_EXTENSION = ".jsonl"
_SETS = Path(__file__).with_name("sets")


def built_in() -> tuple[str, ...]:
    """Returns the names of the sets that come along."""
    names = (path.stem for path in _SETS.glob(f"*{_EXTENSION}"))
    return tuple(sorted(name for name in names if not name.endswith("-shots")))


def find_set(name: str) -> Path:
    """Returns the file of a set: a path, or the name of one that comes along.

    Raises:
        UsageError: it is neither.
    """
    path = Path(name)
    if path.is_file() or "/" in name or name.endswith(_EXTENSION):
        return path
    if name in built_in():
        return _SETS / f"{name}{_EXTENSION}"
    known = ", ".join(built_in())
    why = f"no file is called so; those that come along: {known}"
    raise UsageError(f"there is no set {name}", why, f"llmchat eval FILE.jsonl, or llmchat eval {built_in()[0]}")


def beside(path: Path) -> Path:
    """Returns where the worked examples of a set are looked for: SET-shots.jsonl beside SET.jsonl."""
    return path.with_name(f"{path.stem}-shots{_EXTENSION}")


def read_examples(path: Path) -> tuple[Shot, ...]:
    """Returns worked examples: lines as in a set, asked in the same words, or a table with `input` and `output`.

    Raises:
        InputError: a line cannot be used; it names the line.
        TemplateInvalid: the same, of a table.
        UsageError: the file cannot be read.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        from llmchat_tui.templates.shots import read_shots

        return read_shots(path)
    items = read_items(path)
    if wordless := next((item for item in items if not item.answers), None):
        raise InputError(f"{path.name}: the example {wordless.id} has no answer", "", 'add "answer" to its line')
    return tuple(item.as_shot() for item in items)


def read_items(path: Path) -> tuple[Item, ...]:
    """Returns the questions of a file.

    Raises:
        InputError: a line is no question, two have one id, or there is none; it names the line.
        UsageError: the file cannot be read.
    """
    items: dict[str, Item] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if line.strip():
            item = _Line(path, number).item(line)
            if item.id in items:
                raise InputError(f"{path.name}:{number}: the id {item.id!r} is there twice")
            items[item.id] = item
    if not items:
        raise InputError(f"{path.name} holds no question", "each line is one JSON object", "llmchat eval --help")
    return tuple(items.values())


def _text(path: Path) -> str:
    try:
        return read_text(path, Limits(MAX_MEBIBYTES), lambda _text: None)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", error.strerror or "", "llmchat eval --help") from error


class _Line:
    """One line on its way to an item."""

    def __init__(self, path: Path, number: int) -> None:
        self._place, self._number = f"{path.name}:{number}", number

    def item(self, line: str) -> Item:
        try:
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode()  # half a character can be neither asked nor written down
        except (ValueError, RecursionError) as error:
            why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise InputError(f"{self._place} is no JSON", why, "each line is one JSON object") from error
        if not isinstance(value, dict):
            self._refuse("it is no JSON object")
        kind = self._kind(value)
        bare = Item(str(value.get("id", self._number)), kind, self._question(value), reasoning=self._reasoning(value))
        return replace(bare, **_PARTS[kind](self, value))

    def _kind(self, value: Mapping[str, Any]) -> Kind:
        given = value.get("kind")
        if given is None:
            return _inferred(value)
        found = next((kind for kind in KINDS if kind == given), None)
        return found or self._refuse(f"the kind {given!r} is unknown; known are {', '.join(KINDS)}")

    def _question(self, value: Mapping[str, Any]) -> str:
        text = value.get("question", value.get("input"))
        return text if isinstance(text, str) and text.strip() else self._refuse('"question" is no text, or missing')

    def _reasoning(self, value: Mapping[str, Any]) -> str:
        given, answer = value.get("reasoning"), value.get("answer")
        if isinstance(given, str):
            return given
        steps = answer.rpartition("####")[0] if isinstance(answer, str) and _is_number(answer) else ""
        return _CALCULATOR.sub("", steps).strip()

    def _texts(self, value: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns the accepted answers."""
        answer = value.get("answer", value.get("output"))
        texts = answer if isinstance(answer, list) else [answer]
        if not texts or not all(_is_scalar(text) for text in texts):
            self._refuse('"answer" is no text, no number and no list of them, or missing')
        return tuple(_as_text(text).strip() for text in texts)

    def texts(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item of texts has."""
        if not all(texts := self._texts(value)):
            self._refuse('"answer" is empty')
        return {"answers": texts}

    def number(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item of a number has."""
        tolerance = value.get("tolerance", 0)
        texts = tuple(_behind_steps(text) for text in self._texts(value))
        if wrong := next((text for text in texts if not _is_number(text)), None):
            self._refuse(f"the answer {wrong!r} is no number")
        if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance <= _HIGHEST:
            self._refuse('"tolerance" is no number from 0 on')
        return {"answers": texts, "tolerance": float(tolerance)}

    def choice(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item of options has."""
        choices = value.get("choices")
        if not isinstance(choices, list) or not all(isinstance(text, str) and text.strip() for text in choices):
            self._refuse('"choices" is no list of texts')
        if not 2 <= len(choices) <= len(LETTERS):
            self._refuse(f"there are {len(choices)} choices, and from 2 to {len(LETTERS)} can be told apart")
        place = _place_of(value.get("answer", value.get("output")), choices)
        if place is None:
            self._refuse('"answer" is no option: an index from 0 on, a letter, or the text of one')
        return {"choices": tuple(choices), "answers": (LETTERS[place],)}

    def regex(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item of a pattern has; its answer is what an example says."""
        pattern = value.get("regex")
        if not isinstance(pattern, str):
            self._refuse('"regex" is no text')
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            self._refuse(f'"regex" is no regular expression: {error}')
        return {"pattern": pattern, "answers": self._texts(value) if "answer" in value else ()}

    def schema(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item of JSON has; its schema may be in the short form, `name, age int`."""
        given = value["schema"] if "schema" in value else self._refuse('"schema" is missing')
        text = json.dumps(self._checked(given), ensure_ascii=False)
        answers = (json.dumps(value["answer"], ensure_ascii=False),) if "answer" in value else ()
        if answers and (why := why_invalid(text, answers[0])):
            self._refuse(f'"answer" does not satisfy the schema: {why}')
        return {"schema": text, "answers": answers}

    def _checked(self, given: object) -> object:
        """Returns a schema that answers can be held to and judged by."""
        from jsonschema import Draft202012Validator, SchemaError  # 90 ms, which other sets need not wait for

        from llmchat_engine.grammar import constraint_text

        try:
            schema = schema_of(given) if isinstance(given, str) else given
            Draft202012Validator.check_schema(schema)
            constraint_text("", json.dumps(schema))
        except SchemaError as error:
            self._refuse(f'"schema" is no JSON schema: {error.message}')
        except UsageError as error:
            self._refuse(error.what)
        except RequestInvalid as error:
            self._refuse(f'"schema" cannot be followed: {error.why or error.what}')
        return schema

    def nothing(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an item has whose right answer nobody knows."""
        del value
        return {}

    def _refuse(self, why: str) -> NoReturn:
        raise InputError(f"{self._place} is no question of a set", why, "llmchat eval --help")


_PARTS: Mapping[Kind, Callable[[_Line, Mapping[str, Any]], dict[str, Any]]] = {
    "number": _Line.number,
    "exact": _Line.texts,
    "contains": _Line.texts,
    "choice": _Line.choice,
    "regex": _Line.regex,
    "schema": _Line.schema,
    "none": _Line.nothing,
}


def _inferred(value: Mapping[str, Any]) -> Kind:
    """Returns what kind a line is that does not say it."""
    for name, kind in _NAMED:
        if name in value:
            return kind
    answer = value.get("answer", value.get("output"))
    if answer is None and "rejected" in value:
        return "none"
    texts = answer if isinstance(answer, list) else [answer]
    numbers = bool(texts) and all(_is_number(text) for text in texts)
    return "number" if numbers else "exact"


_NAMED: tuple[tuple[str, Kind], ...] = (
    ("choices", "choice"),
    ("regex", "regex"),
    ("schema", "schema"),
    ("tolerance", "number"),
)


def _is_scalar(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _as_text(value: object) -> str:
    """Returns a scalar as people write it: 0.00001, not 1e-05."""
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return _is_scalar(value) and bool(NUMBER.fullmatch(plain_signs(_behind_steps(_as_text(value)))))


def _behind_steps(text: str) -> str:
    """Returns what stands behind the steps of GSM8K's format; of other texts hashes are headings."""
    return text.rpartition("####")[2].strip()


def _place_of(answer: object, choices: Sequence[str]) -> int | None:
    """Returns the place of an option that is named by its index, its text or its letter."""
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int):
        return answer if 0 <= answer < len(choices) else None
    if not isinstance(answer, str):
        return None
    if answer in choices:
        return choices.index(answer)
    letter = answer.strip().upper()
    place = LETTERS.find(letter) if len(letter) == 1 else -1
    return place if 0 <= place < len(choices) else None
