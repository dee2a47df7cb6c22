"""A grammar as llama.cpp holds it: rules with alternatives of characters and references, and where they stand.

Knows no text format and no models; says how a grammar is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from llmchat_engine.errors import RequestInvalid


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of ranges of code points, or out of all others."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def matches(self, code: int) -> bool:
        """Returns True where the code point is one of them."""
        return any(low <= code <= high for low, high in self.ranges) != self.negated


ANY = Chars((), negated=True)


@dataclass(frozen=True, slots=True)
class Ref:
    """Another rule, by its number."""

    rule: int


Sequence = tuple[Chars | Ref, ...]
Alternatives = tuple[Sequence, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """All rules by number, those that repetitions and groups stand for too."""

    text: str
    names: tuple[str, ...]
    rules: tuple[Alternatives, ...]
    places: tuple[int, ...]
    """Where each rule begins in the text."""
    written: frozenset[int]
    """The rules that have a name in the text."""
    root: int


def refuse(text: str, at: int, why: str, hint: str = "") -> NoReturn:
    """Raises what is wrong with a grammar, with line and column.

    Raises:
        RequestInvalid: always.
    """
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    raise RequestInvalid("the grammar cannot be used", f"line {line}, column {column}: {why}", hint)
