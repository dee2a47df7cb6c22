"""Peeking at SmolLM2: a vocabulary of 49,152, the usual chain, the same numbers as numpy over the same logits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from tests.engine import independent
from tests.engine.peeked import Bench, assert_chain
from tests.engine.test_scoring_real import smollm

from llmchat_engine.host.llama import Llama
from llmchat_engine.types import Sampling

pytestmark = pytest.mark.real_model


@pytest.fixture(scope="module")
def bench(llama: Llama) -> Iterator[Bench]:
    bench = Bench(llama, smollm())
    yield bench
    bench.context.close()
    bench.model.close()


@pytest.mark.parametrize("text", ["The cat sat on the", "The capital of France is", "def add(a, b):\n    return"])
@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.7])
def test_before_and_after_each_filter_it_is_the_softmax_of_the_same_logits(
    bench: Bench, text: str, temperature: float
) -> None:
    prompt = bench.model.vocab.tokenize(text, special=False)
    peeked = bench.peek(Sampling(temperature=temperature, top_k=40, top_p=0.95, min_p=0.05), prompt=prompt)
    row = bench.context.logits().astype("float64")
    steps = (
        ("top_k(40)", partial(independent.top_k, count=40)),
        ("top_p(0.95)", partial(independent.top_p, share=0.95)),
        ("min_p(0.05)", partial(independent.min_p, share=0.05)),
        (f"temp({temperature:g})", partial(independent.temperature, value=temperature)),
    )
    assert_chain(peeked, row, steps)


@pytest.mark.parametrize(
    ("sampling", "steps"),
    [
        (
            Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=0.6),
            [("typical(0.6)", partial(independent.typical, share=0.6))],
        ),
        (
            Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, top_n_sigma=1.0),
            [("top_n_sigma(1)", partial(independent.top_n_sigma, count=1.0))],
        ),
    ],
    ids=["typical", "top-n-sigma"],
)
def test_a_filter_over_the_whole_vocabulary(
    bench: Bench, sampling: Sampling, steps: list[tuple[str, independent.Step]]
) -> None:
    peeked = bench.peek(sampling, prompt=bench.model.vocab.tokenize("The cat sat on the", special=False))
    assert_chain(peeked, bench.context.logits().astype("float64"), steps)


def test_top_p_over_the_whole_vocabulary(bench: Bench) -> None:
    """llama.cpp adds up thousands of probabilities in float32: its border is 6e-5 off, the probabilities are not."""
    sampling = Sampling(temperature=1.0, top_k=0, top_p=0.9, min_p=0.0)
    peeked = bench.peek(sampling, prompt=bench.model.vocab.tokenize("The cat sat on the", special=False))
    row = bench.context.logits().astype("float64")
    kept = next(stage.kept for stage in peeked.stages if stage.name == "top_p(0.9)")
    fewest, most = (len(np.flatnonzero(independent.top_p(row, share) > -np.inf)) for share in (0.8998, 0.9002))
    assert fewest <= kept <= most
    assert_chain(peeked, row, [("top_p(0.9)", partial(independent.top_k, count=kept))])
