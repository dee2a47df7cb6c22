"""Ids that sort by time and that two instances never share. Knows nothing of SQL or messages."""

from __future__ import annotations

import os
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that an id can be read aloud and typed."""
ID_LENGTH = 26


class IdClock:
    """Makes ids of 48 bits of milliseconds and 80 random bits; each is greater than the one before."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> str:
        """Returns a new id of 26 characters, also when the system clock went back."""
        now = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
        self._last = max(now, self._last + 1)
        return "".join(ALPHABET[self._last >> shift & 31] for shift in range(125, -1, -5))
