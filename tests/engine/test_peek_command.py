"""`llmchat next` against logits that are computed here, in another process than those it tells of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.engine import independent
from tests.engine.decoding import small_context
from tests.engine.independent import Step
from tests.tui.real_host import RealHome, real_home

from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model


def probabilities(told: list[dict[str, Any]]) -> dict[int, float]:
    return {one["id"]: one["probability"] for one in told}


@pytest.fixture(scope="module")
def real() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


def test_before_and_after_each_filter_it_is_the_softmax_of_the_models_logits(real: RealHome, llama: Llama) -> None:
    text = "bado keki lomu"
    told = json.loads(
        real.llmchat("next", text, "--json", "-k", "500", "--top-k", "50", "--top-p", "0.7", "--temp", "0.6").out
    )
    model = Model(llama, str(real.model), extra_buffers=False)
    context = small_context(llama, model)
    ids = model.vocab.tokenize(text, special=False)
    ids = [model.vocab.bos, *ids] if model.vocab.add_bos else ids
    assert context.decode(ids, 0)
    row = context.logits().astype(np.float64)
    context.close()
    model.close()
    steps: dict[str, Step] = {
        "softmax": np.asarray,
        "top_k(50)": partial(independent.top_k, count=50),
        "top_p(0.7)": partial(independent.top_p, share=0.7),
        "min_p(0.05)": partial(independent.min_p, share=0.05),
        "temp(0.6)": partial(independent.temperature, value=0.6),
    }
    assert told["prompt_tokens"] == len(ids)
    assert [stage["name"] for stage in told["stages"]] == list(steps)
    for stage, step in zip(told["stages"], steps.values(), strict=True):
        before, row = row, step(row)
        kept, gone = np.flatnonzero(row > -np.inf), np.flatnonzero((before > -np.inf) & (row == -np.inf))
        assert stage["kept"] == len(kept)
        assert set(probabilities(stage["top"])) <= set(kept)
        assert set(probabilities(stage["removed"])) <= set(gone)
        for found, logits in ((stage["top"], row), (stage["removed"], before)):
            expected = independent.softmax(logits)
            assert all(abs(share - expected[token]) < 1e-5 for token, share in probabilities(found).items())
