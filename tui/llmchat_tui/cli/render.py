"""Writes an answer to stdout while it streams: exact, plain, or as finished Markdown blocks.

Knows no engine, no turn and no stderr. Imports rich only when the first Markdown block is finished.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import BinaryIO, Literal

from llmchat_tui.cli.blocks import BlockSplitter
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.sanitize import sanitize

Mode = Literal["exact", "plain", "markdown"]


class ClosedOutput(Exception):
    """Nobody reads stdout any more. There is nothing to tell; stop the model and leave with `exit_code`."""

    exit_code = 141


def binary_stdout() -> BinaryIO:
    """Returns stdout for bytes.

    Raises:
        ClosedOutput: where the program was started without one (`>&-`).
    """
    if sys.stdout is None:
        raise ClosedOutput
    return sys.stdout.buffer


def write_out(out: BinaryIO, text: str) -> None:
    """Writes text as UTF-8, whatever the locale, and flushes it.

    Raises:
        ClosedOutput: where the reader is gone.
        StorageUnwritable: where the file behind it cannot take more.
    """
    try:
        out.write(text.encode(errors="replace"))
        out.flush()
    except (ConnectionError, ValueError) as error:
        _discard_rest(out)
        raise ClosedOutput from error
    except OSError as error:
        _discard_rest(out)
        hint = "free some space, or write to another place; the chat itself is in llmchat chats"
        raise StorageUnwritable("cannot write to stdout", error.strerror or "", hint) from error


class AnswerWriter:
    """Writes one answer.

    `exact` gives a pipe every character; `plain` and `markdown` give a terminal sanitised text. An answer ends with one
    line break: `exact` adds it where it is missing, the others drop those in excess too. An empty answer stays empty.
    """

    def __init__(self, out: BinaryIO, mode: Mode, *, color: bool = False, columns: int = 80) -> None:
        self._out = out
        self._mode = mode
        self._color = color
        self._columns = columns
        self._splitter = BlockSplitter()
        self._held = ""
        self._last = ""

    def write(self, text: str) -> None:
        """Writes the next piece of the answer, or holds it until its block is whole.

        Raises:
            ClosedOutput: where the reader is gone.
            StorageUnwritable: where the file behind stdout cannot take more.
        """
        if self._mode == "exact":
            self._put(text)
        elif self._mode == "plain":
            self._put_held(sanitize(text))
        else:
            self._put_blocks(self._splitter.feed(sanitize(text)))

    def finish(self) -> None:
        """Writes what was held back, and the line break at the end.

        Raises:
            ClosedOutput: where the reader is gone.
            StorageUnwritable: where the file behind stdout cannot take more.
        """
        if self._mode == "markdown":
            self._put_blocks(self._splitter.finish())
        if self._last and self._last != "\n":
            self._put("\n")

    def _put(self, text: str) -> None:
        if text:
            self._last = text[-1]
            write_out(self._out, text)

    def _put_held(self, text: str) -> None:
        """Writes text but for the line breaks at its end, which may be the answer's end."""
        text = self._held + text
        body = text.rstrip("\n")
        self._held = text[len(body) :]
        self._put(body)

    def _put_blocks(self, blocks: list[str]) -> None:
        for block in blocks:
            from llmchat_tui.cli.markdown import render_block

            rendered = render_block(block, self._columns, self._color)
            if rendered:
                self._put(f"\n{rendered}\n" if self._last else f"{rendered}\n")


def _discard_rest(out: BinaryIO) -> None:
    """Sends what is still buffered nowhere: the interpreter flushes once more at exit, and would fail again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, out.fileno())
        finally:
            os.close(nowhere)
