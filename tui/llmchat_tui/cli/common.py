"""What the small commands share: how they reach the `App`, and how they print.

Knows no command and no chat. Reads no configuration, so a broken one does not keep these commands from working.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.render import binary_stdout, write_out
from llmchat_tui.console import Console, find_look
from llmchat_tui.sanitize import sanitize


def app_of(context: click.Context) -> App:
    """Returns the `App` of this run; a command that is run alone gets one of its own."""
    return context.ensure_object(App)


def console_of(app: App) -> Console:
    """Returns a console that follows the environment alone."""
    return Console(sys.stderr, find_look(sys.stdout, sys.stderr, app.environ))


def print_text(text: str) -> None:
    """Writes text to stdout: sanitised on a terminal, exact anywhere else.

    Raises:
        ClosedOutput: the reader is gone.
        StorageUnwritable: the file behind stdout cannot take more.
    """
    out = binary_stdout()
    write_out(out, sanitize(text) if out.isatty() else text)


def print_json(value: Any) -> None:
    """Writes a value to stdout as indented JSON, under the rules of `print_text`.

    A file's name that is no UTF-8 is escaped as Python does: its json.loads gives the very name back.
    """
    import msgspec

    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    except UnicodeEncodeError:
        import json

        text = json.dumps(msgspec.to_builtins(value), indent=2)
    print_text(f"{text}\n")


def print_rows(rows: Iterable[str]) -> None:
    """Writes one line each to stdout; the rows are sanitised already."""
    write_out(binary_stdout(), "".join(f"{row}\n" for row in rows))
