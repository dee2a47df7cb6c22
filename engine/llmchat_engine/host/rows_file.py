"""A file of rows of log-probabilities, which one process writes and another reads: float32, one row a place.

It has no name: the caller made it and hands the descriptor on, so nothing is left of it whatever happens. Knows no
model.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmchat_engine.errors import NotEnoughDisk

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

_MARGIN = 64 << 20


class RowsFile:
    """The rows, one after the other."""

    def __init__(self, descriptor: int, n_vocab: int) -> None:
        """Takes an open file; closing it is the caller's."""
        self._descriptor, self._bytes = descriptor, 4 * n_vocab
        self._written = self._read = 0

    def reserve(self, rows: int) -> None:
        """Makes sure that so many rows fit on the disk.

        Raises:
            NotEnoughDisk: they do not.
        """
        disk = os.fstatvfs(self._descriptor)
        free, needed = disk.f_bavail * disk.f_frsize, rows * self._bytes
        if needed + _MARGIN > free:
            fitting = max(0, (free - _MARGIN) // self._bytes)
            why = f"{needed / 1e6:,.0f} MB are needed in between for {rows:,} tokens, and {free / 1e6:,.0f} MB are free"
            hint = f"take a text of at most {2 * fitting:,} tokens, or set XDG_CACHE_HOME to a larger disk"
            raise NotEnoughDisk("the predictions for this text do not fit on the disk", why, hint)

    def append(self, row: Row) -> None:
        """Writes the next row.

        Raises:
            NotEnoughDisk: the disk is full.
        """
        rest = memoryview(row.tobytes())
        try:
            while rest:
                count = os.pwrite(self._descriptor, rest, self._written)
                rest, self._written = rest[count:], self._written + count
        except OSError as error:
            why = error.strerror or str(error)
            raise NotEnoughDisk("the predictions cannot be kept", why, "take a shorter text") from error

    def next(self) -> Row:
        """Returns the next row.

        Raises:
            NotEnoughDisk: it is not there.
        """
        import numpy as np

        data = os.pread(self._descriptor, self._bytes, self._read)
        if len(data) < self._bytes:
            raise NotEnoughDisk("the predictions of the other model are not there", "their file ends early")
        self._read += len(data)
        return np.frombuffer(data, np.float32)
