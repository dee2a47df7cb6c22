"""Does a token of a claim stand in a passage? Inflections, spellings, units and rounding are allowed for.

Knows tokens, no sentences.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from llmchat_rag.checking import kin
from llmchat_rag.checking.tokens import Token, fold, stem
from llmchat_rag.checking.units import WORDS, Unit

_INFLECTIONS = frozenset(
    ["", "s", "es", "n", "en", "e", "er", "in", "a", "i", "o", "m", "y", "ian", "an", "ese", "ish", "ic", "ern", "ns"]
)
_UNDOING = ("un", "in", "im", "ir", "il", "dis", "non", "mis", "de")
_ROUNDED = 0.05
"""An `about` may be this far off."""


def matches(claim: Token, evidence: Token, approximate: bool = False) -> bool:
    """Returns whether two tokens say the same.

    Args:
        claim: of the answer.
        evidence: of the passage.
        approximate: whether a number is only about right.
    """
    if claim.kind == "number":
        return bool(evidence.values) and same_number(claim, evidence, approximate)
    if evidence.kind == "number":
        return False
    if claim.kind == "name" and evidence.kind == "name":
        return same_name(claim.key, evidence.key)
    return same_word(_word(claim), _word(evidence))


def _word(token: Token) -> str:
    return stem(token.key) if token.kind == "name" else token.key


def same_number(claim: Token, evidence: Token, approximate: bool = False) -> bool:
    """Returns whether two numbers have a value in common, and units that do not contradict each other."""
    if claim.unit and evidence.unit:
        if claim.unit.dimension != evidence.unit.dimension:
            return False
        factors = claim.unit.factor, evidence.unit.factor
    else:
        if {unit.dimension for unit in (claim.unit, evidence.unit) if unit} & {"month", "weekday", "clock"}:
            return False
        factors = 1.0, 1.0
    tolerance = _ROUNDED if approximate else 1e-9
    return any(
        abs(a * factors[0] - b * factors[1]) <= tolerance * max(abs(b * factors[1]), 1e-12)
        for a in claim.values
        for b in evidence.values
    )


def same_value(claim: Token, evidence: Token) -> bool:
    """Returns whether two numbers have a value in common, whatever they count."""
    return bool(claim.values & evidence.values)


@cache
def same_name(one: str, other: str) -> bool:
    """Returns whether two folded names differ by an ending only: `Bergens`, `Italian`."""
    if one == other:
        return True
    common = _common(one, other)
    return common >= 4 and one[common:] in _INFLECTIONS and other[common:] in _INFLECTIONS


@cache
def same_word(one: str, other: str) -> bool:
    """Returns whether two stems are of one word, or of two that stand for one another."""
    if one == other or bool(_groups().get(one, frozenset()) & _groups().get(other, frozenset())):
        return True
    if one in _units() and other in _units():
        return _units()[one] == _units()[other]
    shorter, longer = sorted((one, other), key=len)
    common = _common(one, other)
    if common >= 4 and len(longer) - common <= 3 and common >= 0.6 * len(longer):
        return True
    inside = len(shorter) >= 5 and longer.endswith(shorter) and not undone(one, other)
    return inside or (common >= 6 and common >= len(shorter) - 2)


@cache
def undone(one: str, other: str) -> bool:
    """Returns whether one of two stems is the other with an `un` or the like before it."""
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= 4 and longer in {prefix + shorter for prefix in _UNDOING}


@cache
def opposite(one: str, other: str) -> bool:
    """Returns whether two stems deny each other: `rise` and `fall`, `tenant` and `landlord`."""
    pairs = _opposites()
    units = _units().get(one), _units().get(other)
    if units[0] and units[1] and units[0].dimension == units[1].dimension and units[0] != units[1]:
        return True
    return undone(one, other) or any((a, b) in pairs for a in _kin(one) for b in _kin(other))


def _common(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@cache
def _groups() -> dict[str, frozenset[int]]:
    """Returns the groups of synonyms that a stem is in."""
    found: dict[str, set[int]] = {}
    for number, line in enumerate(kin.SYNONYMS):
        for word in line.split():
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


@cache
def _units() -> dict[str, Unit]:
    """Returns the units that are words, by their stems."""
    return {stem(word): unit for word, unit in WORDS.items()}


@cache
def _opposites() -> frozenset[tuple[str, str]]:
    pairs = [tuple(stem(word) for word in line.split()) for line in kin.OPPOSITES]
    return frozenset(pair for a, b in pairs for pair in ((a, b), (b, a)))


@cache
def _kin(word: str) -> frozenset[str]:
    groups = _groups().get(word, frozenset())
    return frozenset([word, *(other for other, numbers in _groups().items() if numbers & groups)])


def has_any(found: Iterable[Token], words: frozenset[str]) -> bool:
    """Returns whether one of the words stands among the tokens."""
    return any(fold(token.text) in words or token.key in words for token in found)
