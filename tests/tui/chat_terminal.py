"""The real chat on a pseudo-terminal: the real driver, every byte it writes, and the screen that they make.

Knows no single test. `ChatTerminal` types, signals, resizes and reads; pyte plays the terminal.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyte
from tests.tui.fake_ask_child import Play

CHILD = [sys.executable, str(Path(__file__).with_name("fake_ask_child.py"))]
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_KITTY = re.compile(rb"\x1b\[([<>])\d*u")
_SEQUENCE = re.compile("\x1b(\\]22;[a-z-]*\x07|\\[[0-9;:?<>=]*[ -/]*[@-~]|[78=>]|\\([B0]|P[^\x1b]*\x1b\\\\)")
_PATIENCE = 20.0


class ChatTerminal:
    """One run of the chat."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        play: Play | None = None,
        arguments: Sequence[str] = (),
        program: Sequence[str] = CHILD,
        size: tuple[int, int] = (80, 24),
    ) -> None:
        self.raw = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self._hung_up = threading.Event()
        self.master, slave = pty.openpty()
        self._resize(size)
        self.before = _settings(slave)
        self.slave = slave
        env = {**environ, **({"FAKE": msgspec.json.encode(play).decode()} if play else {})}
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [*program, *arguments], stdin=slave, stdout=slave, stderr=slave, env=env, preexec_fn=_own_terminal
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> ChatTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)
        self.hang_up()

    def hang_up(self) -> None:
        """Takes the terminal away. The reader ends first: the next terminal may get the number of this descriptor."""
        self._hung_up.set()
        self._reader.join()
        for descriptor in (self.slave, self.master):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _read(self) -> None:
        while not self._hung_up.is_set():
            try:
                data = os.read(self.master, 65536) if select.select([self.master], [], [], 0.05)[0] else b""
            except OSError:  # nobody has the other end open any more
                return
            with self._lock:
                self.raw += data
                # pyte knows neither the private CSI of the kitty keyboard nor synchronised output.
                self._stream.feed(re.sub(rb"\x1b\[[<>=?][0-9;]*[u$p]+", b"", data))

    def text(self) -> str:
        """Returns what the screen shows."""
        with self._lock:
            return "\n".join(line.rstrip() for line in self.screen.display)

    def bytes(self) -> bytes:
        """Returns all that was written so far."""
        with self._lock:
            return self.raw

    def type(self, text: str) -> None:
        """Types text, or the escape sequence of a key."""
        os.write(self.master, text.encode())

    def paste(self, text: str) -> None:
        """Pastes as terminals do."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        """Changes the window."""
        with self._lock:
            self.screen.resize(rows, columns)
        self._resize((columns, rows))
        self.child.send_signal(signal.SIGWINCH)

    def _resize(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def wait_for(self, text: str, seconds: float = _PATIENCE) -> str:
        """Waits until the screen shows a text, and returns the screen."""
        self.wait_until(lambda: text in self.text(), f"{text!r} on the screen", seconds)
        return self.text()

    def wait_gone(self, text: str, seconds: float = _PATIENCE) -> None:
        """Waits until the screen does not show a text any more."""
        self.wait_until(lambda: text not in self.text(), f"{text!r} to go", seconds)

    def wait_until(self, true: Callable[[], bool], what: str, seconds: float = _PATIENCE) -> None:
        """Waits for something, and shows the screen where it does not come."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline or (self.child.poll() is not None and not true()):
                seen = f"{self.text()}\n{self.raw[-2000:]!r}"
                raise AssertionError(f"no {what}; the process: {self.child.poll()}\n{seen}")
            time.sleep(0.005)

    def end(self, seconds: float = _PATIENCE) -> int:
        """Waits for the end and returns the exit code; everything written is read then."""
        code = self.child.wait(seconds)
        known = -1
        while known < len(self.bytes()):  # this end of the terminal stays open, so no end of file tells
            known = len(self.bytes())
            time.sleep(0.06)
        return code

    def modes(self) -> dict[str, bool]:
        """Returns every private mode that was ever set and whether it is set now; `kitty` counts its pushes."""
        modes: dict[str, bool] = {}
        for found in _MODE.finditer(self.bytes()):
            for number in found[1].decode().split(";"):
                modes[number] = found[2] == b"h"
        pushes = sum(1 if found[1] == b">" else -1 for found in _KITTY.finditer(self.bytes()))
        return {**modes, "kitty": pushes > 0}

    def not_restored(self) -> list[str]:
        """Returns what the terminal is left with that it did not have before: modes, echo, line editing."""
        wanted = {"25": True, "7": True}
        wrong = [mode for mode, is_set in self.modes().items() if is_set != wanted.get(mode, False)]
        return wrong + (["termios"] if _settings(self.slave) != self.before else [])

    def unexpected(self) -> list[str]:
        """Returns every escape sequence and control character that the toolkit itself would not write."""
        text = self.bytes().decode(errors="replace")
        rest = _SEQUENCE.sub("", text)
        controls = re.findall("[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]", rest)
        return re.findall("\x1b.{0,12}", rest, re.DOTALL) + controls


def _settings(descriptor: int) -> list[Any]:
    return termios.tcgetattr(descriptor)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
