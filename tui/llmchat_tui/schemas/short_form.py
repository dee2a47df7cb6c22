"""The short form of a schema, as simonw/llm has it: `name, age int, bio: one line about them`. Knows JSON schema only.

Fields stand between commas, or on lines of their own, where descriptions may have commas. A field is a name, then its
type, then a colon and a description; `[]` behind a type is a list of it, and text is the type where none is said.
"""

from __future__ import annotations

import re
from typing import Any

from llmchat_tui.errors import UsageError

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_NAME = re.compile(r"[^\W\d][\w-]*")
_HINT = "write it as in: name, age int, tags str[], bio: one line about them"


def schema_of(text: str) -> dict[str, Any]:
    """Returns the JSON schema of an object with these fields, all of them required.

    Raises:
        UsageError: naming the field that cannot be read.
    """
    parts = text.split("\n" if "\n" in text.strip() else ",")
    fields = [_field(part.strip()) for part in parts if part.strip()]
    if not fields:
        raise UsageError("the schema has no fields", "", _HINT)
    names = [name for name, _ in fields]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"the schema has the field {twice} twice", "", _HINT)
    return {"type": "object", "properties": dict(fields), "required": names, "additionalProperties": False}


def _field(text: str) -> tuple[str, dict[str, Any]]:
    """Returns name and schema of one field."""
    head, _, description = text.partition(":")
    words = head.split()
    if not 1 <= len(words) <= 2 or not _NAME.fullmatch(words[0]):
        raise UsageError(f"the schema has a field that cannot be read: {text[:60]!r}", "", _HINT)
    written = words[1] if len(words) == 2 else "str"
    kind = written.removesuffix("[]")
    if kind not in TYPES:
        why = f"it is none of {', '.join(TYPES)}"
        raise UsageError(f"the field {words[0]} has an unknown type {written[:40]!r}", why, _HINT)
    schema: dict[str, Any] = {"type": TYPES[kind]}
    if written != kind:
        schema = {"type": "array", "items": schema}
    return words[0], schema | ({"description": description.strip()} if description.strip() else {})
