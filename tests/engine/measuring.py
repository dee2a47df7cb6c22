"""What tests share that measure models: running the work to its end. Knows no single test."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from llmchat_engine.models.progress import Progress

_End = TypeVar("_End")
TEXT = "The ferry left the island twice a day, and nobody on it thought this strange. " * 8


def finished(work: Generator[Progress, None, _End]) -> _End:
    """Runs the work to its end; what it tells meanwhile has to be in order."""
    while True:
        try:
            told = next(work)
        except StopIteration as end:
            result: _End = end.value
            return result
        assert told.stage
        assert 0 <= told.done <= (told.total or told.done)
