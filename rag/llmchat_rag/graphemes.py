"""Where a text may be cut without tearing a character as people see it.

The rules of Unicode's text segmentation that matter for marks, emoji, flags and Hangul. Knows no blocks and no tokens.
"""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_FIRST_MARK = "\u0300"
_FARTHEST = 64
"""Code points that are looked at: a family emoji has 7 to 11; what is longer is no character but an attack."""

_FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_LONGEST_ROW = 1024
"""Halves of flags in a row that are counted: every second place between them is inside of a flag."""


def is_boundary(text: str, at: int) -> bool:
    """Returns whether a cut in front of `text[at]` leaves both characters whole."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if after < _FIRST_MARK or unicodedata.category(before) in {"Cc", "Zl", "Zp"}:
        return True
    if before == _JOINER:
        return unicodedata.category(after) in {"Cc", "Zl", "Zp", "Zs"}
    if _extends(after):
        return False
    return not (after in _FLAG_HALVES and before in _FLAG_HALVES) or _flag_halves_before(text, at) % 2 == 0


def cut_before(text: str, at: int, lowest: int) -> int:
    """Returns the last boundary at or before `at` and above `lowest`, else the next one; else `at` itself.

    Args:
        text: what is cut.
        at: where the cut should be.
        lowest: the cut is after this, so that a caller who cuts again and again gets on.
    """
    for candidate in range(at, max(lowest, at - _FARTHEST), -1):
        if is_boundary(text, candidate):
            return candidate
    return next((after for after in range(at + 1, at + _FARTHEST) if is_boundary(text, after)), at)


def _extends(character: str) -> bool:
    code = ord(character)
    if character == _JOINER or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return True
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:
        return True
    return unicodedata.category(character) in {"Mn", "Me", "Mc"}


def _flag_halves_before(text: str, at: int) -> int:
    before = text[max(0, at - _LONGEST_ROW) : at]
    return len(before) - len(before.rstrip(_FLAG_HALVES))
