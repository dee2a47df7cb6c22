"""Every key of a template's file: its type, its range and what it is for.

Knows no file; reading.py holds a file against this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from llmchat_engine import Thinking
from llmchat_engine.prompting.chain_of_thought import Cot
from llmchat_tui.recipe import MOST_TOKENS, MOST_VOTES
from llmchat_tui.templates.faults import Fault, spoken, unknown
from llmchat_tui.templates.values import ShotsBy
from llmchat_tui.toml_edit import toml_value

_QUOTED = re.compile(r"`([^`]*)`")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_Shots = str | list[dict[str, Any]]
_Choices = str | list[str]
_Schema = str | dict[str, Any]
_Votes = Annotated[int, Meta(ge=0, le=MOST_VOTES)]
_Count = Annotated[int, Meta(ge=0, le=1_000)]
_Budget = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]

KINDS: Mapping[str, Any] = {
    "description": str,
    "system": str,
    "user": str,
    "params": dict[str, Any],
    "shots": _Shots,
    "num_shots": _Count,
    "shots_by": ShotsBy,
    "cot": Cot,
    "votes": _Votes,
    "think": Thinking,
    "think_budget": _Budget,
    "keep_thoughts": bool,
    "schema": _Schema,
    "grammar": str,
    "choices": _Choices,
    "format": Literal["json"],
    "sampling": dict[str, Any],
    "documents": dict[str, Any],
}
"""The keys at the top of the file."""
SHOT_KINDS: Mapping[str, Any] = {"input": str, "output": str, "reasoning": str, "whole": bool}
DOCUMENT_KINDS: Mapping[str, Any] = {
    "collections": list[str],
    "k": Annotated[int, Meta(ge=1, le=100)],
    "cite": bool,
}


def checked(table: str, values: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of one table, each in its type and range.

    Args:
        table: its dotted name; empty for the top of the file.
        values: what stands in it.
        kinds: the keys that may.

    Raises:
        Fault: a key is unknown, or its value is wrong.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{table}.{name}" if table else name
        if name not in kinds:
            raise unknown(key, kinds)
        try:
            found[name] = msgspec.convert(value, kinds[name])
        except msgspec.ValidationError as error:
            raise Fault(key, f"{spoken(key)} cannot be {_short(value)}", _why(str(error), kinds[name])) from error
    return found


def _short(value: object) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return toml_value(value) if isinstance(value, bool) else repr(value)[:40]


def _why(message: str, kind: Any) -> str:
    """Returns msgspec's sentence for a reader who knows no Python."""
    if get_origin(kind) is Literal:
        return "it is none of " + ", ".join(map(str, get_args(kind)))
    words, _, place = message.partition(" - at ")
    words = _QUOTED.sub(lambda found: " or ".join(_WORDS.get(w, w) for w in found[1].split(" | ")), words)
    at = place.strip("`").removeprefix("$").lstrip(".")
    return words[:1].lower() + words[1:] + (f", in {at}" if at and not at.startswith("[...]") else "")
