"""The marks ✓ ~ ✗ of a checked reply at the ends of its sentences: put into its Markdown, found again in its blocks.

A mark travels through the parser as a control character, which no address and no emphasis takes for a part of itself.
Knows no verdict and no widget.
"""

from __future__ import annotations

import re

from textual.content import Content

from llmchat_tui.sanitize import sanitize

COLOURS = {"✓": "$text-success", "~": "$text-warning", "✗": "$text-error"}
"""Of each mark."""

Marks = tuple[tuple[int, str], ...]
"""Places in a text, in their order, and the mark that stands before each."""

_CARRIERS = dict(zip(COLOURS, "\x01\x02\x03", strict=True))
_SIGNS = str.maketrans({carrier: sign for sign, carrier in _CARRIERS.items()})
_FOREIGN = dict.fromkeys(map(ord, _CARRIERS.values()), "\ufffd")
"""What a reply has of them itself is no mark."""
_NONE = dict.fromkeys(map(ord, _CARRIERS.values()))
_CARRIER = re.compile("([\x01-\x03])")


def with_carriers(text: str, marks: Marks) -> str:
    """Returns a text for the parser, with a carrier in the place of each mark."""
    text = text.translate(_FOREIGN)
    ends = [*((place, _CARRIERS[sign]) for place, sign in marks), (len(text), "")]
    starts = [0, *(place for place, _ in marks)]
    return "".join(text[start:end] + carrier for start, (end, carrier) in zip(starts, ends, strict=True))


def cleaned(text: str) -> str:
    """Returns a text of the parser without anything that a terminal would obey, the carriers kept."""
    return "".join(part if part in _CARRIERS.values() else sanitize(part) for part in _CARRIER.split(text))


def without_carriers(text: str) -> str:
    """Returns what can show no mark, as code, without the carriers."""
    return text.translate(_NONE)


def signed(content: Content) -> Content:
    """Returns what a block shows, its carriers as coloured marks."""
    places = [match.start() for match in _CARRIER.finditer(content.plain)]
    if not places:
        return content
    shown = Content(content.plain.translate(_SIGNS), spans=list(content.spans))
    for place in places:
        shown = shown.stylize(COLOURS[shown.plain[place]], place, place + 1)
    return shown
