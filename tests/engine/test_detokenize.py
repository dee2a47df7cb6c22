"""Ids to text: exact whatever the tokens are cut like, and never a half of anything on the screen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmchat_engine.host.detokenize import Detokenizer

TEXTS = st.text(st.sampled_from("abé漢🙂\n <|>"), max_size=40)
STOPS = st.lists(st.text(st.sampled_from("abé🙂<"), min_size=1, max_size=5), max_size=3)
CUTS = st.lists(st.integers(0, 160), max_size=40)


def chunks(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Returns the data, cut at these places."""
    places = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    return [data[begin:end] for begin, end in pairwise(places)]


def run(tokens: Sequence[bytes], stop: Sequence[str] = ()) -> tuple[Detokenizer, list[str]]:
    """Returns a detokenizer that got all tokens, and what each push and the flush gave."""
    detokenizer = Detokenizer(tokens.__getitem__, stop)
    return detokenizer, [*(detokenizer.push(index) for index in range(len(tokens))), detokenizer.flush()]


def until_first(text: str, stops: Sequence[str]) -> str:
    """Returns the text before the stop word that is completed first; the slow and plain way."""
    for end in range(1, len(text) + 1):
        done = [stop for stop in stops if text[:end].endswith(stop)]
        if done:
            return text[: end - max(map(len, done))]
    return text


@settings(max_examples=200, deadline=None)
@given(TEXTS, CUTS)
def test_any_text_in_any_chunks_comes_back(text: str, cuts: list[int]) -> None:
    detokenizer, given_out = run(chunks(text.encode(), cuts))
    assert "".join(given_out) == detokenizer.text == text
    assert "\ufffd" not in "".join(given_out)
    assert not detokenizer.stopped


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40), CUTS)
@example(b"\xf0\x9f\x99", [1, 2])
@example(b"a\xff\xe6\xbc", [])
def test_bytes_that_are_no_text_become_what_python_makes_of_them(data: bytes, cuts: list[int]) -> None:
    detokenizer, given_out = run(chunks(data, cuts))
    assert "".join(given_out) == detokenizer.text == data.decode("utf-8", "replace")


@settings(max_examples=400, deadline=None)
@given(TEXTS, STOPS, CUTS)
@example("aab", ["ab"], [])
@example("ababa<", ["abac", "ba<"], [1, 2, 3])
def test_the_text_ends_before_the_first_stop_word(text: str, stops: list[str], cuts: list[int]) -> None:
    detokenizer, given_out = run(chunks(text.encode(), cuts), stops)
    assert "".join(given_out) == detokenizer.text == until_first(text, stops)
    assert detokenizer.stopped == any(stop in text for stop in stops)


@settings(max_examples=200, deadline=None)
@given(TEXTS, STOPS, CUTS)
def test_nothing_shown_could_still_become_a_stop_word(text: str, stops: list[str], cuts: list[int]) -> None:
    tokens = chunks(text.encode(), cuts)
    detokenizer = Detokenizer(tokens.__getitem__, stops)
    decoded = b""
    for index, token in enumerate(tokens):
        detokenizer.push(index)
        decoded += token
        if detokenizer.stopped:
            break
        whole = decoded.decode("utf-8", "ignore")
        held = whole[len(detokenizer.text) :]
        assert whole.startswith(detokenizer.text)
        # Held back is exactly the longest end that some stop word begins with: no more, no less.
        lengths = (n for stop in stops for n in range(len(stop)) if whole.endswith(stop[:n]))
        assert len(held) == max(lengths, default=0)


@settings(max_examples=200, deadline=None)
@given(TEXTS, STOPS, CUTS)
def test_counts_the_tokens_that_make_up_the_text(text: str, stops: list[str], cuts: list[int]) -> None:
    tokens = chunks(text.encode(), cuts)
    detokenizer, _ = run(tokens, stops)
    count = detokenizer.exact_count()
    released = detokenizer.text.encode()
    ends = [len(b"".join(tokens[:n])) for n in range(len(tokens) + 1)]
    assert (count is not None) == (len(released) in ends)
    if count is not None:
        assert b"".join(tokens[:count]) == released


def test_holds_back_a_stop_word_and_gives_it_back_when_it_is_none() -> None:
    detokenizer = Detokenizer([b"Hello\n", b"Us", b"ed to"].__getitem__, ["\nUser:"])
    assert [detokenizer.push(index) for index in range(3)] == ["Hello", "", "\nUsed to"]


def test_flush_gives_the_half_stop_word() -> None:
    detokenizer, given_out = run([b"Hello\n", b"Us"], ["\nUser:"])
    assert given_out == ["Hello", "", "\nUs"]
    assert detokenizer.exact_count() == 2


def test_a_stop_word_ends_it_for_good() -> None:
    detokenizer, given_out = run([b"a", b"<", b"/s>b", b"c"], ["</s>"])
    assert given_out == ["a", "", "", "", ""]
    assert detokenizer.stopped
    assert detokenizer.text == "a"
    assert detokenizer.exact_count() == 1


@pytest.mark.parametrize(
    ("tokens", "count"),
    [([b"a", b"b", b"STOP"], 2), ([b"a", b"bSTOP"], None), ([b"STOP"], 0), ([b"ab", b"", b"STOP"], 2)],
)
def test_ids_are_kept_only_where_they_are_the_text(tokens: list[bytes], count: int | None) -> None:
    assert run(tokens, ["STOP"])[0].exact_count() == count


def test_of_two_stop_words_the_first_completed_wins() -> None:
    assert run([b"xabcd"], ["abcd", "bc"])[0].text == "xa"
    assert run([b"xabc"], ["bc", "abc"])[0].text == "x"


def test_long_tokens_are_whole() -> None:
    spaces, word = b" " * 300, ("漢" * 50).encode()
    assert run([spaces, word, spaces])[0].text == " " * 300 + "漢" * 50 + " " * 300


def test_a_character_in_four_tokens_appears_at_once() -> None:
    assert run([bytes([byte]) for byte in "🙂".encode()])[1] == ["", "", "", "🙂", ""]


def test_an_empty_stop_word_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Detokenizer([b""].__getitem__, ["a", ""])


def test_a_push_costs_the_same_in_a_long_reply() -> None:
    detokenizer = Detokenizer(lambda _: b"word ", ["</s>"])

    def push_many() -> float:
        began = time.perf_counter()
        for _ in range(10_000):
            detokenizer.push(0)
        return time.perf_counter() - began

    early = min(push_many() for _ in range(3))
    for _ in range(10):
        push_many()
    late = min(push_many() for _ in range(3))
    assert late < 5 * early
