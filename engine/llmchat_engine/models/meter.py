"""How fast bytes come: a rate over the last seconds, and when it is time to tell. Knows no file and no network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from llmchat_engine.models.progress import Progress

WINDOW = 5.0
"""Seconds that the rate looks back: long enough to be calm, short enough to show a line that stopped."""
EVERY = 0.1


class Meter:
    """Makes `Progress` of a count of bytes, ten times a second at most."""

    def __init__(self, total: int, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._what = what
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._next = 0.0

    def due(self) -> bool:
        """Returns whether the last one was told long enough ago."""
        return self._clock() >= self._next

    def told(self, stage: str, done: int) -> Progress:
        """Returns where the work is now."""
        now = self._clock()
        self._next = now + EVERY
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW:
            self._seen.popleft()
        return Progress(stage, done, self._total, "bytes", self._rate(), self._what)

    def restart(self) -> None:
        """Forgets the past: what comes now is another kind of work."""
        self._seen.clear()
        self._next = 0.0

    def _rate(self) -> float:
        (began, before), (now, done) = self._seen[0], self._seen[-1]
        # Under half a second the first piece decides, and that came out of a buffer.
        return (done - before) / (now - began) if now - began >= 0.5 else 0.0
