"""How far a template may go, and the clock and the memory limit that hold it.

Knows no Jinja and no messages. On the main thread the clock is SIGALRM and the memory limit RLIMIT_AS. Both belong to
the whole process, so a template on another thread is watched by one more thread instead. Where the system does not tell
how much memory is in use (macOS), the sandbox's own weighing of values is what is left of the memory limit.
"""

from __future__ import annotations

import ctypes
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
WATCH_SECONDS = 0.02
"""Between two looks at a rendering on another thread; most, of 1 to 3 ms, are through before the first."""
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
    """Bytes of memory that a rendering may add."""

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
        MemoryError: the body takes too much memory.
    """
    if threading.current_thread() is threading.main_thread():
        with _memory(limits.memory), _clock(limits.seconds):
            yield
    else:
        with _watched(limits):
            yield


@contextmanager
def _clock(seconds: float) -> Iterator[None]:
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


@contextmanager
def _watched(limits: Limits) -> Iterator[None]:
    """Holds the limits in a thread that is not the main one, while others go on decoding and allocating."""
    thread, began, before = threading.get_ident(), time.monotonic(), _own_memory()
    watching, ended = True, threading.Event()

    def watch() -> None:
        while watching and not ended.wait(WATCH_SECONDS):
            if time.monotonic() - began > limits.seconds and watching:
                _raise_in(thread, TimeUp)
            elif _own_memory() - before > limits.memory and watching:
                _raise_in(thread, MemoryError)

    watcher = threading.Thread(target=watch, name="template watch", daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            watching = False
    finally:
        ended.set()
        watcher.join()
        _raise_in(thread, None)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raises an error in a thread at its next step in Python; None takes back one that waits for that."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)


def _address_space() -> int | None:
    """Returns the bytes of address space in use, or None where the system does not tell (macOS)."""
    counts = _memory_counts()
    return counts[0] if counts else None


def _own_memory() -> int:
    """Returns the bytes of memory in use that no file backs, as a model's weights are; 0 where it is not told."""
    counts = _memory_counts()
    return counts[1] - counts[2] if counts else 0


def _memory_counts() -> list[int] | None:
    """Returns address space, memory in use, and what files back of that, in bytes."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return [int(pages) * resource.getpagesize() for pages in file.read().split()[:3]]
    except OSError:
        return None
