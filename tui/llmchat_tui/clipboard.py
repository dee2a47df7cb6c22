"""Text to the clipboard: through the terminal, and through the desktop's own tool where there is one.

Knows no screen. Never fails: what did not work is said in the words that come back. May take two seconds for each tool
that hangs, so it is called from a thread.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from llmchat_tui.sanitize import sanitize

TIMEOUT_SECONDS = 2.0
TERMINAL_LIMIT = 74_994
"""Characters of base64 that fit into the 75,000 byte sequence at which many terminals cut."""


@dataclass(frozen=True, slots=True)
class _Tool:
    """A program that takes the clipboard's new content on stdin."""

    command: tuple[str, ...]
    encoding: str = "utf-8"
    alone: bool = True
    """Whether it reaches the desktop, so that no other is needed."""


def copy(text: str, environ: Mapping[str, str], osc52: Callable[[str], None]) -> str:
    """Copies a text without its control characters, which a shell would obey; returns in words how it went.

    Args:
        text: what to copy.
        environ: tells of the desktop: DISPLAY, WAYLAND_DISPLAY, TMUX, WSL; PATH has the tools.
        osc52: sends a text to the terminal's clipboard.
    """
    harmless = sanitize(text)
    if not harmless:
        return "nothing to copy"
    too_long = _base64_length(harmless) > TERMINAL_LIMIT
    if not too_long:
        osc52(harmless)
    if _give_to_tools(harmless, environ):
        return "copied"
    if not too_long:
        return "copied (terminal)"
    # Only now: a terminal that cuts would replace what a tool had copied whole.
    osc52(harmless)
    return f"copied (terminal; {len(harmless):,} characters, many terminals cut at {TERMINAL_LIMIT * 3 // 4:,} bytes)"


def _base64_length(text: str) -> int:
    return (len(text.encode()) + 2) // 3 * 4


def _give_to_tools(text: str, environ: Mapping[str, str]) -> bool:
    """Tries the tools in turn; returns whether one that reaches the desktop took the text."""
    return any(_run(tool, text, environ) and tool.alone for tool in _fitting(environ, sys.platform))


def _fitting(environ: Mapping[str, str], platform: str) -> Iterator[_Tool]:
    """Yields the tools that fit the desktop, the surest first."""
    if environ.get("TMUX"):
        yield _Tool(("tmux", "load-buffer", "-w", "-"), alone=False)
    if platform == "darwin":
        yield _Tool(("pbcopy",))
    if environ.get("WAYLAND_DISPLAY"):
        yield _Tool(("wl-copy",))
    if environ.get("DISPLAY"):
        yield _Tool(("xclip", "-selection", "clipboard"))
        yield _Tool(("xsel", "--clipboard", "--input"))
    if environ.get("WSL_DISTRO_NAME") or environ.get("WSL_INTEROP"):
        yield _Tool(("clip.exe",), "utf-16-le")


def _run(tool: _Tool, text: str, environ: Mapping[str, str]) -> bool:
    """Feeds a tool and returns whether it took the text. It may stay behind to serve what it holds."""
    program = shutil.which(tool.command[0], path=environ.get("PATH"))
    if program is None:
        return False
    import subprocess

    # pbcopy reads its input as the locale says. No pipe is read from: xclip's child keeps them open for good.
    process_environ = {**environ, "LC_CTYPE": "UTF-8"} if tool.command == ("pbcopy",) else dict(environ)
    try:
        done = subprocess.run(
            [program, *tool.command[1:]],
            input=text.encode(tool.encoding),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            env=process_environ,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
