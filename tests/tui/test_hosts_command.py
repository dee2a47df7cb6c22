"""`llmchat ps` and `llmchat stop` over real hosts of a tiny model."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.real_host import RealHome, real_home
from tests.tui.terminal import run_in_terminal

from llmchat_engine.hosts import running_hosts


@pytest.fixture(scope="module")
def shared() -> Iterator[RealHome]:
    with real_home("1h") as home:
        yield home


@pytest.fixture
def real(shared: RealHome) -> Iterator[RealHome]:
    """The shared home, in which no host runs."""
    yield shared
    for pid in shared.pids():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def pid(real: RealHome) -> int:
    """A host that runs."""
    assert real.llmchat("ask", "-n", "hi", "--max-tokens", "2").code == 0
    (pid,) = real.pids()
    return pid


def gone(pid: int) -> bool:
    """Waits until a process has left; it may be a zombie of the machine's init for a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


def test_nothing_is_loaded(real: RealHome) -> None:
    listed = real.llmchat("ps")
    assert (listed.code, listed.out, listed.err) == (0, "", "")
    assert json.loads(real.llmchat("ps", "--json").out) == []
    stopped = real.llmchat("stop")
    assert (stopped.code, stopped.out, stopped.err) == (0, "", "")
    output, _ = run_in_terminal(["ps"], real.environ | {"NO_COLOR": "1"})
    assert output == b"no model is loaded\r\n"


def test_ps_names_the_model(real: RealHome, pid: int) -> None:
    head, row = real.llmchat("ps").out.splitlines()
    assert head.split() == ["pid", "model", "context", "memory", "clients", "state"]
    assert row.split()[:2] == [str(pid), "tiny"]
    assert "leaves in" in row
    (facts,) = json.loads(real.llmchat("ps", "--json").out)
    assert (facts["pid"], facts["path"]) == (pid, str(real.model))
    assert set(facts) == {
        "pid", "state", "model", "path", "n_ctx", "clients", "queued", "resident_bytes", "uptime_seconds",
    }  # fmt: skip


def test_stop_all(real: RealHome, pid: int) -> None:
    stopped = real.llmchat("stop")
    assert (stopped.code, stopped.out, stopped.err) == (0, "", "")
    assert gone(pid)
    assert list(real.runtime.glob("*.sock")) == []


@pytest.mark.parametrize("by", ["pid", "name"])
def test_stop_one(real: RealHome, pid: int, by: str) -> None:
    name = str(pid) if by == "pid" else json.loads(real.llmchat("ps", "--json").out)[0]["model"]
    assert real.llmchat("stop", name).code == 0
    assert gone(pid)


def test_stop_what_is_not_loaded(real: RealHome, pid: int) -> None:
    stopped = real.llmchat("stop", "no-such-model")
    assert (stopped.code, "no-such-model" in stopped.err, "hint: llmchat ps" in stopped.err) == (1, True, True)
    assert real.pids() == [pid]


def test_a_host_that_hangs_is_shown_and_killed(real: RealHome, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    row = real.llmchat("ps").out.splitlines()[1]
    assert "does not answer" in row
    assert real.llmchat("stop", str(pid)).code == 0
    assert gone(pid)


def test_the_socket_of_a_dead_host_is_swept(real: RealHome, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert real.llmchat("ps").out == ""
    assert list(real.runtime.glob("*.sock")) == []


def test_without_keepalive_the_host_leaves_with_its_client() -> None:
    with real_home("0") as home:
        assert home.llmchat("ask", "-n", "hi", "--max-tokens", "2").code == 0
        deadline = time.monotonic() + 5
        while running_hosts(home.runtime) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert home.pids() == []
