"""The gate on real vectors: questions off the topic are refused, those with an answer are not.

Needs SciFact (`LLMCHAT_DATA`, else `../shared/data`) and the embedding model; skipped without. The vectors of its 5,183
abstracts are made once, with LLMCHAT_SCIFACT=1, in minutes, and kept in pytest's cache.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.rag.answering import DATA

from llmchat_rag.calibration import OFF_TOPIC, OWN, between
from llmchat_rag.embed import open_embedder
from llmchat_rag.errors import EmbedderMissing
from llmchat_rag.evaluate import read_corpus, read_questions
from llmchat_rag.gate import Gate, gate_at, judge
from llmchat_rag.made import half_a_sentence

if TYPE_CHECKING:
    from llmchat_rag.embed.opening import LocalEmbedder
    from llmchat_rag.types import Vectors

SCIFACT = Path(os.environ.get("LLMCHAT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "scifact"


def off_topic() -> list[str]:
    lines = (DATA / "off-topic.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def test_there_are_a_hundred_different_questions() -> None:
    assert len(set(off_topic())) == 100


@pytest.fixture(scope="module")
def cache(request: pytest.FixtureRequest) -> Path:
    store = request.config.cache
    if store is None:
        pytest.skip("pytest runs without its cache, where the vectors are kept")
    return store.mkdir("scifact")


@pytest.fixture(scope="module")
def embedder(cache: Path) -> LocalEmbedder:
    if not SCIFACT.is_dir():
        pytest.skip("SciFact is not beside the repository")
    try:
        return open_embedder("", cache)
    except EmbedderMissing as error:
        pytest.skip(f"no embedding model: {error}")


@pytest.fixture(scope="module")
def corpus(embedder: LocalEmbedder, cache: Path) -> Vectors:
    kept = cache / f"abstracts-{embedder.fingerprint}.npy"
    if kept.is_file():
        loaded: Vectors = np.load(kept, allow_pickle=False)
        return loaded
    if os.environ.get("LLMCHAT_SCIFACT") != "1":
        pytest.skip("its vectors are not made yet: LLMCHAT_SCIFACT=1 pytest tests/rag/test_off_topic.py")
    vectors = embedder.encode_passages([f"{text.title}\n{text.body}" for text in read_corpus(SCIFACT)])
    np.save(kept, vectors.astype(np.float32), allow_pickle=False)
    return vectors


def nearest(questions: Sequence[str], embedder: LocalEmbedder, corpus: Vectors) -> list[float]:
    return [float((corpus @ embedder.encode_query(question)).max()) for question in questions]


def refused(cosines: list[float], gate: Gate) -> float:
    """Returns the share that is refused."""
    return sum(judge(gate, cosine) == "abstain" for cosine in cosines) / len(cosines)


@pytest.mark.timeout(1800)
def test_questions_off_the_topic_are_refused_and_answerable_ones_are_not(
    embedder: LocalEmbedder, corpus: Vectors
) -> None:
    answerable = list(read_questions(SCIFACT, "test").texts.values())
    assert len(answerable) == 300
    off, own = (nearest(questions, embedder, corpus) for questions in (off_topic(), answerable))
    for gate in (gate_at(embedder.gate), found_gate(embedder, corpus)):
        print(
            f"gate {gate.abstain:.3f}: off topic refused {refused(off, gate):.0%}, answerable {refused(own, gate):.1%}"
        )
        assert refused(off, gate) >= 0.60
        assert refused(own, gate) <= 0.01


@pytest.mark.timeout(1800)
def test_the_gate_that_indexing_finds_is_near_the_one_that_was_measured_by_hand(
    embedder: LocalEmbedder, corpus: Vectors
) -> None:
    gate, by_hand = found_gate(embedder, corpus), gate_at(embedder.gate)
    assert gate.abstain == pytest.approx(by_hand.abstain, abs=0.05)
    assert gate.warn == pytest.approx(by_hand.warn, abs=0.05)


def test_the_questions_of_the_product_are_none_of_those_it_is_tested_with() -> None:
    assert not set(OFF_TOPIC) & set(off_topic())
    assert len(set(OFF_TOPIC)) == 64


def found_gate(embedder: LocalEmbedder, corpus: Vectors) -> Gate:
    """Returns what indexing would find, had the embedder no gate of its own."""
    chosen = random.Random(0)
    bodies = chosen.sample([text.body for text in read_corpus(SCIFACT)], OWN)
    own = [question for body in bodies if (question := half_a_sentence(body, chosen))]
    return between(nearest(own, embedder, corpus), nearest(OFF_TOPIC, embedder, corpus))
