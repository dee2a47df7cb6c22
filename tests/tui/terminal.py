"""Runs llmchat on a pseudo-terminal and hands back the bytes that reached it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOMS = [str(Path(__file__).parents[2] / room) for room in ("engine", "rag", "tui")]
_MAIN = "from llmchat_tui.cli import main; main()"
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def run_in_terminal(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    *,
    columns: int = 80,
    typed: bytes = b"",
    program: Sequence[str] = (sys.executable, "-c", _MAIN),
) -> tuple[bytes, int]:
    """Returns what a command line writes to its terminal, stderr too, and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        [*program, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**environ, "PYTHONPATH": os.pathsep.join(_ROOMS)},
        start_new_session=True,
    )
    os.close(slave)
    try:
        os.write(master, typed)
        return _read_all(master), child.wait(timeout=30)
    finally:
        os.close(master)
        child.kill()
        child.wait()


def unexpected(output: bytes, allowed: Sequence[str] = ()) -> list[str]:
    """Returns every control that reached the terminal: escape sequences other than those allowed, C0, C1, bidi."""
    text = output.decode(errors="replace")
    for sequence in allowed:
        text = text.replace(sequence, "")
    return _UNSAFE.findall(text) + re.findall("\x1b.{0,8}", text, re.DOTALL)


def _read_all(master: int) -> bytes:
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other end is closed
            return b"".join(chunks)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
