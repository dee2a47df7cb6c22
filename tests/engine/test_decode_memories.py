"""Models whose memory cannot simply be cut back: after any detour they answer as on an empty cache.

Batches and single tokens differ in the last bits, so a run is led along the other's ids: at each place both choose the
same token, or the two best were less than 1.0 apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.engine.decoding import decoder_of, small_context
from tests.engine.tiny_gguf import tiny_gemma3_swa, tiny_mamba

from llmchat_engine.events import Finished, Prefill
from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

Rows = npt.NDArray[np.float32]
ONE = resolve(Sampling(temperature=0.0, max_tokens=1), DEFAULTS)


class Bench:
    """One model whose logits can be read behind every prompt."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.model = Model(llama, str(path))
        self.context = small_context(llama, self.model, 1024)
        self.decoder = decoder_of(llama, self.model, self.context)

    def logits(self, ids: list[int]) -> tuple[Rows, int]:
        """Returns the logits behind a prompt and how much of it was cached."""
        cached = 0
        for event in self.decoder.generate(ids, Manner(ONE), Want()):
            if isinstance(event, Prefill) and event.done == event.total:
                cached, row = event.cached, self.context.logits().copy()
        return row, cached

    def reply(self, ids: list[int], count: int) -> list[int]:
        sampling = resolve(Sampling(temperature=0.0, max_tokens=count), DEFAULTS)
        *_, last = self.decoder.generate(ids, Manner(sampling), Want())
        assert isinstance(last, Finished)
        return list(last.token_ids)

    def close(self) -> None:
        self.context.close()
        self.model.close()


@pytest.fixture(scope="module", params=["swa", "recurrent"])
def bench(request: pytest.FixtureRequest, llama: Llama, models: Path) -> Iterator[Bench]:
    make = {"swa": tiny_gemma3_swa, "recurrent": tiny_mamba}[request.param]
    bench = Bench(llama, make(models / f"{request.param}.gguf"))
    yield bench
    bench.close()


def prompt(length: int, first: int = 0) -> list[int]:
    return [280 + (7 * (first + index) + index * index) % 200 for index in range(length)]


def agree(one: Rows, other: Rows) -> bool:
    """Returns True where both rows choose the same token, or had hardly a choice."""
    second, first = np.sort(one)[-2:]
    return bool(one.argmax() == other.argmax() or first - second < 1.0)


def test_the_models_are_of_the_kind_they_are_here_for(bench: Bench) -> None:
    assert bench.model.is_recurrent or bench.model.n_swa == 64


@pytest.mark.parametrize("back", [1, 10, 100, 290])
def test_going_back_answers_as_an_empty_cache(bench: Bench, back: int) -> None:
    bench.decoder.cache.truncate(0)
    told = [*prompt(300), *bench.reply(prompt(300), 20)]
    branch = [*told[: 300 - back], *prompt(12, first=5)]
    row, cached = bench.logits(branch)
    checkpoint = 299 if back == 1 else 0
    assert cached == (checkpoint if bench.model.is_recurrent else 300 - back)
    bench.decoder.cache.truncate(0)
    fresh, cached = bench.logits(branch)
    assert cached == 0
    assert agree(fresh, row)
    assert float(abs(row - fresh).max()) < 0.5


def test_a_detour_does_not_change_what_comes_next(bench: Bench) -> None:
    bench.decoder.cache.truncate(0)
    reply = bench.reply(prompt(200), 30)
    for step in range(0, 30, 6):
        led = [*prompt(200), *reply[:step]]
        bench.logits([*led[:150], *prompt(40, first=step)])
        row, _ = bench.logits(led)
        bench.decoder.cache.truncate(0)
        fresh, _ = bench.logits(led)
        assert agree(fresh, row)


def test_going_on_needs_no_second_prefill(bench: Bench) -> None:
    bench.decoder.cache.truncate(0)
    reply = bench.reply(prompt(200), 10)
    _, cached = bench.logits([*prompt(200), *reply, *prompt(5, first=1)])
    assert cached == 200 + len(reply) - 1


def test_a_stopped_decode_leaves_a_usable_memory(bench: Bench) -> None:
    bench.decoder.cache.truncate(0)
    fresh, _ = bench.logits(prompt(700))
    bench.decoder.cache.truncate(0)
    for event in bench.decoder.generate(prompt(700), Manner(ONE), Want()):
        if isinstance(event, Prefill) and event.done == 512:
            bench.context.abort()
    bench.context.abort(False)
    row, _ = bench.logits(prompt(700))
    assert agree(fresh, row)
