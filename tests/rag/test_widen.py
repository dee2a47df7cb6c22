"""Passages with their neighbours: what is taken in, in which order, and how it is joined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rag.places import Notes, notes

from llmchat_rag.types import Passage
from llmchat_rag.widen import widen

ROOM = 101
"""Tokens of each passage."""
TEN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Notes]:
    with notes(tmp_path) as made:
        made.write("a.md", "\n\n".join(f"{word} words here" for word in TEN))
        made.write("b.md", "another text entirely")
        made.update()
        yield made


def passages(place: Notes, *words: str) -> list[Passage]:
    return [place.search(f"{word} words here", k=1).passages[0] for word in words]


def texts(found: list[Passage]) -> list[list[str]]:
    return [passage.text.replace(" words here", "").split("\n\n") for passage in found]


def test_without_room_everything_stays_as_it_was(place: Notes) -> None:
    found = passages(place, "five", "two")
    assert widen(place.library, found, budget=2 * ROOM) == found


def test_the_strongest_takes_its_neighbours_first(place: Notes) -> None:
    found = passages(place, "five", "one")
    assert texts(widen(place.library, found, budget=4 * ROOM, reach=1)) == [["four", "five", "six"], ["one"]]


def test_what_touches_becomes_one_passage_with_its_whole_span(place: Notes) -> None:
    (joined,) = widen(place.library, passages(place, "five", "three"), budget=20 * ROOM, reach=1)
    assert texts([joined]) == [["two", "three", "four", "five", "six"]]
    assert joined.source == "a.md:5-13"
    assert place.library.text(joined.document_id)[joined.span.start : joined.span.end] == joined.text


def test_the_edges_of_a_document_are_no_error(place: Notes) -> None:
    found = widen(place.library, passages(place, "zero", "nine"), budget=20 * ROOM, reach=2)
    assert sorted(texts(found)) == [["seven", "eight", "nine"], ["zero", "one", "two"]]


def test_a_passage_that_is_gone_meanwhile_is_left_out(place: Notes) -> None:
    found = passages(place, "five")
    place.write("a.md", "nothing of it")
    place.update()
    assert widen(place.library, found, budget=20 * ROOM) == []
