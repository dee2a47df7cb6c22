"""The end of long work on a model, with how far it is on the status line meanwhile. Ctrl+C stops it without harm.

Knows no command and no model; the work is a generator of `Progress`. Prints nothing to stdout, and off a terminal
nothing at all.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from llmchat_tui.cli.interrupts import Interrupted, Interrupts, catch_signals
from llmchat_tui.console import Console, terminal_columns
from llmchat_tui.progress_words import told

if TYPE_CHECKING:
    from llmchat_engine.models.progress import Progress

__all__ = ["Bar", "told", "watch"]

_End = TypeVar("_End")
_EVERY = 0.1
"""Seconds between two paintings: more cannot be read."""


class Bar:
    """The status line of one piece of work."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._stage = ""
        self._next = 0.0

    def show(self, progress: Progress) -> None:
        """Paints it, where somebody watches; at most ten times a second, and a new stage at once."""
        now = self._clock()
        if not self._console.look.progress or (now < self._next and progress.stage == self._stage):
            return
        self._stage, self._next = progress.stage, now + _EVERY
        self._console.status(told(progress, terminal_columns(sys.stderr) - 1))


def watch(
    console: Console,
    work: Generator[Progress, None, _End],
    interrupts: Interrupts | None = None,
    bar: Bar | None = None,
) -> _End:
    """Runs the work to its end and returns its result.

    Args:
        console: Where its progress is shown.
        work: Yields how far it is; closing it stops it.
        interrupts: The signals, where the command catches them already; else they are caught here meanwhile.
        bar: Paints it; None makes one.

    Raises:
        Interrupted: A signal came. The first one closes the work at its next step, the second ends it at once.
        EngineError: The work raised it.
    """
    stop = threading.Event()
    with nullcontext(interrupts) if interrupts else catch_signals() as signals:
        try:
            with signals.watch(stop.set):
                return _run(work, bar or Bar(console), stop)
        except _Stopped:
            raise Interrupted(signals.code) from None
        finally:
            work.close()
            console.clear_status()


class _Stopped(Exception):
    """The work was closed because a signal asked for it."""


def _run(work: Generator[Progress, None, _End], bar: Bar, stop: threading.Event) -> _End:
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            result: _End = end.value
            return result
        if stop.is_set():
            raise _Stopped
        bar.show(progress)
