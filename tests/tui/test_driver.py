"""What is typed and pasted on its way from the terminal to the screen: nothing is lost, and no paste becomes keys."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from textual import events

from llmchat_tui.driver import PasteGuard, _Parser

START, END = "\x1b[200~", "\x1b[201~"
PIECES = st.sampled_from(
    ["\x1b", "[", "2", "0", "1", "~", "a", "\r", "\n", "é", "\x1b[A", START, END, START[:-1], END[:-1]]
)
TYPED = st.lists(PIECES, max_size=14).map("".join)
PASTED = st.lists(PIECES | st.characters(blacklist_categories=["Cs"]), max_size=14).map("".join)
CUTS = st.lists(st.integers(0, 80), max_size=8)


def cut(text: str, places: Sequence[int]) -> list[str]:
    """Returns a text in pieces, cut at places."""
    edges = [0, *sorted({place for place in places if place < len(text)}), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def cleaned(pieces: Sequence[str]) -> str:
    """Returns what a guard lets through, and what it gives back at the end."""
    guard = PasteGuard()
    return "".join([*map(guard.clean, pieces), guard.flush()])


@given(TYPED, CUTS)
@settings(max_examples=400, deadline=None)
@example(f"{START}a\x1bb{END}c", [3, 9])
@example(f"{START}{END}{START}x{END}", [1, 7, 13])
def test_cut_anywhere_it_is_the_same(text: str, places: list[int]) -> None:
    assert cleaned(cut(text, places)) == cleaned([text])
    assert cleaned(list(text)) == cleaned([text])


@given(TYPED.filter(lambda text: START not in text), CUTS)
@settings(max_examples=300, deadline=None)
def test_outside_of_pastes_nothing_is_changed(text: str, places: list[int]) -> None:
    assert cleaned(cut(text, places)) == text


@given(TYPED)
@settings(max_examples=300, deadline=None)
def test_outside_of_pastes_nothing_is_held_for_ever(text: str) -> None:
    guard = PasteGuard()
    before = guard.clean(text) + guard.flush()
    after = guard.clean("xyz")
    assert guard.flush() == ""
    assert (before.rpartition(START)[1] and END not in before.rpartition(START)[2]) or after == "xyz"


@pytest.mark.parametrize(
    "key", ["\x1b", "\x1bOP", "\x1b[A", "\x1b[1;3A", "\x1b\r", "\x1b\x1b", "\x1bx", "\x1b[27;2;13~"]
)
def test_keys_go_through_at_once_or_with_the_next_tick(key: str) -> None:
    guard = PasteGuard()
    assert guard.clean(key) + guard.flush() == key
    assert PasteGuard().clean("\x1b") == "\x1b"  # a lone Escape waits for nothing


@given(PASTED.filter(lambda text: END not in text), CUTS)
@settings(max_examples=400, deadline=None)
def test_no_escape_inside_a_paste_gets_out(text: str, places: list[int]) -> None:
    out = cleaned(cut(f"a{START}{text}{END}b", places))
    assert out.startswith(f"a{START}") and out.endswith("b")
    inside, _, rest = out.removeprefix(f"a{START}").partition(END)
    assert "\x1b" not in inside
    # An end that the paste's own last characters begin is no other than the terminal's.
    assert rest == "b" or END[:-1].startswith(rest[:1])


@given(st.text(st.characters(blacklist_characters="\x1b\x00", blacklist_categories=["Cs"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_harmless_paste_arrives_as_it_is(text: str) -> None:
    assert cleaned([f"{START}{text}{END}"]) == f"{START}{text}{END}"


def heard(pieces: Sequence[str]) -> list[events.Event]:
    """Returns the events that a guarded parser makes of input."""
    guard, parser = PasteGuard(), _Parser()
    made = [event for piece in pieces if (text := guard.clean(piece)) for event in parser.feed(text)]
    return [event for event in made if isinstance(event, events.Event)]


HOSTILE = "ls\r\x1b[201\x1b\x1b[A\x1b[<0;1;1M\x1b[200~\x1b]0;x\x07 \x1b\r end"


@given(CUTS)
@settings(max_examples=100, deadline=None)
def test_a_hostile_paste_is_one_paste_and_no_key(places: list[int]) -> None:
    (paste,) = heard(cut(f"{START}{HOSTILE}{END}", places))
    assert isinstance(paste, events.Paste)
    assert paste.text == HOSTILE.replace("\x1b", "")


def test_pastes_and_keys_in_turn() -> None:
    made = heard([f"a{START}one\x1b[A{END}b{START}two", f"\x1b{END}", "c"])
    told = [event.text if isinstance(event, events.Paste) else getattr(event, "key", "") for event in made]
    assert told == ["a", "one[A", "b", "two", "c"]


@pytest.mark.parametrize(
    ("sequence", "key"),
    [("\x1b\r", "alt+enter"), ("\r", "enter"), ("\n", "ctrl+j"), ("\x1b[13;2u", "shift+enter"), ("\x1b[A", "up")],
)  # fmt: skip
def test_the_keys_for_a_new_line(sequence: str, key: str) -> None:
    assert [getattr(event, "key", "") for event in heard([sequence])] == [key]
