"""A JSON schema to GBNF: whatever a model writes under the grammar is JSON that the schema allows.

Not the other way round: of what the schema allows, some is never written. Properties come in the schema's order, no
others are added where some are named; no 29th of February; texts and lists end at 2,000 where they may be longer.

What is read: true, false; type (one or several), enum, const, anyOf, oneOf (where no value can fit two), allOf of one,
$ref within the schema with $defs, also in circles; properties, required, additionalProperties; items, minItems,
maxItems; minLength, maxLength, format (date, time, date-time, uuid); minimum, maximum, exclusiveMinimum,
exclusiveMaximum (of numbers: whole ones). Everything else is refused with its JSON pointer; titles, descriptions,
defaults and examples are passed over. Knows no models.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NoReturn

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.grammar.checks import check_rules, endless
from llmchat_engine.grammar.gbnf import MOST_REPETITIONS, parse
from llmchat_engine.grammar.growth import check_growth
from llmchat_engine.grammar.schema_oneof import overlap
from llmchat_engine.grammar.schema_source import Source, step
from llmchat_engine.grammar.schema_text import (
    CHAR,
    FORMATS,
    INTEGER,
    NUMBER,
    SPACE,
    Bounds,
    bounded_integer,
    bounded_number,
    literal,
    quoted,
)

MOST_OPTIONAL = 200
"""Optional properties of one object: each is one more reading that is open behind a comma."""
_ALIKE = 8
"""Characters within which alternatives should part: no token holds many more brackets, and 48 would refuse lists of
values that two branches of an anyOf allow."""
_NOTES = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
_DEFINITIONS = {"$defs", "definitions"}
_WHOLE = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""Each says all about a value; only `type` may stand beside a const or an enum."""
_OF_TYPE = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems", "uniqueItems"),
    "string": ("minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "boolean": (),
    "null": (),
}
_KNOWN = _NOTES | _DEFINITIONS | {"type", *_WHOLE, *(key for keys in _OF_TYPE.values() for key in keys)}
_JSON = {
    "value": "object | array | string | number | boolean | null",
    "object": '"{" space (member more-members* space)? "}"',
    "member": 'string space ":" space value',
    "more-members": 'space "," space member',
    "array": '"[" space (value more-values* space)? "]"',
    "more-values": 'space "," space value',
    "string": '"\\"" char* "\\""',
    "char": CHAR,
    "number": NUMBER,
    "integer": INTEGER,
    "boolean": '"true" | "false"',
    "null": '"null"',
    "space": SPACE,
}


def schema_to_gbnf(text: str) -> str:
    """Returns a grammar of JSON that satisfies a schema; its rule root is the whole document.

    Args:
        text: The schema, as JSON.

    Raises:
        RequestInvalid: it is no JSON, or holds what is not supported; `why` has the place.
    """
    source = Source.read(text)
    converter = _Converter(source)
    gbnf = converter.grammar()
    try:
        grammar = parse(gbnf)
    except RequestInvalid as error:
        hint = "make lists and texts shorter, or objects smaller"
        raise RequestInvalid("the schema cannot be used", "it stands for too large a grammar", hint) from error
    for name in endless(grammar):
        if name in converter.origins:
            source.refuse(converter.origins[name], "nothing finite satisfies it: it always holds another of itself")
    try:
        check_rules(grammar)
        check_growth(grammar, _ALIKE)
    except RequestInvalid as error:
        hint = "have the branches of anyOf begin with a property of their own"
        raise RequestInvalid("the schema cannot be used", "too many of its alternatives begin alike", hint) from error
    return gbnf


