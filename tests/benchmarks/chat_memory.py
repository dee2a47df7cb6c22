"""How much memory a long session adds: 1,000 turns of the whole chat in a process of its own, with a scripted engine.

`python -m tests.benchmarks.chat_memory` prints the growth from turn 100 to turn 1,000 in MiB.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.tui.screen.chatting import MODEL, Chatting, chatting

from llmchat_engine.testing import FakeEngine, Script

WARM_UP, TURNS = 100, 1000
_REPLY = "Some **words** about it:\n\n1. one\n2. two\n\n```python\nprint(1)\n```\n\nand a last sentence."


def growth_of_turns() -> float:
    """Returns the MiB that the turns from 100 to 1,000 add."""
    command = [sys.executable, "-m", "tests.benchmarks.chat_memory"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return float(done.stdout)


async def _measure(home: Path) -> float:
    # A context that never fills: the plan for a full one would wait for an answer.
    engine = FakeEngine([Script(_REPLY)], 0.0, replace(MODEL, n_ctx=1_000_000, n_ctx_train=1_000_000))
    async with chatting(home, engine=engine, size=(100, 30)) as run:
        await _turns(run, WARM_UP)
        before = _resident()
        await _turns(run, TURNS - WARM_UP)
        return _resident() - before


async def _turns(run: Chatting, count: int) -> None:
    engine = run.engine
    assert isinstance(engine, FakeEngine)
    for number in range(count):
        run.messages.clear()
        engine.requests.clear()  # each holds the whole chat so far
        await run.send(f"question {number}")
        await run.until(lambda: not run.chat.talk.running, "the reply")
    await run.settle()
    gc.collect()


def _resident() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="lc", dir="/tmp") as folder:
        print(asyncio.run(_measure(Path(folder) / "home")))
