"""A host of its own for a benchmark: nobody else can join it, and it has gone when the benchmark goes on.

Knows engines, processes and directories; measures nothing but the time of the load.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from llmchat_engine import Engine, Loaded, ModelInfo, ModelSpec
from llmchat_engine.client import LocalEngine
from llmchat_engine.launch import Places
from llmchat_tui.errors import UserError

_KV_BUDGET = 4 << 30


@contextlib.contextmanager
def private_engine(spec: ModelSpec, state: Path) -> Iterator[LocalEngine]:
    """Yields an engine with a host that nobody else can join and that keeps nothing on disk; waits until it has gone.

    Args:
        spec: The model.
        state: Where the verdict about this CPU is kept: it is not found out again for each run.
    """
    with short_directory() as home, engine_in(home, spec, state) as engine:
        yield engine


@contextlib.contextmanager
def engine_in(home: Path, spec: ModelSpec, state: Path, kv: Path | None = None) -> Iterator[LocalEngine]:
    """Yields an engine whose host lives in a directory, and waits until that host has gone.

    Args:
        home: A private directory for its socket and its log.
        spec: The model.
        state: Where the verdict about this CPU is kept.
        kv: Where chats are kept for the host after it; None keeps none.
    """
    engine = LocalEngine(spec, Places(home / "run", home / "logs", state, kv, _KV_BUDGET), keepalive=0)
    engine.prepare()
    host = engine.pid
    try:
        yield engine
    finally:
        engine.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(host, 0)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Yields a temporary directory with a name so short that a socket fits into it on every system."""
    parent = "/tmp" if os.path.isdir("/tmp") else None  # noqa: S108 - mkdtemp makes it, for this user alone
    with tempfile.TemporaryDirectory(prefix="llmb-", dir=parent, ignore_cleanup_errors=True) as home:
        yield Path(home)


def load(engine: Engine) -> ModelInfo:
    """Loads the model and returns what it is.

    Raises:
        EngineError: it cannot be loaded.
    """
    for event in engine.load():
        if isinstance(event, Loaded):
            return event.model
    raise UserError("the model did not load", "the engine ended without an answer", "llmchat doctor")


def timed_load(engine: Engine) -> float:
    """Loads the model and returns the seconds that took here, the start of the host with it.

    Raises:
        EngineError: it cannot be loaded.
    """
    began = time.perf_counter()
    load(engine)
    return time.perf_counter() - began


def resident(home: Path) -> int:
    """Returns the bytes that the host of a directory holds in memory; 0 where it does not tell."""
    from llmchat_engine.hosts import running_hosts

    found = [host.status.resident for host in running_hosts(home / "run") if host.status]
    return max(found, default=0)
