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
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Run:
    """One command that ended well."""

    first_byte: float
    """Seconds from starting it to its first byte on stdout; 0 where it wrote none."""
    cpu: float
    """Seconds of CPU, user and system, of the process and the children it waited for."""


def llmchat_command() -> tuple[str, ...]:
    """Returns how a user of this installation starts llmchat."""
    script = Path(sys.executable).with_name("llmchat")
    return (str(script),) if script.exists() else (sys.executable, "-m", "llmchat_tui")


def clean_environ(home: Path, environ: Mapping[str, str], **more: str) -> dict[str, str]:
    """Returns the environment of a user whose llmchat lives in `home`, bytecode caches on."""
    kept = {name: value for name, value in environ.items() if name not in _UNHELPFUL}
    return kept | {"LLMCHAT_HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")} | more


def run_once(command: Sequence[str], environ: Mapping[str, str]) -> Run:
    """Runs a command to its end with an empty stdin.

    Raises:
        UserError: it failed.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        assert child.stdout is not None
        with child.stdout as out:
            first = time.perf_counter() - began if os.read(out.fileno(), 1) else 0.0
            while os.read(out.fileno(), 1 << 16):
                pass
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            why = errors.read().decode("utf-8", "replace").strip().splitlines()
            raise UserError(f"{command[0]} ended with exit {child.returncode}", why[-1] if why else "it said nothing")
    return Run(first, used.ru_utime + used.ru_stime)


def help_cpu(environ: Mapping[str, str]) -> float:
    """Returns the milliseconds of CPU that `llmchat --help` takes more than a Python that does nothing."""
    ours = run_once((*llmchat_command(), "--help"), environ).cpu
    return 1000 * (ours - run_once((sys.executable, "-c", "pass"), environ).cpu)


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
        return run_once((*llmchat_command(), "ask", *self._model, question), self._cold).first_byte

    def warm(self, question: str) -> float:
        """Returns the seconds to the first byte where a host has the model."""
        return run_once((*llmchat_command(), "ask", *self._model, question), self._warm).first_byte

    def help_cpu(self) -> float:
        """Returns the milliseconds of CPU that `llmchat --help` takes more than a Python that does nothing."""
        return help_cpu(self._cold)

    def close(self) -> None:
        """Stops the host that waited."""
        run_once((*llmchat_command(), "stop"), self._warm)
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