class _Converter:
    """One schema on its way; a rule for each part, equal ones shared."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._refs: dict[str, str] = {}
        self._bare: dict[str, set[str]] = {}
        """Of each $ref's target: the targets that it is nothing but."""
        self._waiting: deque[tuple[str, str]] = deque()
        self.origins: dict[str, str] = {}
        """Of the rules that targets became: their pointers."""

    def grammar(self) -> str:
        """Converts everything that can be reached."""
        root = self._value(self._source.schema, "#", "")
        while self._waiting:
            name, pointer = self._waiting.popleft()
            self._rules[name] = self._value(self._source.at(pointer, pointer), pointer, name)
        self._refuse_bare_circles()
        rules = {"root": root, **self._rules}
        needed = {**rules, **{name: body for name, body in _JSON.items() if name not in rules}}
        return "".join(f"{name} ::= {body}\n" for name, body in needed.items())

    def _rule(self, body: str) -> str:
        """Returns the name of a rule with this body."""
        if body in _JSON:
            return body
        if body not in self._names:
            self._names[body] = f"r{len(self._rules)}"
            self._rules[self._names[body]] = body
        return self._names[body]

    def _no(self, pointer: str, why: str, hint: str = "") -> NoReturn:
        self._source.refuse(pointer, why, hint)

    def _value(self, schema: Any, at: str, within: str) -> str:
        """Returns the right side of a rule for a value.

        Args:
            schema: what it must satisfy.
            at: its JSON pointer.
            within: the rule of the $ref target that this is the whole of; empty inside an object or a list.
        """
        if schema is True:
            return "value"
        if not isinstance(schema, dict):
            self._no(at, "nothing satisfies false" if schema is False else "a schema is an object, true or false")
        for key in schema:
            if key not in _KNOWN and not (key == "$id" and at == "#"):
                self._no(step(at, key), "this keyword is not supported", "leave it out, and check the answer for it")
        whole = [key for key in _WHOLE if key in schema]
        if not whole:
            return self._typed(schema, at)
        beside = set(schema) - _NOTES - _DEFINITIONS - {"$id", whole[0]}
        if whole[0] in ("const", "enum"):
            beside -= {"type"}
        if beside:
            self._no(step(at, min(beside)), f"this keyword is not supported beside {whole[0]}")
        return self._whole(schema, whole[0], at, within)

    def _whole(self, schema: dict[str, Any], key: str, at: str, within: str) -> str:
        if key == "$ref":
            return self._ref(schema["$ref"], step(at, "$ref"), within)
        if key in ("const", "enum"):
            return self._enum(schema, key, at)
        branches = schema[key]
        if not isinstance(branches, list) or not branches:
            self._no(step(at, key), "it must be a list of schemas")
        if key == "allOf" and len(branches) > 1:
            self._no(step(at, key), "allOf of several schemas is not supported", "write them as one")
        if key == "oneOf" and (pair := overlap(self._source, branches, step(at, key))):
            why = f"a value could satisfy this and {pair[1]}, and exactly one is allowed"
            self._no(pair[0], why, "use anyOf, or give each branch a property with a const of its own")
        bodies = [self._value(branch, step(at, key, index), within) for index, branch in enumerate(branches)]
        return " | ".join(bodies)

    def _ref(self, ref: object, at: str, within: str) -> str:
        if not isinstance(ref, str) or not ref.startswith("#"):
            self._no(at, "only references within the schema are supported, like #/$defs/name")
        pointer = self._source.canonical(ref, at)
        if pointer not in self._refs:
            self._refs[pointer] = name = f"ref{len(self._refs)}"
            self.origins[name] = pointer
            self._rules[name] = ""
            self._waiting.append((name, pointer))
        if within:
            self._bare.setdefault(within, set()).add(self._refs[pointer])
        return self._refs[pointer]

    def _refuse_bare_circles(self) -> None:
        for start in self._bare:
            seen, todo = set[str](), [start]
            while todo:
                for target in self._bare.get(todo.pop(), set()) - seen:
                    seen.add(target)
                    todo.append(target)
            if start in seen:
                self._no(self.origins[start], "it refers to itself with nothing in between")

    def _enum(self, schema: dict[str, Any], key: str, at: str) -> str:
        values = [schema["const"]] if key == "const" else schema["enum"]
        if not isinstance(values, list):
            self._no(step(at, key), "it must be a list")
        types = self._types(schema, at) if "type" in schema else None
        fitting = [value for value in values if types is None or _is_of(value, types)]
        if not fitting:
            self._no(step(at, key), "nothing satisfies it")
        return " | ".join(dict.fromkeys(quoted(literal(value)) for value in fitting))

    def _types(self, schema: dict[str, Any], at: str) -> list[str]:
        asked = schema["type"]
        types = asked if isinstance(asked, list) else [asked]
        if not types or any(not isinstance(name, str) or name not in _OF_TYPE for name in types):
            self._no(step(at, "type"), f"it must be one of {', '.join(_OF_TYPE)}, or several of them in a list")
        return types

    def _typed(self, schema: dict[str, Any], at: str) -> str:
        if "type" in schema:
            types = self._types(schema, at)
        else:
            types = [
                name for name, keys in _OF_TYPE.items() if name != "integer" and any(key in schema for key in keys)
            ]
        makers = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": self._number,
            "integer": self._number,
        }
        bodies = [makers[name](schema, at, name) if name in makers else name for name in types]
        return " | ".join(bodies) or "value"

    def _object(self, schema: dict[str, Any], at: str, _type: str) -> str:
        properties = self._mapping(schema, "properties", at)
        required = schema.get("required", [])
        if not isinstance(required, list) or any(not isinstance(name, str) for name in required):
            self._no(step(at, "required"), "it must be a list of names")
        others, place = schema.get("additionalProperties", True), step(at, "additionalProperties")
        members = {name: (part, step(at, "properties", name)) for name, part in properties.items()}
        for name in required:
            if name not in members and others is False:
                self._no(step(at, "required"), f"{name} is required, and no property may have that name")
            members.setdefault(name, (others, place))
        members = {name: part for name, part in members.items() if part[0] is not False or name in required}
        if members:
            return self._members(members, set(required), at)
        if others is False:
            return '"{" space "}"'
        if others is True:
            return "object"
        member = self._rule(f'string space ":" space {self._part(others, place)}')
        return f'"{{" space ({member} (space "," space {member})* space)? "}}"'

    def _mapping(self, schema: dict[str, Any], key: str, at: str) -> dict[str, Any]:
        found = schema.get(key, {})
        if not isinstance(found, dict):
            self._no(step(at, key), "it must be an object")
        return found

    def _members(self, members: dict[str, tuple[Any, str]], required: set[str], at: str) -> str:
        """Returns an object with these members in this order, the required ones always."""
        if len(members.keys() - required) > MOST_OPTIONAL:
            self._no(at, f"it has more than {MOST_OPTIONAL} optional properties", "make some of them required")
        first = later = '""'  # what can follow behind "{" with nothing written yet, and behind a member
        for name, (part, place) in reversed(members.items()):
            member = self._rule(f'{quoted(literal(name))} space ":" space {self._part(part, place)}')
            begun, followed = f"{member} {later}", f'space "," space {member} {later}'
            if name in required:
                first, later = self._rule(begun), self._rule(followed)
            else:
                first, later = self._rule(f"{begun} | {first}"), self._rule(f"{followed} | {later}")
        return f'"{{" space {first} space "}}"'

    def _part(self, schema: Any, at: str) -> str:
        """Returns the rule of a value inside an object or a list."""
        return self._rule(self._value(schema, at, ""))

    def _count(self, schema: dict[str, Any], key: str, at: str) -> int | None:
        found = schema.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, (int, float)) or found != int(found) or found < 0:
            self._no(step(at, key), "it must be a whole number, not below 0")
        return int(found)

    def _length(self, schema: dict[str, Any], unit: str, at: str) -> tuple[int, int | None]:
        least, most = self._count(schema, f"min{unit}", at) or 0, self._count(schema, f"max{unit}", at)
        if most is not None and most < least:
            self._no(step(at, f"max{unit}"), f"nothing satisfies it: min{unit} is {least}")
        if least > MOST_REPETITIONS:
            self._no(step(at, f"min{unit}"), f"more than {MOST_REPETITIONS:,} is not supported")
        return least, None if most is None else min(most, MOST_REPETITIONS)

    def _array(self, schema: dict[str, Any], at: str, _type: str) -> str:
        least, most = self._length(schema, "Items", at)
        if schema.get("uniqueItems", False) is not False:
            self._no(step(at, "uniqueItems"), "this keyword is not supported")
        items = schema.get("items", True)
        if most == 0 or (items is False and least == 0):
            return '"[" space "]"'
        item = self._part(items, step(at, "items"))
        more = self._rule(f'space "," space {item}')
        upper = "" if most is None else most - 1
        filled = f"{item} {more}{{{max(0, least - 1)},{upper}}} space"
        return f'"[" space {filled} "]"' if least else f'"[" space ({filled})? "]"'

    def _string(self, schema: dict[str, Any], at: str, _type: str) -> str:
        bounded = [key for key in ("minLength", "maxLength") if key in schema]
        if "format" in schema:
            if schema["format"] not in FORMATS:
                self._no(step(at, "format"), f"only {', '.join(FORMATS)} are supported")
            if bounded:
                self._no(step(at, bounded[0]), "this keyword is not supported beside format")
            return f'"\\"" {self._rule(FORMATS[schema["format"]])} "\\""'
        if not bounded:
            return "string"
        least, most = self._length(schema, "Length", at)
        return f'"\\"" char{{{least},{"" if most is None else most}}} "\\""'

    def _number(self, schema: dict[str, Any], at: str, kind: str) -> str:
        if not any(key in schema for key in _OF_TYPE["number"]):
            return kind
        bounds = self._bounds(schema, at, whole=kind == "number")
        body = bounded_integer(bounds) if kind == "integer" else bounded_number(bounds)
        if not body:
            self._no(at, "no number lies within its bounds")
        return self._rule(body)

    def _bounds(self, schema: dict[str, Any], at: str, *, whole: bool) -> Bounds:
        """Returns the narrower of each pair of bounds.

        Args:
            schema: it has one at least.
            at: its pointer.
            whole: whether a bound with a fraction is refused; an integer's is rounded inwards.
        """
        low = self._bound(schema, ("minimum", "exclusiveMinimum"), at, 1, whole=whole)
        high = self._bound(schema, ("maximum", "exclusiveMaximum"), at, -1, whole=whole)
        return Bounds(low and low[0], high and high[0], bool(low and low[1]), bool(high and high[1]))

    def _bound(
        self, schema: dict[str, Any], keys: tuple[str, str], at: str, sign: int, *, whole: bool
    ) -> tuple[int, bool] | None:
        found: list[tuple[int, bool]] = []
        for key, excluded in zip(keys, (False, True), strict=True):
            if key not in schema:
                continue
            value = schema[key]
            if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 10**15:
                self._no(step(at, key), "it must be a number of at most 15 digits")
            if value != int(value) and whole:
                self._no(step(at, key), "only whole numbers are supported as bounds of a number")
            inwards = int(value) + (sign if (value - int(value)) * sign > 0 else 0)
            found.append((inwards, excluded and value == int(value)))
        return max(found, key=lambda bound: (sign * bound[0], bound[1]), default=None)


def _is_of(value: object, types: list[str]) -> bool:
    """Returns whether a value has one of the types."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    kind = kinds.get(type(value), "null")
    whole = kind == "integer" or (isinstance(value, float) and value.is_integer())
    return kind in types or ("number" in types and kind == "integer") or ("integer" in types and whole)
