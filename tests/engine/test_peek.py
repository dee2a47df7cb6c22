"""What peeking tells, against the same samplers in numpy over the same logits; and its ends and refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.engine import independent
from tests.engine.peeked import BARE, EXACT, PROMPT, TOLD, Bench, assert_chain, assert_stage
from tests.engine.rig import SEED
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import ContextFull, GenerationFailed, RequestInvalid
from llmchat_engine.events import Peeked
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.peeking import MOST_TOLD, chain_of, filters
from llmchat_engine.sampling import DEFAULTS, looks_back, resolve
from llmchat_engine.types import Sampling


@pytest.fixture(scope="module")
def bench(llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, tiny_llama(models / "peeked.gguf"))
    yield bench
    bench.context.close()
    bench.model.close()


@dataclass(frozen=True)
class Case:
    """A sampling, and what it is in numpy."""

    sampling: Sampling
    steps: tuple[tuple[str, independent.Step], ...]


ONE_BY_ONE = {
    "top-k": Case(replace(BARE, top_k=7), (("top_k(7)", partial(independent.top_k, count=7)),)),
    "top-p": Case(replace(BARE, top_p=0.4), (("top_p(0.4)", partial(independent.top_p, share=0.4)),)),
    "min-p": Case(replace(BARE, min_p=0.3), (("min_p(0.3)", partial(independent.min_p, share=0.3)),)),
    "temperature": Case(replace(BARE, temperature=0.6), (("temp(0.6)", partial(independent.temperature, value=0.6)),)),
    "typical": Case(replace(BARE, typical_p=0.5), (("typical(0.5)", partial(independent.typical, share=0.5)),)),
    "top-n-sigma": Case(
        replace(BARE, top_n_sigma=1.0), (("top_n_sigma(1)", partial(independent.top_n_sigma, count=1.0)),)
    ),
    "xtc": Case(
        replace(BARE, top_k=9, xtc_probability=1.0, xtc_threshold=0.1),
        (("top_k(9)", partial(independent.top_k, count=9)), ("xtc(1, 0.1)", partial(independent.xtc, threshold=0.1))),
    ),
    "the usual chain": Case(
        Sampling(temperature=0.7, top_k=30, top_p=0.9, min_p=0.02, typical_p=0.95),
        (
            ("top_k(30)", partial(independent.top_k, count=30)),
            ("typical(0.95)", partial(independent.typical, share=0.95)),
            ("top_p(0.9)", partial(independent.top_p, share=0.9)),
            ("min_p(0.02)", partial(independent.min_p, share=0.02)),
            ("temp(0.7)", partial(independent.temperature, value=0.7)),
        ),
    ),
    "typical behind top-n-sigma": Case(
        replace(BARE, typical_p=0.5, top_n_sigma=1.5),
        (
            ("top_n_sigma(1.5)", partial(independent.top_n_sigma, count=1.5)),
            ("typical(0.5)", partial(independent.typical, share=0.5)),
        ),
    ),
    "typical behind a bias": Case(
        replace(BARE, typical_p=0.5, logit_bias=("#300=-inf",)),
        (
            ("logit_bias(#300=-inf)", lambda row: independent.only(row, np.arange(len(row)) != 300)),
            ("typical(0.5)", partial(independent.typical, share=0.5)),
        ),
    ),
    "behind top-n-sigma": Case(
        Sampling(temperature=1.5, top_k=30, top_p=0.9, min_p=0.02, top_n_sigma=2.0),
        (
            ("top_n_sigma(2)", partial(independent.top_n_sigma, count=2.0)),
            ("top_k(30)", partial(independent.top_k, count=30)),
            ("top_p(0.9)", partial(independent.top_p, share=0.9)),
            ("min_p(0.02)", partial(independent.min_p, share=0.02)),
            ("temp(1.5)", partial(independent.temperature, value=1.5)),
        ),
    ),
}


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_each_stage_is_what_numpy_makes_of_the_same_logits(bench: Bench, name: str) -> None:
    case, row = ONE_BY_ONE[name], bench.row()
    assert_chain(bench.peek(case.sampling), row, case.steps)


@pytest.mark.parametrize("name", ONE_BY_ONE)
@pytest.mark.parametrize("spread", [0.5, 2.0, 6.0])
def test_so_it_is_over_random_logits(bench: Bench, name: str, spread: float) -> None:
    case = ONE_BY_ONE[name]
    row = (np.random.default_rng((SEED, int(spread * 10))).standard_normal(512) * spread).astype(np.float32)
    assert_chain(seen_of(bench, row, case.sampling), row.astype(np.float64), case.steps)


def seen_of(bench: Bench, row: npt.NDArray[np.float32], sampling: Sampling) -> Peeked:
    """Returns what is told of a row that no model made."""
    resolved, vocab = resolve(sampling, DEFAULTS), bench.model.vocab
    tail = PROMPT[len(PROMPT) - looks_back(resolved, len(PROMPT)) :]
    stages = tuple(filters(bench.llama, vocab, row, chain_of(resolved, vocab, 1024), tail, TOLD))
    return Peeked(stages, 0.0, len(PROMPT), 0, 0.0)


def test_biases_and_penalties_change_logits_and_take_what_is_forbidden(bench: Bench) -> None:
    row = bench.row()
    likeliest = int(row.argmax())
    sampling = replace(BARE, logit_bias=(f"#{likeliest}=-inf", "#300=2.5"), repeat_penalty=1.3, penalty_last_n=20)
    biased = row.copy()
    biased[likeliest], biased[300] = -np.inf, row[300] + 2.5
    punished = biased.copy()
    for token in set(PROMPT[-20:]):
        punished[token] *= 1.3 if punished[token] <= 0 else 1 / 1.3
    bias, penalty, *_ = bench.peek(sampling).stages[1:]
    assert bias.name == f"logit_bias(#{likeliest}=-inf, #300=2.5)"
    assert [one.id for one in bias.removed] == [likeliest]
    assert_stage(bias, row, biased)
    assert penalty.name.startswith("penalties(")
    assert_stage(penalty, biased, punished)


def test_the_draw_is_no_filter_and_greedy_keeps_one(bench: Bench) -> None:
    drawn = bench.peek(Sampling(seed=1))
    assert [stage.name for stage in drawn.stages] == ["softmax", "top_k(40)", "top_p(0.95)", "min_p(0.05)", "temp(0.8)"]
    greedy = bench.peek(Sampling(temperature=0.0))
    first, last = greedy.stages
    assert (last.name, last.kept, last.top[0].id) == ("greedy", 1, first.top[0].id)
    assert last.top[0].logprob == 0.0
    assert [one.id for one in last.removed[:11]] == [one.id for one in first.top[1:]]


def test_mirostat_stands_in_the_place_of_the_filters(bench: Bench) -> None:
    peeked = bench.peek(Sampling(mirostat=2, mirostat_tau=2.0, seed=5))
    assert [stage.name for stage in peeked.stages] == ["softmax", "temp(0.8)", "mirostat_v2(2, 0.1)"]
    assert 1 <= peeked.stages[-1].kept < 512


def test_the_entropy_is_that_of_the_models_own_softmax(bench: Bench) -> None:
    probabilities = independent.softmax(bench.row())
    expected = -float((probabilities * np.log(probabilities)).sum())
    assert abs(bench.peek(Sampling(temperature=0.2)).entropy - expected) < EXACT


def test_asked_again_the_prompt_comes_from_the_cache(bench: Bench) -> None:
    bench.decoder.cache.truncate(0)
    first, again = bench.peek(BARE), bench.peek(Sampling(temperature=0.3))
    assert (first.prompt_tokens, first.cached_tokens) == (40, 0)
    assert (again.prompt_tokens, again.cached_tokens) == (40, 39)


def test_a_peek_that_is_stopped_tells_nothing(bench: Bench) -> None:
    bench.decoder.cache.truncate(0)
    bench.stopped = True
    try:
        events = list(bench.peeker.peek(PROMPT, resolve(BARE, DEFAULTS), 5))
    finally:
        bench.stopped = False
    assert not any(isinstance(event, Peeked) for event in events)


def test_counts(bench: Bench) -> None:
    assert bench.peek(BARE, 0).stages[0].top == ()
    assert len(bench.peek(BARE, 600).stages[0].top) == 512
    for count in (-1, MOST_TOLD + 1):
        with pytest.raises(RequestInvalid, match="cannot be told"):
            bench.peek(BARE, count)


def test_what_cannot_be_used_is_refused(bench: Bench) -> None:
    with pytest.raises(RequestInvalid, match="there is no token"):
        bench.peek(replace(BARE, logit_bias=("#512=1",)))
    with pytest.raises(ContextFull):
        bench.peek(BARE, prompt=PROMPT * 30)
    broken = np.full(512, np.nan, np.float32)
    with pytest.raises(GenerationFailed, match="no probabilities"):
        seen_of(bench, broken, BARE)


def test_a_large_vocabulary_takes_no_time(llama: Llama, models: Path) -> None:
    """152,000 tokens through seven stages: 45 ms measured on one core, 500 allowed on a busy machine."""
    bench = Bench(llama, tiny_llama(models / "large-vocabulary.gguf", vocab=152_000, width=32, layers=1))
    sampling = Sampling(temperature=0.7, top_n_sigma=3.0, typical_p=0.99, xtc_probability=1.0, repeat_penalty=1.1)
    bench.peek(sampling)
    began = time.thread_time()
    peeked = bench.peek(sampling)
    took = time.thread_time() - began
    bench.context.close()
    bench.model.close()
    print(f"{took * 1000:.0f} ms")
    assert len(peeked.stages) == 9
    assert took < 0.5
