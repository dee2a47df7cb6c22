"""A text written in the user's own editor. Knows no screen: whoever calls gives the terminal away and takes it back."""

from __future__ import annotations

import shlex
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llmchat_tui.errors import UsageError, UserError
from llmchat_tui.inputs import Limits, read_text

Run = Callable[[Sequence[str]], int]
"""Runs a command on the terminal and returns its exit code."""
_USUAL = ("nano", "vim", "vi", "emacs", "micro")
_HINT = "export EDITOR=nano"
_KEPT = "the old text is kept"


def edit_text(text: str, environ: Mapping[str, str], run: Run, name: str = "message.md") -> str:
    """Returns a text as the user left it in the editor.

    Args:
        text: what the editor shows first.
        environ: VISUAL or EDITOR names the editor, with its flags.
        run: runs it; raises OSError where it cannot be started.
        name: of the file that the editor sees, by whose ending it knows the language.

    Raises:
        UserError: there is no editor, or it failed; the text is as it was.
    """
    command = find_editor(environ)
    with tempfile.TemporaryDirectory(prefix="llmchat-") as private:
        # The directory is 0700: editors put their own copies beside the file.
        path = Path(private, name)
        path.touch(0o600)
        path.write_text(text, "utf-8", newline="")
        _run(run, command, path)
        return _read(path, text)


def find_editor(environ: Mapping[str, str]) -> list[str]:
    """Returns the command of the user's editor.

    Raises:
        UserError: none is named and none of the usual ones is here, or its flags cannot be read.
    """
    for name in ("VISUAL", "EDITOR"):
        if command := environ.get(name, "").strip():
            return _split(name, command)
    for program in _USUAL:
        if found := shutil.which(program, path=environ.get("PATH")):
            return [found]
    raise UserError("there is no editor", "neither VISUAL nor EDITOR is set, and nano and vi are not here", _HINT)


def run_on_terminal(command: Sequence[str]) -> int:
    """Runs a program that owns the terminal meanwhile, and returns its exit code.

    Raises:
        OSError: it cannot be started.
    """
    import subprocess

    # Ctrl+C is the program's. A handler instead of SIG_IGN: the latter would be inherited.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.call(command)
    finally:
        signal.signal(signal.SIGINT, before)


def _split(name: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"{name} cannot be read", str(error), _HINT) from error
    if not words:
        raise UserError(f"{name} names no program", "", _HINT)
    return words


def _run(run: Run, command: Sequence[str], path: Path) -> None:
    try:
        code = run([*command, str(path)])
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started", error.strerror or str(error), _HINT) from error
    if code:
        ended = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise UserError(f"{command[0]} {ended}", _KEPT)


def _read(path: Path, before: str) -> str:
    """Returns the file without the line end that editors put behind the last line."""
    try:
        text = read_text(path, Limits(), lambda _warning: None)
    except OSError as error:
        raise UsageError("the editor left no file", f"{error.strerror}; {_KEPT}") from error
    return text if before.endswith("\n") else text.removesuffix("\n")
