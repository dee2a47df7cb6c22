"""A model in this process that is peeked at, and what is told checked against numpy. Knows no sockets."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.engine import independent
from tests.engine.decoding import decoder_of, small_context

from llmchat_engine.answers import Candidate
from llmchat_engine.events import Filter, Peeked, Prefill, Restored
from llmchat_engine.host.cache import Want
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.host.peeking import Peeker
from llmchat_engine.host.scoring import Ground
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import Sampling

PROMPT = [280 + (7 * index + index * index) % 200 for index in range(40)]
BARE = Sampling(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, seed=3)
"""Stages that keep everything."""
EXACT = 1e-5
"""Of a probability."""
TOLD = 12


class Bench:
    """A model that has read a prompt."""

    def __init__(self, llama: Llama, path: Path) -> None:
        self.llama, self.model = llama, Model(llama, str(path))
        self.context = small_context(llama, self.model)
        self.decoder = decoder_of(llama, self.model, self.context)
        self.stopped = False
        self.peeker = Peeker(self.model, self.context, self.read)

    def read(self, ids: Sequence[int], cells: int) -> Generator[Restored | Prefill, None, Ground | None]:
        self.context.abort(self.stopped)
        taken = yield from self.decoder.feeder.read(list(ids), Want(room=cells))
        self.context.abort(False)
        return None if len(self.decoder.cache.ids) < len(ids) else Ground(0, (), taken.cached)

    def peek(self, sampling: Sampling, count: int = TOLD, prompt: Sequence[int] = PROMPT) -> Peeked:
        *_, last = self.peeker.peek(prompt, resolve(sampling, DEFAULTS), count)
        assert isinstance(last, Peeked)
        return last

    def row(self) -> independent.Row:
        self.peek(BARE)
        return self.context.logits().astype(np.float64)


def assert_told(told: Sequence[Candidate], probabilities: independent.Row, among: npt.NDArray[np.bool_]) -> None:
    """Checks that the likeliest are told, in order, each with its probability."""
    ranked = sorted(np.flatnonzero(among), key=lambda token: (-probabilities[token], token))
    assert len(told) == min(TOLD, len(ranked))
    for one, token in zip(told, ranked, strict=False):
        assert abs(math.exp(one.logprob) - probabilities[one.id]) < EXACT
        assert abs(probabilities[one.id] - probabilities[token]) < EXACT  # equal ones in any order


def assert_stage(stage: Filter, before: independent.Row, after: independent.Row) -> None:
    """Checks one stage against what numpy makes of the row before it."""
    gone = (before > -np.inf) & (after == -np.inf)
    assert stage.kept == np.count_nonzero(after > -np.inf)
    assert_told(stage.top, independent.softmax(after), after > -np.inf)
    assert_told(stage.removed, independent.softmax(before), gone)
    assert abs(stage.lost - independent.softmax(before)[gone].sum()) < EXACT


def assert_chain(peeked: Peeked, row: independent.Row, steps: Sequence[tuple[str, independent.Step]]) -> None:
    """Checks a whole chain: stages that take nothing away are left out of `steps`."""
    names = [stage.name for stage in peeked.stages]
    assert names[0] == "softmax"
    assert_stage(peeked.stages[0], row, row)
    by_name = dict(steps)
    assert set(by_name) <= set(names)
    for stage in peeked.stages[1:]:
        after = by_name[stage.name](row) if stage.name in by_name else row
        assert_stage(stage, row, after)
        row = after
