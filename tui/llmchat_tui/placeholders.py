"""`$name` in a text: which names there are, and what stands in their place.

`$name` and `${name}` are places, `$$` is a dollar sign, and a dollar sign before anything else is itself. What is put
in is never read again, so a question about `$input` stays what it is. Knows no template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_DOLLAR = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<braced>{_NAME})\}}|)")
_IS_NAME = re.compile(_NAME)


def is_name(text: str) -> bool:
    """Returns whether a text can be the name of a place."""
    return bool(_IS_NAME.fullmatch(text))


def names_in(text: str) -> tuple[str, ...]:
    """Returns the names of the places in a text, each once, in order."""
    found = (_name(match) for match in _DOLLAR.finditer(text))
    return tuple(dict.fromkeys(filter(None, found)))


def escaped(text: str) -> str:
    """Returns a text as it is written where dollar signs mean places."""
    return text.replace("$", "$$")


def spelled_out(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with its places filled in; one without a value stays as it is written."""
    return _DOLLAR.sub(lambda match: "$" if match["dollar"] else values.get(_name(match), match[0]), text)


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with some of its places filled in, in which the others are still places."""

    def put(match: re.Match[str]) -> str:
        name = _name(match)
        if not name:
            return "$$"
        if name in values:
            return escaped(values[name])
        following = _DOLLAR.match(text, match.end())
        # In braces where the name would go on with what is put in behind it.
        return f"${{{name}}}" if following and _name(following) in values else match[0]

    return _DOLLAR.sub(put, text)


def _name(match: re.Match[str]) -> str:
    return match["plain"] or match["braced"] or ""


def parameter_of(written: str) -> str:
    """Returns the parameter that a value is left to, as in `schema = "$fields"`; empty where it is not."""
    name = (names_in(written) or ("",))[0]
    return name if name and written.strip() in (f"${name}", f"${{{name}}}") else ""
