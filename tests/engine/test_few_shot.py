"""Examples before the question: which of them are chosen, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_engine.prompting.few_shot import Choice, Shot, as_messages, as_text, choose, open_question

SHOTS = tuple(Shot(f"question {number}", f"answer {number}") for number in range(10))


def inputs(shots: Sequence[Shot]) -> list[str]:
    return [shot.input for shot in shots]


def by_length(texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Texts of the same number of words point the same way."""
    return [[float(len(text.split())), 1.0] for text in texts]


def test_in_order_the_first_are_taken() -> None:
    assert choose(SHOTS, 3, "order") == SHOTS[:3]


def test_at_random_they_stay_in_their_own_order() -> None:
    chosen = choose(SHOTS, 4, "random", seed=7)

    assert len(set(chosen)) == 4
    assert list(chosen) == sorted(chosen, key=SHOTS.index)


def test_a_seed_gives_the_same_choice_under_every_python() -> None:
    # Written down from one version: a library that draws in another way must not change what a seed means.
    assert [SHOTS.index(shot) for shot in choose(SHOTS, 4, "random", seed=7)] == [1, 3, 6, 8]


def test_seeds_differ() -> None:
    assert len({choose(SHOTS, 4, "random", seed=seed) for seed in range(20)}) > 10


def test_without_a_seed_each_choice_is_drawn_anew() -> None:
    assert len({choose(SHOTS, 5, "random") for _ in range(20)}) > 1


def test_the_nearest_stands_next_to_the_question() -> None:
    shots = [Shot(text, "") for text in ("a", "a b c d", "a b", "a b c")]

    chosen = choose(shots, 3, "similar", question="four words are here", embed=by_length)

    assert inputs(chosen) == ["a b", "a b c", "a b c d"]


def test_of_equally_near_ones_the_earlier_is_nearer() -> None:
    shots = [Shot("one", "1"), Shot("two", "2"), Shot("three", "3")]

    assert choose(shots, 2, "similar", question="four", embed=by_length) == (shots[1], shots[0])


def test_a_vector_of_zeros_is_like_nothing() -> None:
    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [[0.0, 0.0] if text == "empty" else [1.0, 0.0] for text in texts]

    chosen = choose([Shot("empty", ""), Shot("full", "")], 1, "similar", question="q", embed=embed)

    assert inputs(chosen) == ["full"]


def test_all_texts_are_embedded_at_once() -> None:
    calls: list[list[str]] = []

    def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        calls.append(list(texts))
        return by_length(texts)

    choose(SHOTS[:2], 1, "similar", question="why", embed=embed)

    assert calls == [["question 0", "question 1", "why"]]


def test_similar_ones_need_an_embedder() -> None:
    with pytest.raises(ValueError, match="embedder"):
        choose(SHOTS, 1, "similar", question="why")


@given(st.sampled_from(("order", "random", "similar")), st.integers(-2, 14), st.integers(0, 10))
def test_there_are_as_many_as_asked_for_or_all(by: Choice, count: int, there: int) -> None:
    chosen = choose(SHOTS[:there], count, by, seed=1, question="why", embed=by_length)

    assert len(chosen) == len(set(chosen)) == max(0, min(count, there))


def test_examples_are_turns_with_the_words_around_the_question() -> None:
    messages = as_messages([Shot("2+2", "4", "Two and two.")], lambda text: f"Sum: {text}", reasoned=True)

    assert [(message.role, message.text) for message in messages] == [
        ("user", "Sum: 2+2"),
        ("assistant", "Two and two.\nAnswer: 4"),
    ]


def test_reasoning_is_left_out_where_none_is_wanted() -> None:
    assert as_messages([Shot("2+2", "4", "Two and two.")], str)[1].text == "4"


def test_a_base_model_gets_text_that_ends_where_it_goes_on() -> None:
    text = as_text([Shot("2+2", "4")], str) + open_question("3+3")

    assert text == "Input: 2+2\nOutput: 4\n\nInput: 3+3\nOutput:"
