"""What this build of llama.cpp is and sees, asked of a throw-away process. Behind `llmchat doctor`.

Imports no llama_cpp: a build for another CPU would take the caller with it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

Amx = Literal["unlisted", "unprobed", "works", "crashes"]

_TIMEOUT = 60.0
"""Seconds; a CUDA build can take ten of them to look for its devices for the first time."""


@dataclass(frozen=True, slots=True)
class Build:
    """The llama.cpp that the engine's host would use."""

    version: str = ""
    system_info: str = ""
    """The backends and instruction sets it was built with, as llama.cpp prints them."""
    supports_gpu: bool = False
    """True where layers can be offloaded: the build supports a GPU, and one was found."""
    devices: tuple[str, ...] = ()
    """"name (description)" of every accelerator."""
    rpc: bool = False
    """True where layers can be put on other machines."""
    amx: Amx = "unlisted"
    """Whether the build would use AMX on this CPU, and what the probe found."""
    error: str = ""
    """Why it cannot be loaded; everything else is empty then."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code, negative for a signal, and what it wrote."""

    code: int
    output: str
    errors: str


Runner = Callable[[Sequence[str]], Ran]


def read_build(state_dir: Path, run: Runner | None = None) -> Build:
    """Returns what the build says of itself; never raises and never dies with it.

    Args:
        state_dir: Where the verdict about AMX is kept.
        run: Runs a command.
    """
    command = (sys.executable, "-P", "-m", "llmchat_engine.host.facts", str(state_dir))
    try:
        ran = (run or _run)(command)
    except TimeoutError:
        return Build(error=f"it gave no answer within {_TIMEOUT:g} s")
    except OSError as error:
        return Build(error=f"it could not be asked: {error.strerror}")
    try:
        # The last line: a backend may greet on stdout while it is loaded.
        return msgspec.json.decode(ran.output.splitlines()[-1], type=Build)
    except (IndexError, msgspec.DecodeError):
        return Build(error=_how(ran))


def _how(ran: Ran) -> str:
    """Returns how a process ended that gave no facts."""
    if ran.code == -signal.SIGILL:
        return "SIGILL: it was built for another CPU"
    if ran.code < 0:
        return f"it crashed: {signal.Signals(-ran.code).name}"
    last = ran.errors.strip().splitlines()[-1:]
    return last[0].strip() if last else f"it ended with exit code {ran.code} and said nothing"


def _run(command: Sequence[str]) -> Ran:
    import subprocess

    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return Ran(done.returncode, done.stdout, done.stderr)
