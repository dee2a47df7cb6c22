"""When a server that is busy is asked again, and when no more. Counts and seconds; sends nothing."""

from __future__ import annotations

import os

from llmchat_engine.remote.http import Refusal

_PASSES = frozenset({429, 502, 503, 504})
"""Statuses of a server that may answer in a moment."""
_TIMES = 4
_FIRST = 0.5
"""Seconds before it is asked the second time; each further time waits twice as long."""
_LONGEST = 30.0
"""Seconds that a server may have us wait: whoever is told more decides that better than a program."""
_LOADING_EVERY = 1.0


class Patience:
    """How one request waits for a server."""

    def __init__(self, seconds: float) -> None:
        """Begins with all of it.

        Args:
            seconds: for which a model that is still being loaded is waited for.
        """
        self._left, self._asked = seconds, 1

    def wait_for(self, refusal: Refusal) -> float | None:
        """Returns after how many seconds to ask again; None where that is no use."""
        if refusal.status not in _PASSES:
            return None
        if "loading" in refusal.said.words.lower():
            self._left -= _LOADING_EVERY
            return _LOADING_EVERY if self._left > 0 else None
        if self._asked >= _TIMES:
            return None
        delay = _FIRST * 2 ** (self._asked - 1) * (0.75 + os.urandom(1)[0] / 512)
        self._asked += 1
        wished = _seconds(refusal.retry_after)
        return None if wished > _LONGEST else max(wished, delay)


def _seconds(retry_after: str) -> float:
    """Returns the seconds of a header; 0 where it says none, or a date, which no two clocks agree on."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        return 0.0
