"""Tokens as text for a terminal: blanks made visible, nothing that acts on it, cells of a fixed width.

Knows strings and numbers; no engine and no stream.
"""

from __future__ import annotations

import math
import unicodedata

from llmchat_tui.sanitize import sanitize

_BLANKS = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥", "\r": "␍"})
_LEAST = 0.0001
"""The smallest probability that two decimals of a percentage show."""


def visible(text: str) -> str:
    """Returns a token's text on one line: blanks as signs, and what has no picture as its code."""
    cleaned = sanitize(text.translate(_BLANKS))
    if cleaned.isprintable():
        return cleaned
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in cleaned)


def columns_of(text: str) -> int:
    """Returns the columns that a text takes on a terminal."""
    return sum(map(_columns, text))


def cell(text: str, columns: int) -> str:
    """Returns a text that takes exactly so many columns; what is longer is cut, and ends with `…`."""
    width = columns_of(text)
    if width > columns:
        kept, width = "", 1
        for char in text:
            if (step := _columns(char)) + width > columns:
                break
            kept, width = kept + char, width + step
        text = kept + "…"
    return text + " " * (columns - width)


def percent(share: float) -> str:
    """Returns a probability as a percentage; a small one as that, and not as 0."""
    if 0 < share < _LEAST:
        return f"<{_LEAST:.2%}".replace("%", " %")
    return f"{share * 100:.2f} %"


def bits(nats: float) -> float:
    """Returns an entropy in bits."""
    return nats / math.log(2)


def painted(text: str, color: str, *, on: bool) -> str:
    """Returns a text in a colour, where there are colours."""
    return f"\x1b[{color}m{text}\x1b[0m" if on else text


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
