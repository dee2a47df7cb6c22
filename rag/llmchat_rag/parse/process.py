"""One parser process, seen from outside: started, given a file, listened to, killed. Knows no parsers."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from llmchat_rag.errors import RagError
from llmchat_rag.parse.wire import READY, BadAnswer, framed_length, outcome_of, unframed
from llmchat_rag.types import Found, Parsed, Refused

_STARTS_WITHIN = 60.0
_PIECE = 1 << 20
_INHERITED = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "TZ")
"""Of the environment: a parser needs no token and no proxy."""


class ParserProcess:
    """A process that parses one file at a time."""

    def __init__(self, memory: int) -> None:
        """Starts the process and waits until it is confined.

        Args:
            memory: bytes it may have.

        Raises:
            RagError: it does not start.
        """
        # -P: a folder of documents may hold a json.py, and may be where the program was started.
        command = [sys.executable, "-P", "-B", "-W", "ignore", "-m", "llmchat_rag.parse.worker", str(memory)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_environment(),
            start_new_session=True,  # Ctrl+C is the parent's, and it tidies up
        )
        self._received = bytearray()
        self._deadline = 0.0
        self._seconds = 0.0
        self.file: Found | None = None
        """What it is parsing."""
        self._await_ready()

    def fileno(self) -> int:
        """Returns what to wait on: something to read, or the end of the process."""
        return self._output

    @property
    def _output(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, found: Found, limit: int, seconds: float) -> None:
        """Gives the process a file.

        Args:
            found: the file.
            limit: bytes it may have.
            seconds: how long it may take.
        """
        request = {"path": os.fspath(found.path), "name": found.relative, "limit": limit}
        self.file = found
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        assert self._process.stdin is not None
        # One that is dead is noticed where its output ends.
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def remaining(self) -> float:
        """Returns how many seconds its file has left."""
        return self._deadline - time.monotonic()

    def receive(self) -> tuple[Parsed | Refused, bool] | None:
        """Reads what is there.

        Returns:
            What became of the file, and whether the process can take another; None while the answer is under way.
        """
        piece = os.read(self._output, _PIECE)
        if not piece:
            return Refused(self._death()), False
        self._received += piece
        # An answer that has begun is done computing: what it waits for is this end of the pipe.
        self._deadline = time.monotonic() + self._seconds
        try:
            length = framed_length(self._received)
            if length is None or len(self._received) < length:
                return None
            answer, self._received = self._received, bytearray()
            outcome, last = outcome_of(unframed(answer))
        except BadAnswer:
            return Refused("its parser answered nonsense"), False
        return outcome, not last

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(BrokenPipeError):  # what was not sent is not sent any more
                if pipe is not None:
                    pipe.close()

    def _await_ready(self) -> None:
        ready, _, _ = select.select([self._output], [], [], _STARTS_WITHIN)
        if ready and os.read(self._output, 1) == READY:
            return
        self._process.kill()
        why = self._last_words() or "it does not answer"
        self.kill()
        raise RagError("the process that reads documents does not start", why, "llmchat doctor")

    def _death(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return "its parser took too much processor time"
        if code < 0:
            return f"its parser crashed ({signal.Signals(-code).name})"
        return f"its parser ended ({self._last_words() or f'code {code}'})"

    def _last_words(self) -> str:
        """Returns the last line of its errors; waits for the end of the process."""
        self._process.wait()
        assert self._process.stderr is not None
        lines = self._process.stderr.read(_PIECE).decode("utf-8", "replace").split("\n")
        return next((line[:200] for line in reversed(lines) if line.strip()), "")


def _environment() -> dict[str, str]:
    rooms = str(Path(__file__).parents[2])
    kept = {name: value for name in _INHERITED if (value := os.environ.get(name)) is not None}
    above = kept.get("PYTHONPATH")
    kept["PYTHONPATH"] = f"{rooms}{os.pathsep}{above}" if above else rooms
    return kept
