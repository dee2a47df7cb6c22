"""A llama_token_data_array over numpy: a row of logits comes in with one store, a chain sorts and cuts it in place.

Knows no samplers and no grammar.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Candidates:
    """The tokens to choose from, with their logits."""

    def __init__(self, bindings: Any, n_vocab: int) -> None:
        """Allocates room for every token of a vocabulary.

        Args:
            bindings: The C functions.
            n_vocab: The number of tokens.
        """
        import numpy as np

        self._ids = np.arange(n_vocab, dtype=np.int32)
        self._data = np.empty(n_vocab, np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")]))
        self._pointer = self._data.ctypes.data_as(ctypes.POINTER(bindings.llama_token_data))
        self.struct = bindings.llama_token_data_array(data=self._pointer, size=n_vocab, selected=-1, sorted=False)
        self.reference = ctypes.byref(self.struct)

    def fill(self, row: npt.NDArray[np.float32], ids: npt.NDArray[np.int32] | None = None) -> None:
        """Takes logits in.

        Args:
            row: Of every token, or of those in `ids`.
            ids: Which tokens; None is all of them.
        """
        size = len(row)
        data = self._data[:size]
        data["id"] = self._ids[:size] if ids is None else ids
        data["logit"] = row
        self.struct.data, self.struct.size = self._pointer, size
        self.struct.selected, self.struct.sorted = -1, False

    def allowed(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Returns the ids and logits of those that were not ruled out, as copies."""
        import numpy as np

        data = self._left()
        kept = data[data["logit"] > -np.inf]
        return kept["id"].copy(), kept["logit"].copy()

    @property
    def chosen(self) -> int:
        """The id that a chain selected; -1 where it selected none."""
        at = int(self.struct.selected)
        return int(self._left()["id"][at]) if 0 <= at < self.struct.size else -1

    def _left(self) -> npt.NDArray[np.void]:
        """Returns what a chain left. XTC takes the likeliest ones away by moving the beginning up."""
        moved = ctypes.addressof(self.struct.data.contents) - ctypes.addressof(self._pointer.contents)
        first = moved // self._data.itemsize
        return self._data[first : first + self.struct.size]
