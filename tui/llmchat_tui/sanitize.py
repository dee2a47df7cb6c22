"""Makes text from data harmless to a terminal: what would act on it becomes visible or goes away.

Knows no terminal, no markup and no colours; plain `str` in, plain `str` out. Works character by character, so a text
may be cut anywhere and cleaned in pieces.
"""

from __future__ import annotations

_REPLACEMENT = 0xFFFD
_DELETE = 0x7F
_CONTROL_PICTURES = 0x2400
_PICTURE_OF_DELETE = 0x2421
_CARRIAGE_RETURN = 0x0D

_KEPT = frozenset("\n\t")
_C1 = range(0x80, 0xA0)
_BIDI_OVERRIDES = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SURROGATES = range(0xD800, 0xE000)
_TAGS = range(0xE0000, 0xE0080)
_LINE_BREAKS = "\n\t\u2028\u2029"


def _table() -> dict[int, int | None]:
    """Returns what each unsafe code point becomes; None drops it."""
    table: dict[int, int | None] = {code: _CONTROL_PICTURES + code for code in range(32) if chr(code) not in _KEPT}
    table[_DELETE] = _PICTURE_OF_DELETE
    table |= dict.fromkeys((*_C1, *_BIDI_OVERRIDES, *_SURROGATES), _REPLACEMENT)
    table |= dict.fromkeys(_TAGS)
    # A carriage return alone would let a text write over the line it stands on.
    table[_CARRIAGE_RETURN] = None
    return table


_TEXT = _table()
_LINE = _TEXT | dict.fromkeys(map(ord, _LINE_BREAKS), ord(" "))


def sanitize(text: str) -> str:
    """Returns `text` with nothing in it that a terminal would obey, line breaks and tabs kept.

    Control characters become their pictures (ESC is shown as ␛); C1 controls, bidirectional overrides and lone
    surrogates become U+FFFD; carriage returns and invisible tag characters go away.
    """
    # One look, in C, lets most tokens of a stream through without the table.
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TEXT)


def sanitize_line(text: str) -> str:
    """Returns `text` as `sanitize` does, on one line: titles, file names, table cells."""
    return text.translate(_LINE)
