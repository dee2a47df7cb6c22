"""A pull that is stopped or killed keeps what came, says how to go on, and goes on from there."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.engine.rig import until
from tests.hub.faults import Asked
from tests.tui.asking import ROOT
from tests.tui.model_stage import Stage

_REPO = "user/large-GGUF"
_DATA = b"GGUF" + bytes(range(256)) * 8192
_KEPT = 1 << 20


@contextmanager
def pulling(stage: Stage) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """Yields a pull that waits for the hub behind its first megabyte, and what makes the hub go on."""
    reached, go = threading.Event(), threading.Event()

    part = stage.models / _REPO / ".large-Q8_0.gguf.part"

    def pace(asked: Asked) -> None:
        if asked.sent >= _KEPT and not go.is_set():
            assert until(lambda: part.exists() and part.stat().st_size >= _KEPT, 60)  # sent is not yet received
            reached.set()
            go.wait(60)

    stage.hub.faults.pace = pace
    command = [sys.executable, "-m", "tests.tui.pull_child", "pull", f"{_REPO}:Q8_0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=stage.environ(), cwd=ROOT) as process:
        try:
            while not (reached.wait(0.05) and _kept(stage) >= _KEPT // 2):
                assert process.poll() is None, process.communicate()
            yield process, go
        finally:
            go.set()
            process.kill()


@pytest.fixture
def large(stage: Stage) -> Stage:
    stage.hub.add(_REPO, {"large-Q8_0.gguf": _DATA})
    return stage


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_says_how_to_go_on_and_goes_on(large: Stage, number: signal.Signals, code: int) -> None:
    with pulling(large) as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert "are kept, and this goes on: llmchat pull user/large-GGUF:Q8_0\n" in err
    assert "Traceback" not in err
    _goes_on(large)


def test_killed_it_goes_on_all_the_same(large: Stage) -> None:
    with pulling(large) as (process, _):
        process.kill()
        process.communicate(timeout=60)
    _goes_on(large)


def _kept(stage: Stage) -> int:
    """Returns the bytes that reached the disk."""
    return sum(path.stat().st_size for path in stage.models.rglob("*.part"))


def _goes_on(stage: Stage) -> None:
    """Pulls again: most of what came is not asked for again, and what is there at the end is what the hub has."""
    stage.hub.faults.pace = None
    again = stage.run("pull", f"{_REPO}:Q8_0")
    assert "going on: " in again.err
    assert " of 2 MB are here" in again.err
    asked = stage.hub.asked("content")[-1]
    assert asked.if_range
    assert asked.first >= _KEPT // 2
    path = stage.models / _REPO / "large-Q8_0.gguf"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(_DATA).hexdigest()
