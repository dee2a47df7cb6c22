"""How far a template may go, and the clock and the memory limit that hold it.

Knows no Jinja and no messages. The clock is SIGALRM, so it needs the main thread; the memory limit is RLIMIT_AS, so it
needs Linux. Elsewhere the body runs without them, and the sandbox's own weighing of values is what is left.
"""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

MIB = 1 << 20
REPEAT_SECONDS = 0.1
"""The alarm rings again and again: Python drops an exception that is raised inside a callback of C code."""
INPUT_FACTOR = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a template may go."""

    seconds: float = 2.0
    """Wall time of one rendering, with all its attempts."""
    source: int = 256 * 1024
    """Bytes of the template itself."""
    output: int = MIB
    """Characters that a rendering may have, and a value in it may weigh, on top of 4 times its input."""
    memory: int = 512 * MIB
    """Bytes of address space that a rendering may add."""

    def room(self, size: int) -> int:
        """Returns how many characters may be made of an input of that size."""
        return INPUT_FACTOR * size + self.output


class TimeUp(BaseException):
    """The wall time is over. Not an Exception: Jinja swallows those while it folds constants."""


@contextmanager
def bounded(limits: Limits) -> Iterator[None]:
    """Runs its body under the wall time and the memory limit, and puts back what was set before.

    Raises:
        TimeUp: the wall time is over.
    """
    with _memory(limits.memory), _clock(limits.seconds):
        yield


@contextmanager
def _clock(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def ring(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise TimeUp

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if delay:
            signal.setitimer(signal.ITIMER_REAL, max(delay - (time.monotonic() - began), 0.001), interval)


@contextmanager
def _memory(extra: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = _address_space()
    if size is None or (soft != resource.RLIM_INFINITY and soft <= size + extra):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (size + extra, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Returns the bytes of address space in use, or None where the system does not tell (macOS)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None
