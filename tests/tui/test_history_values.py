"""Ids, and what becomes of values on their way into a column and back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_tui.history.ids import ALPHABET, ID_LENGTH, IdClock
from llmchat_tui.history.rows import clean, pack_ids, pack_object, unpack_ids, unpack_object
from llmchat_tui.history.values import StoredMessage


def test_ids_are_ordered_and_readable() -> None:
    clock = IdClock()
    ids = [clock.next() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert all(len(id_) == ID_LENGTH and set(id_) <= set(ALPHABET) for id_ in ids)


def test_ids_grow_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = IdClock()
    later = clock.next()
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    assert clock.next() > later


def test_ids_of_two_instances_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    one, two = IdClock(), IdClock()
    assert len({clock.next() for _ in range(500) for clock in (one, two)}) == 1_000


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
@settings(max_examples=30)
def test_token_ids_come_back(ids: list[int]) -> None:
    assert unpack_ids(pack_ids(ids)) == tuple(ids)


def test_token_ids_are_little_endian() -> None:
    assert pack_ids([1, 256]) == bytes([1, 0, 0, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("seconds", [10**400, "3", None, [1]], ids=["huge", "text", "none", "list"])
def test_a_time_that_cannot_be_one_counts_as_none(seconds: object) -> None:
    settings = {"thought": {"text": "Hm.", "tokens": 2, "seconds": seconds}}
    reply = StoredMessage("m1", "c1", "m0", "assistant", "Yes.", "complete", 0.0, settings=settings)
    assert (reply.thought, reply.thought_tokens, reply.thought_seconds) == ("Hm.", 2, 0.0)


def test_settings_with_lone_surrogates() -> None:
    assert unpack_object(pack_object({"path": "a\udcffb", "n": [1, None, True]})) == {
        "path": "a?b",
        "n": [1, None, True],
    }


@given(st.text(st.characters(exclude_categories=()), max_size=40))
@settings(max_examples=100)
def test_clean_text_is_utf8_and_otherwise_the_same(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert len(cleaned) == len(text)
    assert all(a == b or ("\ud800" <= a <= "\udfff" and b == "?") for a, b in zip(text, cleaned, strict=True))
