"""Loads models that were never loaded here, once each and one at a time, in a thread. Headless; knows no screen.

The thread is a daemon: a model that takes its time must not keep the program from leaving.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from llmchat_engine import EngineError

if TYPE_CHECKING:
    from llmchat_engine.models.trials import Trial


class Trier(Protocol):
    """What does the work: `Stock` is one."""

    def known_trial(self, path: Path) -> Trial | None:
        """Returns how loading a file went; None where it was never tried."""

    def try_model(self, path: Path) -> Trial:
        """Loads it once."""


class Trying:
    """One trial after the other until it is stopped."""

    def __init__(self, trier: Trier, tell: Callable[[Path, Trial], None]) -> None:
        """Tries nothing yet.

        Args:
            trier: does the work.
            tell: called in the thread with each verdict.
        """
        self._trier, self._tell = trier, tell
        self._stopped = threading.Event()
        self._started = False

    def start(self, paths: Sequence[Path]) -> None:
        """Begins with these models; those that were tried already are left out. A second call does nothing."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, args=(tuple(paths),), name="trying", daemon=True).start()

    def stop(self) -> None:
        """Tries no further one; what is being loaded ends by itself."""
        self._stopped.set()

    def _run(self, paths: tuple[Path, ...]) -> None:
        for path in paths:
            if self._stopped.is_set():
                return
            try:
                known = self._trier.known_trial(path)
                trial = self._trier.try_model(path) if known is None else None
            except EngineError:  # gone or changed meanwhile: whoever uses it is told
                continue
            if trial is not None and not self._stopped.is_set():
                self._tell(path, trial)
