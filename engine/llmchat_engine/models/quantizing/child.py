"""A throw-away process of the engine: a program of `llmchat_engine.host` that tells lines and ends.

llama.cpp ends the process on what it does not like, and some of its work cannot be stopped; so it is done in one that
may be killed. Knows no program and no line; the other end is host/pipe.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType

import msgspec

from llmchat_engine.errors import HostUnreachable, RequestInvalid
from llmchat_engine.launch import clean_environment

_PATIENCE = 0.5
"""Seconds without a line after which the reader is told so: it has clocks to keep, and a stop to notice."""
_READ = 1 << 16
_LAST = 8192
_LEAVES_WITHIN = 10.0


class Child:
    """One run of a program. Leaving the context kills it."""

    def __init__(self, module: str, task: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
        """Starts it.

        Args:
            module: As "llmchat_engine.host.quantize".
            task: What it is to do.
            descriptors: Open files that it keeps, under the same numbers.

        Raises:
            HostUnreachable: it cannot be started.
            RequestInvalid: a name in the task is not UTF-8.
        """
        import subprocess
        import tempfile

        self._task = _line(task)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # close() closes it
        try:
            self._process = subprocess.Popen(
                # -P: a file of the current directory must not shadow a module.
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=clean_environment(),
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl+C is for the caller, which stops it
            )
        except OSError as error:
            self._errors.close()
            why = error.strerror or str(error)
            raise HostUnreachable("a process of the engine could not be started", why, "llmchat doctor") from error

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self) -> Iterator[bytes | None]:
        """Yields what it tells, line by line, and None twice a second while it tells nothing; ends with it."""
        import selectors

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Its stdin stays open behind the task: where this process dies, the child reads the end of it and leaves.
        with contextlib.suppress(BrokenPipeError):  # how it ended is asked for when its lines are
            self._process.stdin.write(self._task)
            self._process.stdin.flush()
        source, held = self._process.stdout.fileno(), b""
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            while True:
                if not selector.select(_PATIENCE):
                    yield None
                    continue
                if not (data := os.read(source, _READ)):
                    return
                *whole, held = (held + data).split(b"\n")
                yield from whole

    def wait(self) -> str:
        """Waits for its end; returns how it ended in a few words, empty where all went well."""
        end, said = self.ending()
        if not end:
            return ""
        if end == signal.SIGKILL.name:
            return "it was killed (SIGKILL); the memory may have run out"
        how = f"it ended with {end}" if end.startswith("exit code") else f"it crashed: {end}"
        return f"{how}: {said}" if said else how

    def ending(self) -> tuple[str, str]:
        """Waits for its end; returns its signal or "exit code 3", empty where all went well, and what it wrote last."""
        import subprocess

        try:
            code = self._process.wait(_LEAVES_WITHIN)
        except subprocess.TimeoutExpired:  # its output is closed, so nothing more will come of it
            self._process.kill()
            code = self._process.wait()
        end = "" if code == 0 else signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return end, self._last_words()

    def _last_words(self) -> str:
        """Returns what it wrote to stderr that says most: an assertion of llama.cpp, else the last line."""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _LAST))
        lines = [line.strip() for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        asserted = [line for line in lines if "GGML_ASSERT" in line]
        return (asserted or lines or [""])[-1].rpartition("vendor/")[2]

    def close(self) -> None:
        """Kills it where it still runs, and frees what belongs to it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._errors.close()


def _line(task: msgspec.Struct) -> bytes:
    try:
        return msgspec.json.encode(task) + b"\n"
    except UnicodeEncodeError as error:
        raise RequestInvalid("the name of a file cannot be used", "it is not UTF-8", "rename it") from error
