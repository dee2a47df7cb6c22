"""The ends of a throw-away process: the task that it was given, and the lines that it tells.

Knows no task and no line; the caller's end is models/quantizing/child.py. What libraries print goes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from typing import NoReturn

from llmchat_engine.host.llama import prepare_environment

_READ = 1 << 16


class Pipe:
    """What connects this process with the one that started it."""

    def __init__(self) -> None:
        """Takes stdout for the lines; whatever prints to it from now on prints to stderr."""
        self._out = os.dup(1)
        os.dup2(2, 1)
        os.umask(0o077)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
        prepare_environment()

    def task(self) -> bytes:
        """Returns the line that says what to do; from then on this process leaves when its caller is gone."""
        data = bytearray()  # bytes would be copied with every piece: 33 s for 64 MiB
        while not data.endswith(b"\n"):
            if not (more := os.read(0, _READ)):
                os._exit(1)
            data += more
        threading.Thread(target=_leave_with_caller, daemon=True).start()
        return bytes(data)

    def tell(self, line: bytes) -> None:
        """Writes a line."""
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[os.write(self._out, rest) :]
        except OSError:
            os._exit(1)  # nobody reads it any more

    def leave(self, code: int = 0) -> NoReturn:
        """Ends the process at once: freeing llama.cpp's buffers one by one can take seconds."""
        os._exit(code)


def _leave_with_caller() -> None:
    # os.read and not sys.stdin: a thread that holds the lock of a file object at exit is a fatal error of Python's.
    with contextlib.suppress(OSError):
        os.read(0, 1)
    os._exit(1)
