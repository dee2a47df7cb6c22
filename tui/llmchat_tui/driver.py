"""Textual's terminal driver with three repairs: a terminal that goes away, escapes inside a paste, Alt+Enter.

Its writer thread dies of the first failed write, and its queue of 30 writes then blocks the screen's thread for good.
Its parser takes an ESC inside a bracketed paste for the end of it, and the rest for keys: a paste could send itself.
"""

from __future__ import annotations

import codecs
import os
import select
import signal
from collections.abc import Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_START, _END = "\x1b[200~", "\x1b[201~"
_READ_BYTES = 4096
_TICK_SECONDS = 0.1


class PasteGuard:
    """Takes the escapes out of what is pasted, so that it stays one paste. May be fed in pieces cut anywhere."""

    def __init__(self) -> None:
        self._inside = False
        self._held = ""
        """The end of the last piece, where it may be the beginning of a marker."""
        self._given = ""
        """An ESC that ended the last piece: it went out as the key it may be, and may still begin a marker."""

    def clean(self, data: str) -> str:
        """Returns the next piece of input."""
        given = self._given
        data, self._held, self._given = given + self._held + data, "", ""
        parts = []
        while data:
            before, marker, data = data.partition(_END if self._inside else _START)
            if not marker:
                before = self._hold(before)
            parts.append(before.replace("\x1b", "") if self._inside else before)
            if marker:
                parts.append(marker)
                self._inside = not self._inside
        out = "".join(parts)
        if not out:  # all of it is held back, but for what went out before
            self._held, self._given = self._held[len(given) :], given
        elif not self._inside and not self._held and out.endswith("\x1b"):
            self._given = "\x1b"
        return out[len(given) :]

    def _hold(self, text: str) -> str:
        """Keeps back what may be half a marker; outside a paste a lone ESC is a key and goes through."""
        marker, shortest = (_END, 1) if self._inside else (_START, 2)
        for length in range(len(marker) - 1, shortest - 1, -1):
            if text.endswith(marker[:length]):
                self._held = text[-length:]
                return text[:-length]
        return text

    def flush(self) -> str:
        """Returns what was kept back outside a paste, once no more of it came."""
        held, self._held = ("", self._held) if self._inside else (self._held, "")
        self._given = ""
        return held


class _Parser(XTermParser):
    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if sequence == "\x1b\r":
            return [events.Key("alt+enter", None)]
        return super()._sequence_to_key_events(sequence, alt)


class ChatDriver(LinuxDriver):
    """The driver of the chat."""

    def write(self, data: str) -> None:
        """Writes to the terminal while there is one."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().write(data)

    def close(self) -> None:
        """Ends the writer, unless it has ended already: its queue has nobody left to empty it."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().close()

    def run_input_thread(self) -> None:
        """Reads keys until the app ends; a terminal that has gone away counts as a hang-up."""
        parser, guard = _Parser(self._debug), PasteGuard()
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        while not self.exit_event.is_set():
            try:
                data = self._read()
            except OSError:
                os.kill(os.getpid(), signal.SIGHUP)
                return
            text = guard.flush() if data is None else guard.clean(decode(data))
            for event in (*(parser.feed(text) if text else ()), *parser.tick()):
                self.process_message(event)

    def _read(self) -> bytes | None:
        """Returns what was typed, or None where nothing was for a tenth of a second.

        Raises:
            OSError: the terminal has gone.
        """
        if not select.select([self.fileno], [], [], _TICK_SECONDS)[0]:
            return None
        if data := os.read(self.fileno, _READ_BYTES):
            return data
        raise OSError("end of input")
