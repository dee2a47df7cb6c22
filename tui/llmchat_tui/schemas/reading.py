"""From what a user gives for a schema (JSON, a file, or a short form) to JSON text that the engine can hold a reply to.

Knows no jsonschema: what the engine cannot do is refused by its own grammar room.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llmchat_tui.errors import UsageError
from llmchat_tui.inputs import as_text
from llmchat_tui.schemas.short_form import schema_of

ANY_OBJECT = '{"type":"object"}'
"""Any JSON object."""
_MOST_BYTES = 256 * 1024
"""As much as the engine reads of a schema."""
_EXAMPLE = "--schema 'name, age int, bio'"
_MAPS, _LISTS, _PARTS = ("properties", "$defs", "definitions"), ("anyOf", "oneOf", "allOf"), ("items",)
_DEFINITIONS = ("$defs", "definitions")
_INSIDE = "#/properties/items/items"
"""Where a schema stands in that of a list of them."""


def schema_from(text: str) -> str:
    """Returns a JSON schema as JSON text, checked to be one that replies can be held to.

    Args:
        text: JSON, the path of a file with JSON or a short form in it, or a short form: `name, age int, bio: a line`.

    Raises:
        UsageError: it is none of them.
        RequestInvalid: it asks for what is not supported; `why` has the place.
    """
    from llmchat_engine.grammar import constraint_text

    schema = _as_json(text.strip())
    constraint_text("", schema)
    return schema


def several_of(schema: str) -> str:
    """Returns the schema of an object with a list of what a schema asks for, under `items`."""
    one = json.loads(schema)
    kept = {name: one.pop(name) for name in _DEFINITIONS if isinstance(one, dict) and name in one}
    inside = _moved(one)
    whole = {"type": "object", "properties": {"items": {"type": "array", "items": inside}}, "required": ["items"]}
    return json.dumps(whole | _moved(kept), ensure_ascii=False)


def _as_json(text: str) -> str:
    if (file := None if text.startswith("{") else _file(text)) is not None:
        text = _read(file).strip()
    text = as_text(text)  # behind the look for a file, whose name may be any bytes
    if text.startswith("{"):
        return text
    if not text:
        raise UsageError("the schema is empty", "", _EXAMPLE)
    if len(text.split()) == 1 and ("/" in text or text.endswith(".json")):
        raise UsageError(f"there is no file {text}", "", _EXAMPLE)
    return json.dumps(schema_of(text), ensure_ascii=False)


def _file(text: str) -> Path | None:
    """Returns the file that a text names; a text of several lines names none."""
    if not text or "\n" in text or "\0" in text:
        return None
    path = Path(text).expanduser()
    try:
        return path if path.is_file() else None
    except OSError:  # a name that is too long for one
        return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{path} is too long for a schema", f"at most {_MOST_BYTES:,} bytes are read")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read", error.strerror or "") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} cannot be used as a schema", "it is not UTF-8 text") from error


def _moved(schema: Any) -> Any:
    """Returns a schema whose references to itself hold where it stands in a list; definitions stay at the root."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    for name, value in schema.items():
        if name == "$ref" and isinstance(value, str) and value.startswith("#"):
            found[name] = value if value.startswith(tuple(f"#/{kept}/" for kept in _DEFINITIONS)) else _inside(value)
        elif name in _MAPS and isinstance(value, dict):
            found[name] = {key: _moved(part) for key, part in value.items()}
        elif name in _LISTS and isinstance(value, list):
            found[name] = [_moved(part) for part in value]
        elif name in _PARTS or name == "additionalProperties":
            found[name] = _moved(value)
    return found


def _inside(pointer: str) -> str:
    return _INSIDE + pointer.removeprefix("#").rstrip("/")
