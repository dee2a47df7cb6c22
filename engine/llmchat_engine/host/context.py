"""The KV cache and the batch that feeds it: small owning wrappers over the C interface. Ids in, logits out.

Knows no text. Not thread-safe: one thread owns them, except `Context.abort`, which any thread may call.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmchat_engine.errors import GenerationFailed, NotEnoughMemory
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

N_BATCH = 512
"""Prefill chunk in tokens; the sweep over 128 to 2,048 on CPU peaks at 256 to 512."""
N_SEQ_MAX = 8
N_OUTPUTS_MAX = 32
"""Rows of logits. The default reserves one row per token of the batch: 313 MiB at a vocabulary of 152,000."""
_FLASH_OFF, _FLASH_AUTO = 0, -1


class Context:
    """The KV cache and the batch that feeds it. `decode_seconds` adds up the time inside llama_decode."""

    def __init__(
        self, llama: Llama, model: Model, *, n_ctx: int, threads: int, batch_threads: int, gpu_layers: int = -1
    ) -> None:
        """Allocates the cache.

        Raises:
            NotEnoughMemory: llama.cpp could not allocate it.
        """
        self._c, self._model = llama.c, model
        params = self._c.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = N_BATCH
        params.n_seq_max, params.kv_unified = N_SEQ_MAX, True
        params.n_outputs_max = N_OUTPUTS_MAX
        params.n_threads, params.n_threads_batch = threads, batch_threads
        # On a CPU flash attention halves decode at 3,000 tokens of depth: 40 to 42 against 77 to 89 tokens a second.
        params.flash_attn_type = _FLASH_AUTO if gpu_layers and llama.devices() else _FLASH_OFF
        params.swa_full = True
        self.pointer = self._c.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            why = "; ".join(llama.warnings) or "llama.cpp could not allocate it"
            raise NotEnoughMemory(f"a context of {n_ctx:,} tokens does not fit", why, "choose a smaller one with --ctx")
        # llama.cpp rounds up to 256 cells, and cuts the batch down to the context.
        self.n_ctx = min(n_ctx, int(self._c.llama_n_ctx(self.pointer)))
        self.n_batch = min(N_BATCH, int(self._c.llama_n_batch(self.pointer)))
        self.decode_seconds = 0.0
        self._memory = self._c.llama_get_memory(self.pointer)
        self._batch = Batch(self._c)
        self._install_abort()

    def _install_abort(self) -> None:
        # strlen as the callback: it "aborts" as soon as the first byte of the flag is not NUL. No Python and no GIL per
        # graph node, where a Python callback costs 3 % of decode.
        self._flag = ctypes.create_string_buffer(2)
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, self._c.ggml_abort_callback)
        self._c.llama_set_abort_callback(self.pointer, strlen, ctypes.cast(self._flag, ctypes.c_void_p))

    def abort(self, on: bool = True) -> None:
        """Makes the running and every later decode stop within milliseconds. Safe from any thread."""
        self._flag[0] = b"\x01" if on else b"\x00"

    @property
    def aborted(self) -> bool:
        """True while the abort flag is up."""
        return self._flag[0] != b"\x00"

    def decode(self, ids: Sequence[int], start: int) -> bool:
        """Appends at most `n_batch` ids at position `start`; the last one's logits can be sampled from.

        Returns:
            False where the abort flag stopped it. Then, and after an error, the caller removes what came in.

        Raises:
            GenerationFailed: no free cell, or llama.cpp refused the batch.
        """
        batch = self._batch.fill(ids, start)
        began = time.perf_counter()
        code = self._c.llama_decode(self.pointer, batch)
        self.decode_seconds += time.perf_counter() - began
        if code == 0:
            return True
        if code == 2:
            return False
        why = "no free cell in the cache" if code == 1 else f"llama_decode returned {code}"
        raise GenerationFailed("llama.cpp refused a batch", why, "try again; a smaller prompt may work")

    def remove(self, start: int, *, sequence: int = 0) -> bool:
        """Removes every token from position `start` on; False where this kind of memory cannot do that."""
        return bool(self._c.llama_memory_seq_rm(self._memory, sequence, start, -1))

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        """Returns (first, last) position of a sequence in the cache; (-1, -1) when it is empty."""
        first = self._c.llama_memory_seq_pos_min(self._memory, sequence)
        return int(first), int(self._c.llama_memory_seq_pos_max(self._memory, sequence))

    def clear(self) -> None:
        """Empties the cache, all sequences."""
        self._c.llama_memory_clear(self._memory, True)

    def logits(self) -> npt.NDArray[np.float32]:
        """Returns the last row of logits, shape (n_vocab,), without a copy: valid until the next decode."""
        import numpy as np

        row = self._c.llama_get_logits_ith(self.pointer, -1)
        return np.ctypeslib.as_array(row, (self._model.vocab.size,))

    def close(self) -> None:
        """Frees the cache."""
        if self.pointer:
            self._batch.close()
            self._c.llama_free(self.pointer)
            self.pointer = None


class Batch:
    """A llama_batch whose arrays are numpy views: filling 512 tokens is four vector stores, not 2,560 ctypes ones."""

    def __init__(self, bindings: Any) -> None:
        import numpy as np

        self._c, self._np = bindings, np
        self.struct = bindings.llama_batch_init(N_BATCH, 0, 1)
        self._tokens = np.ctypeslib.as_array(self.struct.token, (N_BATCH,))
        self._positions = np.ctypeslib.as_array(self.struct.pos, (N_BATCH,))
        self._outputs = np.ctypeslib.as_array(self.struct.logits, (N_BATCH,))
        np.ctypeslib.as_array(self.struct.n_seq_id, (N_BATCH,))[:] = 1
        # Each seq_id[i] is its own malloc of one int; point them all into one array that can be filled at once.
        pointers = ctypes.cast(self.struct.seq_id, ctypes.POINTER(ctypes.c_size_t))
        self._pointers = np.ctypeslib.as_array(pointers, (N_BATCH,))
        self._own_pointers = self._pointers.copy()
        self._sequences = np.zeros(N_BATCH, np.int32)
        self._pointers[:] = self._sequences.ctypes.data + 4 * np.arange(N_BATCH, dtype=np.uint64)

    def fill(self, ids: Sequence[int], start: int) -> Any:
        """Writes ids at consecutive positions of sequence 0, logits for the last; returns the struct to decode."""
        count = len(ids)
        if not 0 < count <= N_BATCH:
            raise GenerationFailed("a batch has the wrong size", f"{count} tokens, 1 to {N_BATCH} fit")
        self._tokens[:count] = ids
        self._positions[:count] = start if count == 1 else self._np.arange(start, start + count)
        self._outputs[:count] = 0
        self._outputs[count - 1] = 1
        self.struct.n_tokens = count
        return self.struct

    def close(self) -> None:
        """Gives llama.cpp its own pointers back and frees them."""
        self._pointers[:] = self._own_pointers
        self._c.llama_batch_free(self.struct)
