"""How a reply went, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from llmchat_engine import Finished, Restored, Sampling
from llmchat_engine.answers import StopReason
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.cli.usage import usage_block, usage_line

FINISHED = Finished(
    "eog", "text", (1, 2, 3), 1200, 1000, 200, 41, 0.125, 0.1, 2.0, Sampling(temperature=0.0, seed=7, stop=())
)


def rows(finished: Finished = FINISHED, load: float = 0.5) -> dict[str, str]:
    block = usage_block(finished, FAKE_MODEL, load)
    return {line[:12].strip(): line[12:] for line in block.splitlines()}


def test_the_line() -> None:
    assert usage_line(FINISHED) == ("1,200 prompt (1,000 cached) + 41 reply tokens · 20.0 tok/s · first token 0.12 s")


def test_the_block() -> None:
    found = rows()
    assert found["model"] == "fake-1B · Q4_1 · 2,048 of 2,048 tokens of context"
    assert found["runs on"] == "CPU · 1 threads"
    assert found["load"] == "0.50 s"
    assert found["prompt"] == "1,200 tokens, 1,000 from the cache"
    assert found["prefill"] == "200 tokens in 0.10 s · 2000 tok/s"
    assert found["decode"] == "20.0 tok/s"
    assert found["chosen by"] == "greedy"


def test_what_the_cache_saved_and_what_it_did_not() -> None:
    finished = replace(
        FINISHED, restored=Restored(812, 0.0114, "disk"), shifted_tokens=1030, recomputed="the date changed"
    )
    found = rows(finished)
    assert found["restored"] == "812 tokens from disk in 11 ms"
    assert (found["moved up"], found["recomputed"]) == ("1,030 tokens", "the date changed")
    told = " · restored 812 tokens from disk in 11 ms · moved up 1,030 tokens · recomputed the date changed"
    assert usage_line(finished) == usage_line(FINISHED) + told
    assert not {"restored", "moved up", "recomputed"} & set(rows())


def test_a_model_that_was_loaded_already_and_a_gpu() -> None:
    assert rows(load=0.0)["load"] == "was loaded"
    model = replace(FAKE_MODEL, gpu_layers=24, devices=("CUDA0",))
    assert "CUDA0 · 24 layers" in usage_block(FINISHED, model, 0.0)


@pytest.mark.parametrize("reason", get_args(StopReason))
def test_every_reason_has_words(reason: StopReason) -> None:
    assert rows(replace(FINISHED, reason=reason))["ended by"]


def test_nothing_generated_divides_by_nothing() -> None:
    nothing = replace(FINISHED, prefilled_tokens=0, prefill_seconds=0.0, decode_seconds=0.0, reply_tokens=0)
    assert rows(nothing)["prefill"] == "0 tokens in 0.00 s · 0 tok/s"
    assert "0.0 tok/s" in usage_line(nothing)
