"""A JSON schema as it was read: places in it by JSON pointer, and how it is refused.

Knows JSON; no keywords and no grammar.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from llmchat_engine.errors import RequestInvalid

MOST_TEXT = 256 * 1024
MOST_DEPTH = 60
"""Objects and lists in one another; the converter follows them by recursion."""


def step(pointer: str, *parts: str | int) -> str:
    """Returns the pointer of something inside."""
    return "/".join([pointer, *(str(part).replace("~", "~0").replace("/", "~1") for part in parts)])


@dataclass(frozen=True, slots=True)
class Source:
    """A whole schema."""

    schema: Any

    @classmethod
    def read(cls, text: str) -> Source:
        """Reads it.

        Raises:
            RequestInvalid: it is no JSON, or too big.
        """
        if len(text) > MOST_TEXT:
            cls(None).refuse("#", f"it has {len(text):,} characters, at most {MOST_TEXT:,} are read")
        try:
            schema = json.loads(text, parse_constant=_no_number)
        except json.JSONDecodeError as error:
            why = f"line {error.lineno}, column {error.colno}: it is no JSON: {error.msg}"
            raise RequestInvalid("the schema cannot be used", why) from error
        except (RecursionError, ValueError) as error:
            raise RequestInvalid("the schema cannot be used", f"it is no JSON that can be read: {error}") from error
        source = cls(schema)
        source._check_depth()
        return source

    def refuse(self, pointer: str, why: str, hint: str = "") -> NoReturn:
        """Raises what is wrong at a place.

        Raises:
            RequestInvalid: always.
        """
        raise RequestInvalid("the schema cannot be used", f"at {pointer}: {why}", hint)

    def canonical(self, ref: str, at: str) -> str:
        """Returns the pointer that a $ref at some place means, always in the same spelling, after looking it up."""
        pointer = unquote(ref).rstrip("/") if ref in ("#", "#/") else unquote(ref)
        if pointer != "#" and not pointer.startswith("#/"):
            self.refuse(at, "only references within the schema are supported, like #/$defs/name")
        self.at(pointer, at)
        return pointer

    def at(self, pointer: str, asked: str) -> Any:
        """Returns what a pointer points at.

        Raises:
            RequestInvalid: there is nothing; `why` names the place that asked for it.
        """
        found = self.schema
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                self.refuse(asked, f"there is no {pointer} in the schema")
        return found

    def _check_depth(self) -> None:
        level, depth = [("#", self.schema)], 0
        while level:
            inside = []
            for pointer, value in level:
                if isinstance(value, dict):
                    inside += [(step(pointer, key), part) for key, part in value.items()]
                elif isinstance(value, list):
                    inside += [(step(pointer, index), part) for index, part in enumerate(value)]
            level, depth = inside, depth + 1
            if level and depth > MOST_DEPTH:
                self.refuse(level[0][0], f"it is nested deeper than {MOST_DEPTH}")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
