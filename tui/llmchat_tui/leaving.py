"""Signals end the chat in order, and the terminal is given back whatever happens.

Textual restores the terminal when the app ends by itself, but dies of SIGTERM and SIGHUP with the alternate screen,
the mouse and the paste mode still on. Knows no chat: it is given what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

CODES = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGQUIT: 131}
LONGEST_SECONDS = 6.0
"""From the signal to the end of the process, however stuck the screen is; stopping a reply takes 10 ms."""

RESTORE = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    "\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?2026l"  # paste, focus, resize reports, synchronised output
    "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?7h\x1b[0m"  # kitty keys, alternate screen, cursor, line wrap, colours
)


class Terminal:
    """The terminal as it was before the screen took it."""

    def __init__(self) -> None:
        self._attributes: list[Any] | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
            self._attributes = termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]

    def restore(self) -> None:
        """Gives it back by hand, for when the screen cannot."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.write(sys.__stderr__.fileno(), RESTORE.encode())  # type: ignore[union-attr]
        self.cook()

    def cook(self) -> None:
        """Puts echo and line editing back."""
        if self._attributes is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
                termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, self._attributes)  # type: ignore[union-attr]


def catch_signals(leave: Callable[[int], None], terminal: Terminal) -> None:
    """Has signals call `leave` with their exit code in the running loop; a second one ends the process.

    The handlers are Python's own, not the loop's: a loop that waits for a stalled terminal runs none of its own.

    Args:
        leave: saves and ends the app; called once.
        terminal: given back by hand where the app takes too long.
    """
    loop = asyncio.get_running_loop()
    came: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        code = CODES[signal.Signals(number)]
        if came and number == signal.SIGHUP:  # the kernel and our own driver may both tell of one hang-up
            return
        if came:
            _end(code, terminal)
        came.append(code)
        start_watchdog(code, terminal)
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(leave, code)

    for number in CODES:
        signal.signal(number, handle)


def start_watchdog(code: int, terminal: Terminal) -> None:
    """Ends the process by force after a while, should the screen hang."""
    watchdog = threading.Timer(LONGEST_SECONDS, _end, (code, terminal))
    watchdog.daemon = True
    watchdog.start()


def _end(code: int, terminal: Terminal) -> None:
    terminal.restore()
    os._exit(code)
