"""What the engine's tests share: requests, the end of a reply, waiting, and which host processes are alive.

Knows the engine's door and how a host is started; knows no single test.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Event, Finished, Prefill, Token
from llmchat_engine.hosts import RunningHost, running_hosts
from llmchat_engine.types import Message, Request, Sampling

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
"""Of every random test; printed by the header of the test run."""
GREEDY = Sampling(temperature=0.0)


def question(text: str, *, max_tokens: int | None = 8, seed: int | None = None, raw: bool = False) -> Request:
    """Returns a request of one user message: greedy, or drawn with a seed."""
    sampling = Sampling(temperature=0.0 if seed is None else 0.9, max_tokens=max_tokens, seed=seed)
    return Request((Message("user", text),), sampling, raw=raw)


def end_of(events: Iterable[Event]) -> Finished:
    """Returns the last event of a reply, after checking that the reply is in order."""
    seen = list(events)
    last = seen[-1]
    assert isinstance(last, Finished)
    assert not any(isinstance(event, Finished) for event in seen[:-1])
    assert "".join(event.text for event in seen if isinstance(event, Token)) == last.text
    done = [event.done for event in seen if isinstance(event, Prefill)]
    assert done == sorted(done)
    return last


def ask(engine: LocalEngine, text: str = "hello", *, max_tokens: int | None = 8, seed: int | None = None) -> Finished:
    """Runs one question to its end."""
    return end_of(engine.generate(question(text, max_tokens=max_tokens, seed=seed)))


def until(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    """Waits for something outside this process; returns False where it did not happen in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def freeze(pid: int) -> None:
    """Stops a process, and waits until it has: on a busy machine the signal takes a moment."""
    os.kill(pid, signal.SIGSTOP)
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or until(lambda: ") T " in state.read_text())


def host_pids(runtime: Path) -> list[int]:
    """Returns the living host processes whose socket is in this directory."""
    if not Path("/proc/self/cmdline").exists():
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
        rows = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
        return [int(pid) for pid, arguments in rows if "llmchat_engine.host" in arguments and str(runtime) in arguments]
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                line = Path("/proc", entry, "cmdline").read_bytes()
                if b"llmchat_engine.host\0" in line and os.fsencode(runtime) in line:
                    found.append(int(entry))
    return found


def kill_hosts(runtime: Path) -> None:
    """Kills what is left of a test."""
    for pid in host_pids(runtime):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def only_host(runtime: Path) -> RunningHost:
    """Returns the one host that answers."""
    (host,) = running_hosts(runtime)
    return host


def lasting_question(max_tokens: int | None = 1500) -> Request:
    """Returns a request whose reply a tiny model spins out for a second or so."""
    return question("tell me all of it", max_tokens=max_tokens)
