"""What each sampler does to real logits: extremes whose outcome can be told from the row itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Finished, Prefill
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

FREE = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=3, max_tokens=1)
"""Nothing is filtered: any token of the vocabulary may come."""
PROMPT = [280 + (7 * index + index * index) % 200 for index in range(40)]


class Bench:
    """One model, asked for one token or a few."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.model = Model(llama, str(path))
        self.context = small_context(llama, self.model)
        self.decoder = decoder_of(llama, self.model, self.context)

    def ids(self, sampling: Sampling, prompt: list[int] = PROMPT) -> tuple[int, ...]:
        *_, last = self.decoder.generate(prompt, Manner(resolve(sampling, DEFAULTS)), Want())
        assert isinstance(last, Finished)
        return last.token_ids

    def firsts(self, sampling: Sampling, count: int = 40) -> set[int]:
        """Returns the first tokens of many seeds."""
        return {self.ids(replace(sampling, seed=seed))[0] for seed in range(count)}

    def row(self) -> np.ndarray:
        for event in self.decoder.generate(PROMPT, Manner(resolve(FREE, DEFAULTS)), Want()):
            if isinstance(event, Prefill) and event.done == event.total:
                return self.context.logits().astype(np.float64)
        raise AssertionError("no row")


@pytest.fixture(scope="module")
def bench(llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, tiny_llama(models / "samplers.gguf"))
    yield bench
    bench.context.close()
    bench.model.close()


@pytest.fixture
def likeliest(bench: Bench) -> list[int]:
    """All tokens, the likeliest first."""
    return [int(token) for token in np.argsort(-bench.row(), kind="stable")]


def test_unfiltered_many_tokens_come(bench: Bench) -> None:
    assert len(bench.firsts(FREE)) > 10


def test_a_token_can_be_forced_and_forbidden(bench: Bench, likeliest: list[int]) -> None:
    greedy = replace(FREE, temperature=0.0)
    assert bench.ids(replace(greedy, logit_bias=(f"#{likeliest[200]}=1000",))) == (likeliest[200],)
    assert bench.ids(replace(greedy, logit_bias=(f"#{likeliest[0]}=-inf",))) == (likeliest[1],)
    with pytest.raises(RequestInvalid, match="there is no token"):
        bench.ids(replace(greedy, logit_bias=("#512=1",)))


def test_top_n_sigma_keeps_what_is_near_the_highest_logit(bench: Bench) -> None:
    row = bench.row()
    kept = set(np.flatnonzero(row >= row.max() - 0.5 * row.std()))
    assert bench.firsts(replace(FREE, top_n_sigma=0.5)) <= kept
    assert len(kept) < 100


def test_typical_leaves_out_what_surprises_too_much_or_too_little(bench: Bench) -> None:
    row = bench.row()
    shares = np.exp(row - row.max())
    shares /= shares.sum()
    surprise = -np.log(shares)
    nearest = np.argsort(np.abs(surprise - (shares * surprise).sum()), kind="stable")
    kept = int(np.searchsorted(np.cumsum(shares[nearest]), 0.05)) + 2
    assert bench.firsts(replace(FREE, typical_p=0.05)) <= set(nearest[:kept])


def test_xtc_excludes_the_top_choices(bench: Bench, likeliest: list[int]) -> None:
    assert likeliest[0] in bench.firsts(replace(FREE, temperature=0.2))
    xtc = replace(FREE, temperature=0.2, xtc_probability=1.0, xtc_threshold=0.0)
    assert bench.firsts(xtc) == {likeliest[-1]}


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_without_surprise_takes_the_likeliest(bench: Bench, likeliest: list[int], version: int) -> None:
    assert bench.firsts(replace(FREE, mirostat=version, mirostat_tau=0.0), 8) <= set(likeliest[:2])


def test_dynamic_temperature_is_not_the_plain_one(bench: Bench) -> None:
    plain = [bench.ids(replace(FREE, seed=seed, max_tokens=12)) for seed in range(5)]
    moved = [bench.ids(replace(FREE, seed=seed, max_tokens=12, dynatemp_range=0.9)) for seed in range(5)]
    assert plain != moved


def test_penalties_see_the_end_of_the_prompt(bench: Bench) -> None:
    forced = replace(FREE, temperature=0.0, logit_bias=(f"#{PROMPT[3]}=30",))
    assert bench.ids(forced) == (PROMPT[3],)
    hard = replace(forced, presence_penalty=50.0)
    assert bench.ids(hard) != (PROMPT[3],)
    assert bench.ids(replace(hard, penalty_last_n=-1)) != (PROMPT[3],)
    assert bench.ids(replace(hard, penalty_last_n=10)) == (PROMPT[3],)
    assert bench.ids(replace(hard, penalty_last_n=0)) == (PROMPT[3],)


def test_dry_ends_a_run_that_repeats_the_prompt(bench: Bench) -> None:
    run = [281, 305, 333, 290, 412, 377, 309, 350]
    greedy = replace(FREE, temperature=0.0)
    prompt = [*run, 299, *run[:-1]]
    forced = replace(greedy, logit_bias=(f"#{run[-1]}=30",))
    assert bench.ids(forced, prompt) == (run[-1],)
    dry = replace(forced, dry_multiplier=5.0, dry_base=3.0, dry_allowed_length=2, dry_last_n=-1)
    assert bench.ids(dry, prompt) != (run[-1],)
    assert bench.ids(replace(dry, dry_last_n=4), prompt) == (run[-1],)
