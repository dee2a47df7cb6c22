"""Commands measured from outside: the time to their first byte, the CPU they use.

Knows processes; no engine, no report.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llmchat_tui.errors import UserError

QUESTIONS = (
    "What is the capital of France?",
    "Name three kinds of trees.",
    "Why does the moon shine?",
    "Who wrote Hamlet?",
    "What is bread made of?",
    "How many legs does a spider have?",
    "What is a lighthouse for?",
)
"""One for each round, so that no answer is warm from the round before."""
_UNHELPFUL = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "LLMCHAT_CONFIG", "LLMCHAT_MODEL")
_LEAVE_TIME = 10.0


def llmchat_command() -> tuple[str, ...]:
    """Returns how a user of this installation starts llmchat."""
    script = Path(sys.executable).with_name("llmchat")
    return (str(script),) if script.exists() else (sys.executable, "-m", "llmchat_tui")


def clean_environ(home: Path, environ: Mapping[str, str], **more: str) -> dict[str, str]:
    """Returns the environment of a user whose llmchat lives in `home`, bytecode caches on."""
    kept = {name: value for name, value in environ.items() if name not in _UNHELPFUL}
    return kept | {"LLMCHAT_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")} | more


def first_byte(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Returns the seconds from starting a command to its first byte on stdout, and stops it then.

    Raises:
        UserError: it ended without a byte.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        with child:
            assert child.stdout is not None
            seen = os.read(child.stdout.fileno(), 1)
            seconds = time.perf_counter() - began
            child.terminate()  # an answer may go on until the context is full
        if not seen:
            raise _failure(command, child.returncode, errors)
    return seconds


def cpu_seconds(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Runs a command to its end and returns the CPU, user and system, that it and the children it waited for took.

    Raises:
        UserError: it failed.
    """
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise _failure(command, child.returncode, errors)
    return used.ru_utime + used.ru_stime


def _failure(command: Sequence[str], code: int, errors: IO[bytes]) -> UserError:
    errors.seek(0)
    said = errors.read().decode("utf-8", "replace").strip().splitlines()
    return UserError(f"{command[0]} ended with exit {code}", said[-1] if said else "it said nothing")


def help_cpu(environ: Mapping[str, str]) -> float:
    """Returns the milliseconds of CPU that `llmchat --help` takes more than a Python that does nothing."""
    ours = cpu_seconds((*llmchat_command(), "--help"), environ)
    return 1000 * (ours - cpu_seconds((sys.executable, "-c", "pass"), environ))


def wait_for_no_host(home: Path) -> None:
    """Returns when no host of this home runs any more.

    Raises:
        UserError: one stays.
    """
    deadline = time.monotonic() + _LEAVE_TIME
    while any((home / "run").rglob("*.sock")):
        if time.monotonic() > deadline:
            raise UserError("a host does not leave", "its keepalive is 0", "llmchat ps")
        time.sleep(0.01)


class Asker:
    """`llmchat ask` in two homes of its own: one where no host runs before a question, one where a host waits."""

    def __init__(self, cold: Path, warm: Path, model: Sequence[str], environ: Mapping[str, str]) -> None:
        """Starts nothing.

        Args:
            cold: A private directory; a host in it leaves with its client.
            warm: A private directory; a host in it stays.
            model: The flags that choose the model.
            environ: The environment to take the rest from.
        """
        self._home, self._model = cold, tuple(model)
        self._cold = clean_environ(cold, environ, LLMCHAT_KEEPALIVE="0")
        self._warm = clean_environ(warm, environ, LLMCHAT_KEEPALIVE="1h")

    def cold(self, question: str) -> float:
        """Returns the seconds to the first byte where the model has to be loaded."""
        wait_for_no_host(self._home)
        return first_byte((*llmchat_command(), "ask", *self._model, question), self._cold)

    def warm(self, question: str) -> float:
        """Returns the seconds to the first byte where a host has the model."""
        return first_byte((*llmchat_command(), "ask", *self._model, question), self._warm)

    def help_cpu(self) -> float:
        """Returns the milliseconds of CPU that `llmchat --help` takes more than a Python that does nothing."""
        return help_cpu(self._cold)

    def close(self) -> None:
        """Stops the host that waited."""
        cpu_seconds((*llmchat_command(), "stop"), self._warm)
        wait_for_no_host(self._home)


@contextmanager
def asking(home: Path, model: Sequence[str], environ: Mapping[str, str]) -> Iterator[Asker]:
    """Yields an `Asker` that has asked each once, so that caches on disk are there and a host waits."""
    cold, warm = home / "cold", home / "warm"
    for place in (cold, warm):
        (place / "run").mkdir(mode=0o700, parents=True)  # one that is not there would be passed over for a shared one
    asker = Asker(cold, warm, model, environ)
    try:
        asker.cold(QUESTIONS[0])
        asker.warm(QUESTIONS[0])
        yield asker
    finally:
        asker.close()
