"""A parser process: reads requests from its standard input, answers on its standard output, ends with its parent.

Run as `python -m llmchat_rag.parse.worker MEMORY`. Confined before it reads anything. What no parser expected ends the
process, and the last answer says what it was: the pool starts another one, and the next file meets a clean one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from llmchat_rag.errors import NothingToRead, ParseError
from llmchat_rag.parse.formats import parse_bytes
from llmchat_rag.parse.guard import allow_processor_time, confine
from llmchat_rag.parse.wire import READY, answer_of, framed
from llmchat_rag.reading import read_file
from llmchat_rag.types import Parsed, Refused

PROCESSOR_SECONDS = 60
"""For one file. The pool's clock is stricter on an idle machine; this one holds when the pool is gone."""


def main(memory: int) -> None:
    """Serves until the input ends."""
    answers = _own_output()
    sys.excepthook = _reporter(answers)
    confine(memory)
    answers.write(READY)
    answers.flush()
    for path, name, limit in _requests(sys.stdin.buffer):
        allow_processor_time(PROCESSOR_SECONDS)
        _send(answers, framed(answer_of(_outcome(path, name, limit))))


def _outcome(path: str, name: str, limit: int) -> Parsed | Refused:
    try:
        return parse_bytes(name, read_file(Path(path), limit))
    except NothingToRead as error:
        return Refused(str(error), failed=False)
    except ParseError as error:
        return Refused(str(error))


def _requests(stream: BinaryIO) -> Iterator[tuple[str, str, int]]:
    for line in stream:
        request = json.loads(line)
        yield request["path"], request["name"], request["limit"]


def _own_output() -> BinaryIO:
    """Returns the standard output for answers alone: what a library prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _send(answers: BinaryIO, data: bytes) -> None:
    answers.write(data)
    answers.flush()


def _reporter(answers: BinaryIO) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Returns what is called with the error that ends this process."""

    def report(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if issubclass(kind, MemoryError):
            reason = "its parser ran out of memory"
        elif issubclass(kind, RecursionError):
            reason = "it is nested too deeply"
        else:
            reason = f"its parser failed ({kind.__name__}: {str(error)[:80]})"
        _send(answers, framed(answer_of(Refused(reason), last=True)))

    return report


if __name__ == "__main__":
    main(int(sys.argv[1]))
