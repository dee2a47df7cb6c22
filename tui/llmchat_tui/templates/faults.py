"""What is wrong with a template, and the line that it stands on.

Knows TOML's statements and no key by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmchat_tui.errors import TemplateInvalid
from llmchat_tui.toml_edit import statements


class Fault(Exception):
    """A value of a template that cannot be used; becomes a `TemplateInvalid` where file and line are known."""

    def __init__(self, key: str, what: str, why: str = "") -> None:
        super().__init__(f"{key}: {what}")
        self.key = key
        """Dotted; the third example's input is `shots.3.input`."""
        self.what = what
        self.why = why


def unknown(key: str, known: Iterable[str]) -> Fault:
    """Returns the fault of a key that does not exist, with the nearest that does."""
    import difflib

    above, _, name = key.rpartition(".")
    near = difflib.get_close_matches(name, list(known), 1)
    why = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return Fault(key, f"unknown key {name}" + (f" in {spoken(above)}" if above else ""), why)


def spoken(key: str) -> str:
    """Returns a dotted key as a person says it."""
    match key.split("."):
        case ["shots", number]:
            return f"shot {number}"
        case ["shots", number, *rest]:
            return f"{'.'.join(rest)} of shot {number}"
    return key


def invalid(fault: Fault, text: str, name: str, path: Path | None) -> TemplateInvalid:
    """Returns the error that names file, line and key."""
    file = str(path or f"{name}.toml")
    return TemplateInvalid(f"{file}:{line_of(text, fault.key)}: {fault.what}", fault.why, f"edit {file}")


def line_of(text: str, key: str) -> int:
    """Returns the line (from 1) on which a key of a valid TOML text stands, or what it is a part of."""
    lines = _lines(text)
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key, 1)


def _lines(text: str) -> dict[str, int]:
    """Returns the line of each dotted key; the tables of an array are counted from 1."""
    rows = text.split("\n")
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    for found in statements(text):
        table = ".".join(found.table)
        if rows[found.first].lstrip().startswith("[["):
            counts[table] = counts.get(table, 0) + 1
        number = counts.get(table)
        for place in found.keys or (found.table,):
            key = ".".join(place)
            counted = key if number is None else f"{table}.{number}{key.removeprefix(table)}"
            lines.setdefault(counted, found.first + 1)
            lines.setdefault(counted.partition(".")[0], found.first + 1)
    return lines
