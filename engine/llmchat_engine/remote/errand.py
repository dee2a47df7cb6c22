"""Work in a thread of its own that somebody waits for a little at a time. Knows no HTTP.

The thread is a daemon: whoever leaves does not wait for a server that never answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from llmchat_engine.errors import EngineError, RemoteUnreachable

T = TypeVar("T")


class Errand(Generic[T]):
    """One piece of work, begun at once."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: EngineError | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Waits for its end, at most so long; returns whether it has come."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Returns what the work returned, when it has ended.

        Raises:
            EngineError: what it raised.
        """
        self._done.wait()
        if self._error is not None:
            raise self._error
        if not self._result:
            raise RemoteUnreachable(
                "the server could not be asked", "the work broke off inside llmchat", "llmchat doctor"
            )
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except EngineError as error:
            self._error = error
        finally:
            self._done.set()
