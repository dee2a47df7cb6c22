"""The leaves of a JSON document as GBNF: literals, strings, formats, numbers with and without bounds.

Knows no schema; bounds come in as numbers, what goes out is the right side of a rule. Numbers have at most 15 digits
before the point and exponents at most two, so that each is finite and exact, and none goes on for ever.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

DIGITS = 15
"""What a double holds exactly."""
SPACE = '(" " | "\\n" " "{0,20})?'
"""Between two parts: bounded, or a model could write blanks until its context is full."""
CHAR = (
    r"[\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]"
    r' | "\\" (["\\/bfnrt] | "u" ([0-9a-cefA-CEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))'
)
"""One character of a string, or one escape: no half of a pair of surrogates, which many readers refuse."""
_WHOLE = '"0" | [1-9] [0-9]{0,14}'
INTEGER = f'"-"? ({_WHOLE})'
NUMBER = f'"-"? ({_WHOLE}) ("." [0-9]{{1,15}})? ([eE] [-+]? [0-9]{{1,2}})?'
_HEX = "[0-9a-f]"
_CLOCK = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9]'
_TIME = f'{_CLOCK} ":" [0-5] [0-9] ("." [0-9]{{1,6}})? ("Z" | [-+] {_CLOCK})'
_DAYS = (
    '[0-9]{4} "-" (("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
    ' | ("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30") | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8]))'
)
FORMATS = {
    "date": _DAYS,
    "time": _TIME,
    "date-time": f'{_DAYS} "T" {_TIME}',
    "uuid": f'{_HEX}{{8}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{4}} "-" {_HEX}{{12}}',
}
"""Of strings; the 29th of February is never written."""


def quoted(text: str) -> str:
    """Returns a text as a GBNF literal."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char >= " " else f"\\x{ord(char):02X}" for char in plain) + '"'


def literal(value: object) -> str:
    """Returns the JSON text of a value.

    Raises:
        ValueError: it holds a number that is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else json.dumps(value, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `low` to `high`, both included unless said otherwise; None is open."""

    low: int | None = None
    high: int | None = None
    above: bool = False
    """Whether `low` itself is left out."""
    below: bool = False
    """Whether `high` itself is left out."""


def bounded_integer(bounds: Bounds) -> str:
    """Returns the whole numbers within bounds; an empty text where there is none."""
    low = None if bounds.low is None else bounds.low + bounds.above
    high = None if bounds.high is None else bounds.high - bounds.below
    least, most = _closed(low, high)
    found = [*([f'"-" ({_span(max(1, -most), -least)})'] if least < 0 and max(1, -most) <= -least else [])]
    if most >= 0 and max(0, least) <= most:
        found.append(_span(max(0, least), most))
    return " | ".join(found)


def bounded_number(bounds: Bounds) -> str:
    """Returns the decimal numbers within bounds, without exponent; an empty text where there is none."""
    low, high = _closed(bounds.low, bounds.high)
    found = []
    if low < 0:
        near = _magnitudes(max(0, -high), -low, above=bounds.below and high <= 0, below=bounds.above)
        found += [f'"-" ({near})'] if near else []
    if high >= 0:
        found.append(_magnitudes(max(0, low), high, above=bounds.above and low >= 0, below=bounds.below))
    return " | ".join(filter(None, found))


def _closed(low: int | None, high: int | None) -> tuple[int, int]:
    """Returns bounds that are both there: an open one lies a digit beyond the other, and 15 digits out at least."""
    far = max(10**DIGITS - 1, 10 * max(abs(low or 0), abs(high or 0)) + 9)
    return -far if low is None else low, far if high is None else high


def _magnitudes(low: int, high: int, *, above: bool, below: bool) -> str:
    """Returns the numbers from low to high without a sign, in text."""
    if low > high or (low == high and (above or below)):
        return ""
    digits = max(1, DIGITS - len(str(high)))
    found = []
    if above and low < high:  # something behind the point that is not zero
        found.append(f'"{low}." [0-9]{{0,{digits - 1}}} [1-9]')
    first = low + above
    if first < high:
        found.append(f'({_span(first, high - 1)}) ("." [0-9]{{1,{digits}}})?')
    if not below:
        found.append(f'"{high}" ("." "0"{{1,{digits}}})?')
    return " | ".join(found)


def _span(low: int, high: int) -> str:
    """Returns the whole numbers from low to high, neither below zero, without leading zeros."""
    found = []
    for length in range(len(str(low)), len(str(high)) + 1):
        first, last = max(low, 10 ** (length - 1) if length > 1 else 0), min(high, 10**length - 1)
        found.append(_same_length(str(first), str(last)))
    return " | ".join(found)


def _same_length(low: str, high: str) -> str:
    """Returns the digits from low to high, which are equally many."""
    if low == high:
        return f'"{low}"'
    rest = len(low) - 1
    if low[1:] == "0" * rest and high[1:] == "9" * rest:
        return _digit(low[0], high[0]) + (f" [0-9]{{{rest}}}" if rest else "")
    if low[0] == high[0]:
        return f'"{low[0]}" ({_same_length(low[1:], high[1:])})'
    found = [f'"{low[0]}" ({_same_length(low[1:], "9" * rest)})']
    if int(low[0]) + 1 < int(high[0]):
        between = _digit(str(int(low[0]) + 1), str(int(high[0]) - 1))
        found.append(f"{between} [0-9]{{{rest}}}")
    found.append(f'"{high[0]}" ({_same_length("0" * rest, high[1:])})')
    return " | ".join(found)


def _digit(low: str, high: str) -> str:
    return f"[{low}-{high}]"
