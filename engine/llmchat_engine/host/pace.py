"""How many threads a batch of several answers is decoded with: what was quickest lately.

With every core taken, one more program on the machine holds up each step: three answers in the full-screen chat came at
28 tokens a second each with four threads on four cores, at 75 with three; with nothing beside them four take 0.85 of
the time that three take.
Knows times and numbers; no context.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

TRIES = 3
"""Steps that tell how quick a number is: one of them may be held up by something else."""
EVERY = 96
"""Steps after which the others are tried again."""


class Pace:
    """Chooses for one context."""

    def __init__(self, candidates: Sequence[int]) -> None:
        """Begins with the first; each is tried soon.

        Args:
            candidates: numbers of threads; one of them is no choice.
        """
        self._candidates = tuple(dict.fromkeys(candidates))
        self._lately = {threads: deque[float](maxlen=TRIES) for threads in self._candidates}
        self._best = self._candidates[0]
        self._step = 0

    def choose(self) -> int:
        """Returns how many the next step is to take."""
        others = [threads for threads in self._candidates if threads != self._best]
        if not others:
            return self._best
        untried = [threads for threads in self._candidates if len(self._lately[threads]) < TRIES]
        if untried:
            return untried[0]
        trial, step = divmod(self._step, EVERY)
        return others[trial % len(others)] if step < TRIES else self._best

    def took(self, threads: int, seconds: float) -> None:
        """Learns what a step took."""
        self._step += 1
        self._lately[threads].append(seconds)
        if all(len(times) == TRIES for times in self._lately.values()):
            self._best = min(self._candidates, key=lambda one: median(self._lately[one]))
