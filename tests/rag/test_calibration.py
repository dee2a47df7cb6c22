"""The gate of a model that nobody measured: found on the user's own documents while they are indexed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.rag.doubles import WordEmbedder
from tests.rag.places import Notes, essay, notes

from llmchat_rag.calibration import OFF_TOPIC, OWN, between, gate_of, own_questions
from llmchat_rag.gate import OPEN, gate_at, judge

if TYPE_CHECKING:
    from llmchat_rag.types import Vector


class Unmeasured(WordEmbedder):
    """An embedder whose cosines nobody knows."""

    gate = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode_query(self, text: str) -> Vector:
        self.asked.append(text)
        return super().encode_query(text)


def filled(place: Notes, files: int, seed: int = 5) -> None:
    rng = random.Random(seed)
    for number in range(files):
        place.write(f"{seed}-{number}.md", essay(rng))
    place.update()


def test_the_gate_lies_between_what_is_answered_and_what_is_not() -> None:
    gate = between([0.5] * 60 + [0.6] * 60, [0.2] * 30 + [0.3] * 10)
    assert (gate.abstain, gate.warn) == pytest.approx((0.2 + 0.15 * 0.35, 0.2 + 0.45 * 0.35))


def test_hardly_an_own_question_is_refused() -> None:
    own = [0.1] * 5 + [0.7] * 95
    gate = between(own, [0.2] * 64)
    assert gate.abstain <= 0.1 < 0.2 < gate.warn


@pytest.mark.parametrize("own", [[0.5] * 60, [0.4] * 60])
def test_a_model_that_cannot_tell_refuses_nothing(own: list[float]) -> None:
    assert between(own, [0.5] * 64) == OPEN


def test_a_squeezed_model_has_a_squeezed_gate() -> None:
    gate = between([0.86 + n / 1000 for n in range(100)], [0.75] * 64)
    assert 0.75 < gate.abstain < gate.warn < 0.86


def test_indexing_finds_the_gate_once_and_again_when_the_store_has_grown(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        place.embedder = embedder = Unmeasured()
        assert gate_of(place.library, embedder) == OPEN
        filled(place, 12)
        found = gate_of(place.library, embedder)
        assert 0 < found.abstain < found.warn < 1
        assert set(OFF_TOPIC) <= set(embedder.asked)
        embedder.asked.clear()
        filled(place, 1, seed=6)
        assert OFF_TOPIC[0] not in embedder.asked
        assert gate_of(place.library, embedder) == found
        filled(place, 40, seed=7)
        assert set(OFF_TOPIC) <= set(embedder.asked)


def test_the_gate_that_was_found_divides_own_questions_from_others(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        place.embedder = embedder = Unmeasured()
        filled(place, 30)
        gate = gate_of(place.library, embedder)
        own = [judge(gate, place.search(text).best_cosine) for text in own_questions(place.library)]
        off = [judge(gate, place.search(text).best_cosine) for text in OFF_TOPIC]
        assert own.count("abstain") <= 0.02 * len(own)
        assert off.count("abstain") >= 0.6 * len(off)


def test_a_gate_is_never_anothers(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        place.embedder = Unmeasured()
        filled(place, 12)
        other = Unmeasured()
        other.fingerprint = "0" * 64
        assert gate_of(place.library, other) == OPEN
        assert gate_of(place.library, WordEmbedder()) == gate_at(0.1)


def test_a_gate_that_was_measured_by_hand_is_left_alone(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        filled(place, 12)
        assert place.library.note("gate") is None


def test_a_handful_of_passages_measures_nothing(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        place.embedder = embedder = Unmeasured()
        filled(place, 2)
        assert gate_of(place.library, embedder) == OPEN


def test_own_questions_are_the_same_each_time_also_behind_gaps(tmp_path: Path) -> None:
    with notes(tmp_path) as place:
        filled(place, 12)
        first = list(own_questions(place.library))
        assert first == list(own_questions(place.library))
        assert len(first) == 36 < OWN
        place.write("5-3.md", "gone")
        place.update()
        assert 30 <= len(list(own_questions(place.library))) < 36
