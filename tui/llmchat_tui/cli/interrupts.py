"""SIGINT, SIGTERM and SIGHUP: the first stops the reply and keeps it, the second ends the command at once.

Knows how to stop, not what: `watch` is given the function. Handlers only run in the main thread.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_AFTER = 0.01
"""Seconds until a lost signal is delivered anew: by then the callback that lost it has returned."""

_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Interrupted(BaseException):
    """A signal ended the command. Not an Exception: nothing but the outermost edge may take it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Interrupts:
    """The signals of one command."""

    def __init__(self) -> None:
        self.code = 0
        """The exit code of the first signal that came; 0 while none has."""
        self._stop: Callable[[], None] | None = None
        self._number = 0

    def reset(self) -> None:
        """Forgets a signal that was dealt with."""
        self.code = 0

    @contextmanager
    def watch(self, stop: Callable[[], None]) -> Iterator[None]:
        """While inside, the first signal calls `stop` (from another thread) in place of ending the command."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Takes a signal.

        Raises:
            Interrupted: nothing is being watched, or it is the second one.
        """
        first, self.code, self._number = not self.code, _CODES.get(signal.Signals(number), 1), number
        if self._stop is None or not first:
            raise Interrupted(self.code)
        # In a thread: the interrupted code may hold the very lock that stopping needs.
        threading.Thread(target=self._stop, daemon=True).start()

    def deliver_again(self) -> None:
        """Sends the last signal once more, for what it raised was lost."""
        self.reset()
        # To this thread, and for real: what it waits in by then, a read of stdin for one, has to end.
        target = threading.main_thread().ident
        threading.Timer(_AGAIN_AFTER, signal.pthread_kill, [target, self._number]).start()


@contextmanager
def catch_signals() -> Iterator[Interrupts]:
    """Installs the handlers, and puts the old ones back.

    A signal that comes while Python runs a finalizer or a weak reference's callback (every import has one) raises where
    nobody can catch it: Python prints it and goes on. Such a signal is delivered again.
    """
    interrupts = Interrupts()
    before = {number: signal.signal(number, interrupts.handle) for number in _CODES}
    report = sys.unraisablehook

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            interrupts.deliver_again()
        else:
            report(unraisable)

    sys.unraisablehook = lost
    try:
        yield interrupts
    finally:
        sys.unraisablehook = report
        for number, handler in before.items():
            signal.signal(number, handler)
