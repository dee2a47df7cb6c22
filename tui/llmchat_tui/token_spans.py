"""Which part of a text each of its tokens is, where some tokens are only bytes of a character. Pure functions.

A token's text has one U+FFFD for the bytes of a character that it begins, and one for each byte of a character that it
goes on with. How many bytes the first are is not known, so several readings are kept until the text decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

HALF = "\ufffd"
"""Stands in a token's text for bytes that are no whole character."""


class Span(NamedTuple):
    """The part of a text that belongs to a token."""

    start: int
    end: int
    is_open: bool
    """Whether the token ends inside the character that comes next."""


class _Place(NamedTuple):
    """How far a text was read."""

    at: int
    left: int = 0
    """The most bytes that may still come of the character there; 0 where none has begun."""


class _Way(NamedTuple):
    """The best way to a place."""

    missed: int
    """Tokens on it that are not in the text."""
    before: _Place


def spans_of(tokens: Sequence[str], text: str) -> list[Span]:
    """Returns the part of a text that belongs to each token.

    A character of several tokens belongs to the last of them; what is not found in the text has no length.

    Args:
        tokens: the text of each.
        text: what they make, marks among them left out.
    """
    ways: list[dict[_Place, _Way]] = [{_Place(0): _Way(0, _Place(0))}]
    for number, token in enumerate(tokens):
        starts_with_space = number == 0 and token.startswith(" ") and not text.startswith(" ")
        piece = token[1:] if starts_with_space else token  # some tokenizers begin every text with a space
        ways.append(_next_ways(ways[-1], piece, text))
    place = min(ways[-1], key=lambda one: (one != _Place(len(text)), ways[-1][one].missed))
    spans: list[Span] = []
    for known in reversed(ways[1:]):
        before = known[place].before
        spans.append(Span(before.at, place.at, place.left > 0))
        place = before
    return spans[::-1]


def _next_ways(ways: dict[_Place, _Way], piece: str, text: str) -> dict[_Place, _Way]:
    """Returns where one may be behind one more token, by the way on which the fewest tokens were missed."""
    found: dict[_Place, _Way] = {}
    for before, way in ways.items():
        for place in _readings(before, piece, text):
            missed = way.missed + (place == before)
            if place not in found or missed < found[place].missed:
                found[place] = _Way(missed, before)
    return found


def _readings(place: _Place, piece: str, text: str) -> Iterator[_Place]:
    """Yields where one is behind a token; where one was, if it cannot be read there."""
    if not place.left:
        yield _read(place.at, piece, text)
        return
    halves = len(piece) - len(piece.lstrip(HALF))
    for count in range(1, min(halves, place.left) + 1):
        yield _read(place.at + 1, piece[count:], text)
    if halves == len(piece) < place.left:
        yield _Place(place.at, place.left - halves)
    if not halves:
        yield place


def _read(at: int, piece: str, text: str) -> _Place:
    """Returns where one is behind a piece that begins with a whole character."""
    if text.startswith(piece, at):
        return _Place(at + len(piece))
    whole = piece.removesuffix(HALF)
    end = at + len(whole)
    if whole != piece and end < len(text) and text.startswith(whole, at):
        return _Place(end, len(text[end].encode()) - 1)
    return _Place(at)
