"""Probabilities out of the decode loop are those of the rows that the tokens were drawn from; what they cost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.answers import TokenLogprob
from llmchat_engine.events import Finished, Token
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.logprobs import token_logprob
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

LARGE = 152_064
"""Qwen's vocabulary."""
PROMPT = list(range(300, 330))
DRAWN = resolve(Sampling(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0, seed=4, max_tokens=25), DEFAULTS)


class Bench:
    """A model, a context and a decoder."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.model = Model(llama, str(path))
        self.context = small_context(llama, self.model)
        self.decoder = decoder_of(llama, self.model, self.context)

    def run(self, manner: Manner) -> tuple[list[TokenLogprob], Finished]:
        self.decoder.cache.truncate(0)
        *events, last = self.decoder.generate(PROMPT, manner, Want(exact=True))
        assert isinstance(last, Finished)
        told = [logprob for event in events if isinstance(event, Token) for logprob in event.logprobs]
        return told, last

    def close(self) -> None:
        self.context.close()
        self.model.close()


@pytest.fixture(scope="module")
def small(llama: Llama, models: Path) -> Iterator[Bench]:
    bench = Bench(llama, tiny_llama(models / "told.gguf"))
    yield bench
    bench.close()


def test_every_token_is_told_with_the_softmax_of_the_row_it_was_drawn_from(small: Bench) -> None:
    told, finished = small.run(Manner(DRAWN, logprobs=3))
    assert tuple(one.id for one in told) == finished.token_ids
    small.decoder.cache.truncate(0)
    small.context.clear()
    small.context.decode(PROMPT[:-1], 0, 0)  # as a prompt is read: its last token alone
    for at, (token, one) in enumerate(zip((PROMPT[-1], *finished.token_ids), told, strict=False), len(PROMPT) - 1):
        small.context.decode([token], at, 0)
        row = small.context.logits().astype(np.float64)
        exact = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
        for known, found in ((one.id, one.logprob), *((other.id, other.logprob) for other in one.top)):
            assert abs(math.exp(found) - exact[known]) < 1e-5
            assert abs(found - math.log(exact[known])) < 1e-5
        assert [other.id for other in one.top] == [int(token) for token in np.argsort(-exact)[:3]]
    small.context.clear()


def test_nothing_is_read_where_nothing_is_asked_for(small: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked = small.run(Manner(DRAWN, logprobs=3))
    monkeypatch.setattr(small.context, "logits", lambda _index=-1: pytest.fail("a row was read"))
    told, finished = small.run(Manner(DRAWN))
    assert (told, finished.token_ids) == ([], asked.token_ids)


def test_at_a_vocabulary_of_152_000_a_token_costs_less_than_a_millisecond_and_a_half(
    llama: Llama, models: Path
) -> None:
    """0.06 ms for the token alone and 0.25 to 0.4 with ten others, of a step of 2.2, on a busy machine."""
    bench = Bench(llama, tiny_llama(models / "large.gguf", vocab=LARGE, width=32, layers=1))
    taken = []
    for at, token in enumerate(PROMPT):
        bench.context.decode([token], at, 0)
        began = time.perf_counter()
        told = token_logprob(bench.context.logits(), token, 10, bench.model.vocab.text)
        taken.append(time.perf_counter() - began)
        assert len(told.top) == 10
    bench.close()
    print(f"median {1000 * sorted(taken)[len(taken) // 2]:.2f} ms, best {1000 * min(taken):.2f}")
    assert min(taken) < 0.0015
