"""Passages made longer by what stands around them, while there is room. Knows no prompt; whoever counts tells the room.

Small passages are found better, larger ones answer better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmchat_rag.store import Library, Place
from llmchat_rag.types import Passage, Span

REACH = 2
"""Neighbours on each side that a passage can take in."""


@dataclass(slots=True)
class _Stretch:
    """What of a document is taken: whole passages in a row."""

    places: list[Place]
    best: Passage
    """The strongest of them."""


def widen(library: Library, passages: Sequence[Passage], budget: int, reach: int = REACH) -> list[Passage]:
    """Returns the passages with their neighbours, those that touch made one, in the order of the strongest.

    The passages themselves are all kept; the nearest neighbours of the strongest come first, until the room is used.

    Args:
        library: the store.
        passages: best first.
        budget: tokens of the embedder that all of them together may have.
        reach: neighbours on each side that a passage can take in.
    """
    places = library.places(passage.chunk_id for passage in passages)
    found = [passage for passage in passages if passage.chunk_id in places]
    taken = {passage.chunk_id for passage in found}
    stretches = [_Stretch([places[passage.chunk_id]], passage) for passage in found]
    room = budget - sum(places[key].tokens for key in taken)
    for distance in range(1, reach + 1):
        for stretch in stretches:
            room -= _take(library, stretch, distance, taken, room)
    order = {passage.chunk_id: rank for rank, passage in enumerate(found)}
    joined = sorted(_joined(stretches), key=lambda stretch: order[stretch.best.chunk_id])
    return [_passage(library, stretch) for stretch in joined]


def _take(library: Library, stretch: _Stretch, distance: int, taken: set[int], room: int) -> int:
    """Takes the neighbours at a distance that fit and touch; returns the tokens they have."""
    used = 0
    origin = next(place for place in stretch.places if place.chunk_id == stretch.best.chunk_id)
    for place in library.around(origin, distance):
        touches = any(abs(place.seq - other.seq) == 1 for other in stretch.places)
        if abs(place.seq - origin.seq) == distance and touches and place.chunk_id not in taken:
            if used + place.tokens > room:
                continue
            taken.add(place.chunk_id)
            stretch.places.append(place)
            used += place.tokens
    return used


def _joined(stretches: Sequence[_Stretch]) -> list[_Stretch]:
    """Returns the stretches, those that touch joined to the strongest of them."""
    joined: list[_Stretch] = []
    for stretch in stretches:
        while neighbour := next((other for other in joined if _touch(stretch, other)), None):
            joined.remove(neighbour)
            stretch = _Stretch([*neighbour.places, *stretch.places], neighbour.best)
        joined.append(stretch)
    return joined


def _touch(one: _Stretch, other: _Stretch) -> bool:
    if one.best.document_id != other.best.document_id:
        return False
    return any(abs(place.seq - there.seq) <= 1 for place in one.places for there in other.places)


def _passage(library: Library, stretch: _Stretch) -> Passage:
    """Returns a stretch as one passage: its text is cut from the document, where overlaps are not twice."""
    if len(stretch.places) == 1:
        return stretch.best
    spans = [passage.span for passage in library.passages(place.chunk_id for place in stretch.places).values()]
    span = Span(
        start=min(span.start for span in spans),
        end=max(span.end for span in spans),
        line=min(span.line for span in spans),
        last_line=max(span.last_line for span in spans),
        page=min(span.page for span in spans),
        last_page=max(span.last_page for span in spans),
    )
    text = library.text(stretch.best.document_id)[span.start : span.end]
    return replace(stretch.best, text=text, span=span)
