"""A llama_batch whose arrays are numpy views: filling 512 tokens is four vector stores, not 2,560 ctypes ones.

Knows no context: ids, positions and sequences in, a struct to decode out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from llmchat_engine.errors import GenerationFailed


class Batch:
    """One batch that is filled again and again."""

    def __init__(self, bindings: Any, size: int) -> None:
        """Allocates it.

        Args:
            bindings: The C functions.
            size: The most tokens.
        """
        import numpy as np

        self._c, self._np, self._size = bindings, np, size
        self.struct = bindings.llama_batch_init(size, 0, 1)
        self._tokens = np.ctypeslib.as_array(self.struct.token, (size,))
        self._positions = np.ctypeslib.as_array(self.struct.pos, (size,))
        self._outputs = np.ctypeslib.as_array(self.struct.logits, (size,))
        np.ctypeslib.as_array(self.struct.n_seq_id, (size,))[:] = 1
        # Each seq_id[i] is its own malloc of one int; point them all into one array that can be filled at once.
        pointers = ctypes.cast(self.struct.seq_id, ctypes.POINTER(ctypes.c_size_t))
        self._pointers = np.ctypeslib.as_array(pointers, (size,))
        self._own_pointers = self._pointers.copy()
        self._sequences = np.zeros(size, np.int32)
        self._pointers[:] = self._sequences.ctypes.data + 4 * np.arange(size, dtype=np.uint64)

    def fill(self, ids: Sequence[int], start: int, sequence: int) -> Any:
        """Writes ids at consecutive positions of a sequence, logits for the last; returns the struct to decode."""
        count = self._checked(len(ids))
        self._tokens[:count] = ids
        self._positions[:count] = start if count == 1 else self._np.arange(start, start + count)
        self._sequences[:count] = sequence
        self._outputs[:count] = 0
        self._outputs[count - 1] = 1
        self.struct.n_tokens = count
        return self.struct

    def fill_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> Any:
        """Writes ids of several sequences, each with its position, and whether its logits are wanted."""
        count = self._checked(len(ids))
        self._tokens[:count] = ids
        self._positions[:count] = positions
        self._sequences[:count] = sequences
        self._outputs[:count] = outputs
        self.struct.n_tokens = count
        return self.struct

    def _checked(self, count: int) -> int:
        if not 0 < count <= self._size:
            raise GenerationFailed("a batch has the wrong size", f"{count} tokens, 1 to {self._size} fit")
        return count

    def close(self) -> None:
        """Gives llama.cpp its own pointers back and frees them."""
        self._pointers[:] = self._own_pointers
        self._c.llama_batch_free(self.struct)
