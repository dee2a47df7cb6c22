"""Can a value satisfy two branches of a oneOf? Told by type, by literals, or by a property that tells them apart.

Knows JSON schemas; no grammar. Where it cannot tell it says yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmchat_engine.grammar.schema_source import Source, step
from llmchat_engine.grammar.schema_text import literal

_ALL = frozenset({"object", "array", "string", "number", "boolean", "null"})
_MOST_REFS = 20


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is known of the values of a branch."""

    types: frozenset[str] = _ALL
    literals: frozenset[str] | None = None
    """All of them, where they are listed."""
    members: dict[str, Any] | None = None
    """Where each is an object: the schemas of the properties that each has."""
    place: str = ""


def overlap(source: Source, branches: Sequence[Any], at: str) -> tuple[str, str] | None:
    """Returns the pointers of two branches that one value could satisfy; None where there are none."""
    kinds = [_kind_of(source, branch, step(at, index)) for index, branch in enumerate(branches)]
    for later in range(len(kinds)):
        for earlier in range(later):
            if not _apart(source, kinds[earlier], kinds[later]):
                return step(at, later), step(at, earlier)
    return None


def _apart(source: Source, one: _Kind, other: _Kind) -> bool:
    if not one.types & other.types:
        return True
    if one.literals is not None and other.literals is not None:
        return not one.literals & other.literals
    for name in (one.members or {}).keys() & (other.members or {}).keys():
        assert one.members is not None
        assert other.members is not None
        kinds = [_kind_of(source, kind.members[name], kind.place) for kind in (one, other) if kind.members]
        if all(kind.literals is not None for kind in kinds) and _apart(source, *kinds):
            return True
    return False


def _kind_of(source: Source, schema: Any, at: str) -> _Kind:
    for _ in range(_MOST_REFS):
        if not (isinstance(schema, dict) and isinstance(ref := schema.get("$ref"), str)):
            break
        at = source.canonical(ref, at)
        schema = source.at(at, at)
    if not isinstance(schema, dict):
        return _Kind()
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        return _Kind(frozenset(map(_type_of, values)), frozenset(map(_spelled, values)))
    types = _types(schema)
    properties, required = schema.get("properties"), schema.get("required")
    if types != {"object"} or not isinstance(properties, dict) or not isinstance(required, list):
        return _Kind(types)
    members = {name: properties[name] for name in required if isinstance(name, str) and name in properties}
    return _Kind(types, members=members, place=at)


def _types(schema: dict[str, Any]) -> frozenset[str]:
    asked = schema.get("type")
    names = [asked] if isinstance(asked, str) else asked
    if not isinstance(names, list):
        return _ALL
    return frozenset("number" if name == "integer" else str(name) for name in names)


def _type_of(value: object) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array"}
    return kinds.get(type(value), "null")


def _spelled(value: object) -> str:
    """Returns one text for equal values: 1 and 1.0 are the same in JSON."""
    return literal(int(value) if isinstance(value, float) and value.is_integer() else value)
