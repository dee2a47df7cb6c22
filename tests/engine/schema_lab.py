"""Random JSON schemas, and a judge of values that is written from the specification alone.

Knows neither grammars nor the converter.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

FORMATS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "time": r"\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
NAMES = ("name", "age", "a b", 'quo"te', "back\\slash", "größe", "日本", "", "$ref", "x/y", "tab\t", "\u2028")
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -3,
    1.5,
    2.0,
    10**12,
    "",
    "yes",
    'a "b" \\',
    "ü\n",
    [1, [2]],
    {"k": None},
    [],
    {},
)


class Maker:
    """Makes schemas out of what is supported, satisfiable ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._names: list[str] = []

    def schema(self) -> dict[str, Any]:
        """Returns one, with definitions that refer to each other, in circles too."""
        chance = self._chance
        self._names = [f"d{n}" for n in range(chance.choice((0, 0, 1, 2)))]
        root = self._any(3)
        if not isinstance(root, dict):
            root = {"anyOf": [root]}
        if self._names:
            root["$defs"] = {name: self._definition() for name in self._names}
        return root

    def _definition(self) -> Any:
        """Returns one that can end without any reference."""
        if self._chance.random() < 0.4:
            return self._leaf()
        return {"anyOf": [{"type": "null"}, self._chance.choice((self._object, self._array))(1)]}

    def _any(self, depth: int) -> Any:
        chance = self._chance
        if depth and chance.random() < 0.65:
            return chance.choice((self._object, self._object, self._array, self._several, self._one_of))(depth - 1)
        if self._names and chance.random() < 0.3:
            return {"$ref": f"#/$defs/{chance.choice(self._names)}"}
        return self._leaf()

    def _leaf(self) -> Any:
        make = self._chance.choice((self._string, self._number, self._integer, self._enum, self._plain))
        return make()

    def _plain(self) -> Any:
        types = ["null", "boolean", "string", "number", "integer", "array", "object"]
        kinds = self._chance.sample(types, self._chance.randint(1, 3))
        return self._chance.choice((True, {}, {"type": kinds}, {"type": kinds[0]}, {"const": None}))

    def _string(self) -> dict[str, Any]:
        chance = self._chance
        if chance.random() < 0.3:
            return {"type": "string", "format": chance.choice(list(FORMATS))}
        found: dict[str, Any] = {"type": "string", "description": "any"}
        least = chance.randint(0, 4)
        if chance.random() < 0.5:
            found["minLength"] = least
        if chance.random() < 0.7:
            found["maxLength"] = least + chance.randint(0, 6)
        return found

    def _integer(self) -> dict[str, Any]:
        return {"type": "integer"} | self._bounds()

    def _number(self) -> dict[str, Any]:
        return {"type": "number"} | self._bounds()

    def _bounds(self) -> dict[str, Any]:
        chance = self._chance
        low = chance.choice((0, 1, -5, 7, 98, 999, -1200, -(10**9)))
        found: dict[str, Any] = {}
        if chance.random() < 0.5:
            found[chance.choice(("minimum", "exclusiveMinimum"))] = low
        if chance.random() < 0.5:
            found[chance.choice(("maximum", "exclusiveMaximum"))] = low + chance.choice((2, 3, 11, 105, 12_345))
        return found

    def _enum(self) -> dict[str, Any]:
        return {"enum": self._chance.sample(VALUES, self._chance.randint(1, 4))}

    def _object(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        names = chance.sample(NAMES, chance.randint(0, 4))
        if not names and chance.random() < 0.7:
            return {"type": "object", "additionalProperties": chance.choice((True, False, self._leaf()))}
        found: dict[str, Any] = {"type": "object", "properties": {name: self._any(depth) for name in names}}
        found["required"] = [name for name in names if chance.random() < 0.6]
        if chance.random() < 0.5:
            found["additionalProperties"] = False
        return found

    def _array(self, depth: int) -> dict[str, Any]:
        found = {"type": "array", "items": self._any(depth)}
        least = self._chance.randint(0, 2)
        if self._chance.random() < 0.5:
            found["minItems"] = least
        if self._chance.random() < 0.7:
            found["maxItems"] = least + self._chance.randint(0, 3)
        return found

    def _several(self, depth: int) -> dict[str, Any]:
        return {"anyOf": [self._any(depth) for _ in range(self._chance.randint(1, 3))]}

    def _one_of(self, depth: int) -> dict[str, Any]:
        def tagged(tag: str) -> dict[str, Any]:
            properties = {"kind": {"const": tag}, "value": self._any(depth)}
            return {"type": "object", "properties": properties, "required": ["kind"]}

        return {"oneOf": [{"type": "boolean"}, tagged("a"), tagged("b"), self._string()]}


def satisfies(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Returns whether a JSON value satisfies a schema."""
    if isinstance(schema, bool):
        return schema
    rules: dict[str, Callable[[Any], bool]] = {
        "$ref": lambda ref: satisfies(value, root["$defs"][ref.removeprefix("#/$defs/")], root),
        "type": lambda types: any(is_a(value, kind) for kind in ([types] if isinstance(types, str) else types)),
        "const": lambda const: same(value, const),
        "enum": lambda values: any(same(value, other) for other in values),
        "anyOf": lambda parts: any(satisfies(value, part, root) for part in parts),
        "allOf": lambda parts: all(satisfies(value, part, root) for part in parts),
        "oneOf": lambda parts: sum(satisfies(value, part, root) for part in parts) == 1,
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "maxLength": lambda most: not isinstance(value, str) or len(value) <= most,
        "format": lambda name: not isinstance(value, str) or bool(re.fullmatch(FORMATS[name], value, re.ASCII)),
        "minimum": lambda low: not is_a(value, "number") or value >= low,
        "exclusiveMinimum": lambda low: not is_a(value, "number") or value > low,
        "maximum": lambda high: not is_a(value, "number") or value <= high,
        "exclusiveMaximum": lambda high: not is_a(value, "number") or value < high,
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "maxItems": lambda most: not isinstance(value, list) or len(value) <= most,
        "items": lambda part: not isinstance(value, list) or all(satisfies(item, part, root) for item in value),
        "required": lambda names: not isinstance(value, dict) or all(name in value for name in names),
        "properties": lambda parts: (
            not isinstance(value, dict)
            or all(satisfies(value[name], part, root) for name, part in parts.items() if name in value)
        ),
        "additionalProperties": lambda part: (
            not isinstance(value, dict)
            or all(satisfies(value[name], part, root) for name in value if name not in schema.get("properties", {}))
        ),
    }
    return all(rules[key](asked) for key, asked in schema.items() if key in rules)


def is_a(value: Any, kind: str) -> bool:
    """Returns whether a value has a JSON type."""
    if isinstance(value, bool) or value is None:
        return kind == ("boolean" if isinstance(value, bool) else "null")
    if isinstance(value, (int, float)):
        return kind == "number" or (kind == "integer" and value == int(value))
    return kind == ("string" if isinstance(value, str) else "array" if isinstance(value, list) else "object")


def same(one: Any, other: Any) -> bool:
    """Returns whether two values are equal as JSON: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        is_a(one, "number") and is_a(other, "number") and one == other
    )


def value_of(data: bytes) -> Any:
    """Returns what a JSON document says, read strictly: no NaN, no lone surrogates, no number beyond a double.

    Raises:
        ValueError: it is no JSON.
    """

    def finite(text: str) -> float:
        if (number := float(text)) in (float("inf"), float("-inf")):
            raise ValueError(text)
        return number

    def never(text: str) -> Any:
        raise ValueError(text)

    value = json.loads(data.decode(), parse_constant=never, parse_float=finite)
    json.dumps(value, ensure_ascii=False).encode()
    return value
