"""What llmchat says beside the answer: status, warnings and errors, on stderr.

Knows no answer, no click and no rich. Everything that is written goes through the sanitizer, and a stderr that is
closed or full never stops the work.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

from llmchat_tui.sanitize import sanitize, sanitize_line

ColorChoice = Literal["auto", "always", "never"]

_DIM = "2"
_RED = "31"
_AMBER = "33"
_WIDE_FROM = "\u1100"  # from here on characters may be two columns wide


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal, the environment and the flags allow."""

    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False
    color_stdout: bool = False
    color_stderr: bool = False
    dumb: bool = False
    """A terminal that understands nothing but text and line ends."""
    quiet: bool = False

    @property
    def progress(self) -> bool:
        """Whether a status line is shown: only to somebody who watches, and never beside a redirected answer."""
        return self.stdout_is_terminal and self.stderr_is_terminal and not self.dumb and not self.quiet


def find_look(
    stdout: TextIO | None,
    stderr: TextIO | None,
    environ: Mapping[str, str],
    color: ColorChoice = "auto",
    quiet: bool = False,
) -> Look:
    """Returns what may be written where.

    Args:
        stdout: the stream of the answer; None where it is closed.
        stderr: the stream of everything else; None where it is closed.
        environ: NO_COLOR (any value), FORCE_COLOR (but not 0) and TERM are read.
        color: the flag or setting; `always` and `never` go over the environment.
        quiet: whether status and remarks are unwanted.
    """
    out, err = _is_terminal(stdout), _is_terminal(stderr)
    dumb = environ.get("TERM", "") in ("", "dumb", "unknown")
    allowed = not dumb and not environ.get("NO_COLOR")
    forced = color == "always" or (color == "auto" and environ.get("FORCE_COLOR", "0") != "0" and allowed)
    offered = color == "auto" and allowed
    return Look(
        stdout_is_terminal=out,
        stderr_is_terminal=err,
        color_stdout=forced or (offered and out),
        color_stderr=forced or (offered and err),
        dumb=dumb,
        quiet=quiet,
    )


class Console:
    """Writes to stderr. Holds the one transient line, so that nothing is printed into the middle of it."""

    def __init__(self, stderr: TextIO | None, look: Look) -> None:
        self.look = look
        self._stderr = stderr
        self._shown = 0

    def status(self, text: str) -> None:
        """Shows one line of progress in place of the last one, where somebody watches."""
        if not self.look.progress:
            return
        line, width = fit_line(sanitize_line(text), self._columns() - 1)
        # Spaces wipe the rest of the longer line before: no escape sequence, so NO_COLOR has nothing to forbid.
        padding = " " * max(0, self._shown - width)
        self._write(f"\r{self._paint(line, _DIM)}{padding}" + "\b" * len(padding))
        self._shown = width

    def clear_status(self) -> None:
        """Takes the status line away; the cursor is at the start of an empty line."""
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = 0

    def warn(self, text: str) -> None:
        """Tells that something was lost or replaced: always, on a terminal or off."""
        self._line(f"{self._paint('llmchat: warning:', _AMBER)} {sanitize_line(text)}")

    def error(self, what: str, why: str = "", hint: str = "") -> None:
        """Tells what failed and why on one line, and what helps on the next."""
        reason = f" — {sanitize_line(why)}" if why else ""
        self._line(f"{self._paint('llmchat: error:', _RED)} {sanitize_line(what)}{reason}")
        if hint:
            self._line(f"{self._paint('hint:', _DIM)} {sanitize_line(hint)}")

    def info(self, text: str) -> None:
        """Makes a remark nobody asked for: only on a terminal, and not when quiet."""
        if self.look.stderr_is_terminal and not self.look.quiet:
            self.say(text)

    def say(self, text: str) -> None:
        """Writes what a flag asked for, such as statistics: always."""
        self._line(self._paint(sanitize(text), _DIM))

    def aside(self, text: str) -> None:
        """Writes a piece of what stands beside the answer, such as a thought; off a terminal as it is."""
        self.clear_status()
        self._write(self._paint(sanitize(text), _DIM) if self.look.stderr_is_terminal else text)

    def _line(self, text: str) -> None:
        self.clear_status()
        self._write(f"{text}\n")

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self.look.color_stderr else text

    def _write(self, text: str) -> None:
        if self._stderr is None:
            return
        with contextlib.suppress(OSError, ValueError):  # closed, full, hung up
            self._stderr.write(text)
            self._stderr.flush()

    def _columns(self) -> int:
        return terminal_columns(self._stderr)


def terminal_columns(stream: TextIO | None) -> int:
    """Returns the width of the terminal behind a stream; 80 where it is not known."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream else 0
    except (OSError, ValueError):
        columns = 0
    return columns or 80


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def fit_line(text: str, columns: int) -> tuple[str, int]:
    """Returns the part of a line that surely fits, and the columns it may take: a wrapped line cannot be wiped."""
    width = 0
    for position, character in enumerate(text):
        step = 1 if character < _WIDE_FROM else 2
        if width + step > columns:
            return text[:position], width
        width += step
    return text, width
