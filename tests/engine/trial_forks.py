"""Tries many models quickly: llama.cpp is loaded once, and each model is tried in a fork that may die of it.

`python -m tests.engine.trial_forks SECONDS` reads one task a line, and writes a line with how each one ended.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from typing import NoReturn

import msgspec

from llmchat_engine.host.llama import Llama
from llmchat_engine.host.trial import attempt
from llmchat_engine.models.trials import Ended, Outcome, TrialTask


def try_in_fork(llama: Llama, task: TrialTask, seconds: float) -> Ended:
    """Returns how a fork ended that tried a model."""
    with tempfile.TemporaryFile() as errors:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_tried(llama, task, write, errors.fileno())
        os.close(write)
        data, late = _read_all(read, time.monotonic() + seconds)
        os.close(read)
        if late:
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        errors.seek(0)
        lines = errors.read(1 << 20).decode("utf-8", "replace").strip().splitlines()
    asserted = [line for line in lines if "GGML_ASSERT" in line] or lines or [""]
    outcome = msgspec.json.decode(data, type=Outcome) if data and not late else None
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}" if code else ""
    return Ended(True, outcome, how, asserted[-1], seconds if late else 0.0)


def _be_tried(llama: Llama, task: TrialTask, write: int, errors: int) -> NoReturn:
    try:
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        os.write(write, msgspec.json.encode(attempt(llama, task)))
    finally:
        os._exit(0)


def _read_all(descriptor: int, deadline: float) -> tuple[bytes, bool]:
    data = b""
    while True:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return data, True
        if not (more := os.read(descriptor, 1 << 16)):
            return data, False
        data += more


def main() -> None:
    """Tries what stdin names, one after the other."""
    seconds, llama = float(sys.argv[1]), Llama()
    for line in sys.stdin.buffer:
        ended = try_in_fork(llama, msgspec.json.decode(line, type=TrialTask), seconds)
        sys.stdout.buffer.write(msgspec.json.encode(asdict(ended)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
