"""The array that a chain works on: what is left of it can be told whatever the stage did to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.host.candidates import Candidates
from llmchat_engine.host.llama import Llama, sampler_chain
from llmchat_engine.host.model import Model
from llmchat_engine.sampling import Stage

ROW = np.array([5, 4.9, 4.8, 1, 0, -1, -2, -3, -4, -5], np.float32)


@pytest.fixture(scope="module")
def model(llama: Llama, models: Path) -> Iterator[Model]:
    model = Model(llama, str(tiny_llama(models / "candidates.gguf")))
    yield model
    model.close()


@pytest.mark.parametrize(
    ("stage", "left"),
    [
        (("xtc", (1.0, 0.1, 1, 3)), {2, 3, 4, 5, 6, 7, 8, 9}),  # it moves the beginning of the array
        (("top_n_sigma", (0.5,)), {0, 1, 2}),  # it rules out in place
        (("top_p", (0.5, 1)), {0, 1}),
        (("top_k", (3,)), {0, 1, 2}),
        (("min_p", (0.9, 1)), {0, 1}),
        (("temp", (0.5,)), set(range(10))),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_left_is_told_again_and_again(llama: Llama, model: Model, stage: Stage, left: set[int]) -> None:
    candidates = Candidates(llama.c, len(ROW))
    for _ in range(3):
        candidates.fill(ROW)
        with sampler_chain(llama, model.vocab, [stage]) as chain:
            chain.apply(candidates)
        ids, logits = candidates.allowed()
        assert set(ids) == left
        assert np.allclose(logits, ROW[ids] * (2 if stage[0] == "temp" else 1))


def test_the_chosen_one_is_the_chosen_one_behind_xtc(llama: Llama, model: Model) -> None:
    candidates = Candidates(llama.c, len(ROW))
    stages: list[Stage] = [("top_k", (3,)), ("xtc", (1.0, 0.1, 1, 3)), ("dist", (3,))]
    for _ in range(3):
        candidates.fill(ROW)
        with sampler_chain(llama, model.vocab, stages) as chain:
            assert chain.choose(candidates) == 2
