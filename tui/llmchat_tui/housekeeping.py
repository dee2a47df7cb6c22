"""When garbage is collected: a little after each tenth of a second, all of it only while nobody waits. Headless.

Left to itself, Python collects all generations every few seconds of streaming, 100 to 200 ms on the screen's thread.
Knows no screen: it is told whether somebody types or reads a growing reply.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

YOUNG_SECONDS = 0.1
"""A reply makes 40,000 objects a second; looking through a tenth of them takes 3 ms."""
FULL_AFTER_SECONDS = 20.0
"""Between two whole collections, each in a moment when nobody waits."""
LATEST_SECONDS = 300.0
"""A whole collection comes at the latest then, whoever waits: a reply may take an hour."""


class Housekeeper:
    """Collects garbage in place of Python's own thresholds."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        """Takes over.

        Args:
            is_busy: whether a pause of 200 ms would be noticed now.
        """
        self._is_busy = is_busy
        self._full_at = time.monotonic()
        # What the imports made is never looked at again.
        gc.freeze()
        gc.disable()

    def tick(self) -> None:
        """Collects what is due; to be called every `YOUNG_SECONDS`."""
        since = time.monotonic() - self._full_at
        if since > LATEST_SECONDS or (since > FULL_AFTER_SECONDS and not self._is_busy()):
            gc.collect()
            self._full_at = time.monotonic()
        else:
            gc.collect(0)
