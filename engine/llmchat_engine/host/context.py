"""The KV cache and the batch that feeds it: small owning wrappers over the C interface. Ids in, logits out.

Knows no text and not what the sequences mean. Not thread-safe: one thread owns them, except `Context.abort`, which any
thread may call.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmchat_engine.errors import GenerationFailed, NotEnoughMemory
from llmchat_engine.host.batch import Batch
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.host.pace import Pace
from llmchat_engine.types import CacheType

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from llmchat_engine.protocol import Load

N_SEQ_MAX = 16
"""Sequences: 16 answers at once. A free one costs nothing but with a recurrent model, where each has its state."""
N_SEQ_MAX_RECURRENT = 8
N_OUTPUTS_MAX = 32
"""Rows of logits. The default reserves one row per token of the batch: 313 MiB at a vocabulary of 152,000."""
FIRST_CELLS = 2048
"""Cells of a new cache; it grows when they are needed. Zeroing 8,192 of SmolLM2's takes 75 ms, 2,048 take 21."""
_FLASH_OFF, _FLASH_ON, _FLASH_AUTO = 0, 1, -1
_TYPES: dict[CacheType, int] = {"f16": 1, "q4_0": 2, "q8_0": 8}
_PARTIAL = 1
"""LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY: what cannot be rewound, without the attention's keys and values."""


class NoFreeCell(GenerationFailed):
    """The cache has no room for the batch; nothing came in."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a context is made."""

    n_ctx: int
    threads: int
    batch_threads: int
    batch: int = 512
    gpu_layers: int = -1
    type_k: CacheType = "f16"
    type_v: CacheType = "f16"
    outputs: int = N_OUTPUTS_MAX
    """Rows of logits that can be had of one batch."""

    @classmethod
    def of(cls, order: Load) -> Shape:
        """Returns the context that a load asks for."""
        return cls(
            n_ctx=order.n_ctx,
            threads=order.threads,
            batch_threads=order.batch_threads,
            batch=order.batch,
            gpu_layers=order.gpu_layers,
            type_k=order.cache_type_k,
            type_v=order.cache_type_v,
        )


class Context:
    """The KV cache and the batch that feeds it. `decode_seconds` adds up the time inside llama_decode."""

    def __init__(self, llama: Llama, model: Model, shape: Shape) -> None:
        """Allocates the cache, small at first where it can grow.

        Raises:
            NotEnoughMemory: llama.cpp could not allocate it.
        """
        self._c, self._llama, self._model, self._shape = llama.c, llama, model, shape
        self.decode_seconds = 0.0
        # strlen as the callback: it "aborts" as soon as the first byte of the flag is not NUL. No Python and no GIL per
        # graph node, where a Python callback costs 3 % of decode.
        self._flag = ctypes.create_string_buffer(2)
        self._callback = ctypes.cast(ctypes.CDLL(None).strlen, self._c.ggml_abort_callback)
        on_card = bool(shape.gpu_layers and llama.devices())
        self._flash = _FLASH_ON if shape.type_v != "f16" else _FLASH_AUTO if on_card else _FLASH_OFF
        # On a card two caches would have to fit at once; where its length chooses the rope factors it is fixed; and a
        # state holds the last window alone, so that what was copied could not be cut back any more.
        grows = not (on_card or model.length_shapes_rope or model.n_swa)
        self.n_seq = N_SEQ_MAX_RECURRENT if model.is_recurrent else N_SEQ_MAX
        self._take_over(self._make(min(FIRST_CELLS, shape.n_ctx) if grows else shape.n_ctx))
        if not self.pointer:
            why = "; ".join(llama.warnings) or "llama.cpp could not allocate it"
            wanted = f"a context of {shape.n_ctx:,} tokens does not fit"
            hint = "choose a smaller one with --ctx"
            if not shape.type_k == shape.type_v == "f16":  # which need heads of a multiple of 32 values
                hint += ", or leave out --cache-type-k and --cache-type-v"
            raise NotEnoughMemory(wanted, why, hint)
        # llama.cpp cuts the batch down to the context.
        self.n_batch = min(shape.batch, int(self._c.llama_n_batch(self.pointer)))
        self.n_ctx = shape.n_ctx if grows else min(shape.n_ctx, self.cells)
        self._batch = Batch(self._c, self.n_batch)
        # With flash attention another number of threads adds up in another order.
        steady = on_card or self._flash != _FLASH_OFF
        self._pace = Pace((shape.batch_threads,) if steady else (shape.threads, shape.batch_threads))

    def _make(self, cells: int) -> Any:
        shape, params = self._shape, self._c.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = shape.batch
        params.n_seq_max, params.kv_unified = self.n_seq, True
        params.n_outputs_max = shape.outputs
        params.n_threads, params.n_threads_batch = shape.threads, shape.batch_threads
        # On a CPU flash attention halves decode at 3,000 tokens of depth: 40 to 42 against 77 to 89 tokens a second.
        params.flash_attn_type = self._flash
        params.type_k, params.type_v = _TYPES[shape.type_k], _TYPES[shape.type_v]
        params.swa_full = True
        return self._c.llama_init_from_model(self._model.pointer, params)

    def _take_over(self, pointer: Any) -> None:
        """Works on a cache from now on, or on none: llama.cpp takes no memory for one that holds nothing."""
        self.pointer = pointer
        self.cells = int(self._c.llama_n_ctx(pointer)) if pointer else 0
        """Tokens that all sequences together have room for now; llama.cpp rounds up to 256."""
        self._memory = self._c.llama_get_memory(pointer) if pointer else None
        if pointer:
            self._c.llama_set_abort_callback(pointer, self._callback, ctypes.cast(self._flag, ctypes.c_void_p))

    @property
    def layout(self) -> str:
        """What two caches must have in common for a state to pass from one to the other, and be exact there."""
        shape, length = self._shape, self.n_ctx if self._model.length_shapes_rope else 0
        kinds = f"{shape.type_k} {shape.type_v} flash {self._flash} layers {shape.gpu_layers}"
        return f"{kinds} batch {self.n_batch} length {length} {self._llama.version()}"

    @property
    def can_shift(self) -> bool:
        """Whether tokens can be moved to other positions."""
        # Moving scales keys of YaRN and LongRoPE once more, those before the gap too: logits are off by 1.6 after one
        # move and 3.3 after ten. Quantised keys of heads that are no multiple of 64 wide end the process.
        right = self._shape.type_k == "f16" and not self._model.length_shapes_rope
        return right and bool(self._c.llama_memory_can_shift(self._memory))

    def grow(self, cells: int, keep: int) -> bool:
        """Makes the cache larger; returns whether it could, with the sequence `keep` in it.

        Where it is tried no other sequence stays, in either case. What could be had is told by `cells`: as many as
        there were where more could not be had, none where those are gone too; then the next call tries again.

        Args:
            cells: what is needed; the next power of two is made, up to the context's length.
            keep: the sequence.
        """
        wanted = min(self.n_ctx, 1 << (max(cells, self.cells + 1) - 1).bit_length())
        if wanted <= self.cells:
            return False
        held, state, before = self.positions(keep), self.save(keep), self.cells
        # The smaller one goes first: both and the state at once would take twice the memory that the larger one does.
        smaller, self.pointer = self.pointer, None
        self._c.llama_free(smaller)
        self._take_over(self._make(wanted) or self._make(before or min(FIRST_CELLS, self.n_ctx)))
        if len(state):
            self.restore(state, keep)
        return self.cells > before and self.positions(keep) == held

    def abort(self, on: bool = True) -> None:
        """Makes the running and every later decode stop within milliseconds. Safe from any thread."""
        self._flag[0] = b"\x01" if on else b"\x00"

    @property
    def aborted(self) -> bool:
        """True while the abort flag is up."""
        return self._flag[0] != b"\x00"

    def decode(self, ids: Sequence[int], start: int, sequence: int = 0) -> bool:
        """Appends at most `n_batch` ids to a sequence at position `start`; the last one's logits can be sampled from.

        Returns:
            False where the abort flag stopped it. Then, and after an error, the caller removes what came in.

        Raises:
            NoFreeCell: the cache is full.
            NotEnoughMemory: there is no cache since it was to grow.
            GenerationFailed: llama.cpp refused the batch.
        """
        return self._run(self._batch.fill(ids, start, sequence))

    def decode_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> bool:
        """Appends ids of several sequences in one batch; as `decode` otherwise.

        Args:
            ids: at most `n_batch`; those of one sequence in the order of their positions.
            positions: where each goes.
            sequences: whose each is.
            outputs: whether the logits behind it are wanted, at most `Shape.outputs`.
        """
        batch = self._batch.fill_many(ids, positions, sequences, outputs)
        threads, before = self._pace.choose(), self.decode_seconds
        self._c.llama_set_n_threads(self.pointer, self._shape.threads, threads)
        try:
            return self._run(batch)
        finally:
            self._c.llama_set_n_threads(self.pointer, self._shape.threads, self._shape.batch_threads)
            self._pace.took(threads, self.decode_seconds - before)

    def _run(self, batch: Any) -> bool:
        if not self.pointer:
            why = "there was none for a larger one, and what it had could not be had again"
            raise NotEnoughMemory("the memory of the chat's cache is gone", why, "end other programs, and ask again")
        began = time.perf_counter()
        code = self._c.llama_decode(self.pointer, batch)
        self.decode_seconds += time.perf_counter() - began
        if code == 0:
            return True
        if code == 2:
            return False
        hint = "try again; a smaller prompt may work"
        if code == 1:
            raise NoFreeCell("llama.cpp refused a batch", "no free cell in the cache", hint)
        raise GenerationFailed("llama.cpp refused a batch", f"llama_decode returned {code}", hint)

    def remove(self, start: int, *, sequence: int = 0, end: int = -1) -> bool:
        """Removes tokens from position `start` on; False where this kind of memory cannot do that."""
        return bool(self._c.llama_memory_seq_rm(self._memory, sequence, start, end))

    def copy(self, source: int, target: int, end: int) -> None:
        """Makes `target` hold the first `end` tokens of `source`, in the same cells."""
        self._c.llama_memory_seq_cp(self._memory, source, target, 0, end)

    def shift(self, sequence: int, start: int, by: int) -> None:
        """Moves the tokens from position `start` on by so many positions; approximate, computed at the next decode."""
        self._c.llama_memory_seq_add(self._memory, sequence, start, -1, by)

    def positions(self, sequence: int = 0) -> tuple[int, int]:
        """Returns (first, last) position of a sequence in the cache; (-1, -1) when it is empty."""
        first = self._c.llama_memory_seq_pos_min(self._memory, sequence)
        return int(first), int(self._c.llama_memory_seq_pos_max(self._memory, sequence))

    def clear(self) -> None:
        """Empties the cache, all sequences."""
        # Keys and values of free cells are never read; a recurrent state is.
        self._c.llama_memory_clear(self._memory, self._model.is_recurrent)

    def save(self, sequence: int, *, partial: bool = False) -> npt.NDArray[np.uint8]:
        """Returns the state of a sequence as bytes; none where there is nothing to save.

        Args:
            sequence: Which.
            partial: Only what cannot be rewound: the recurrent state.
        """
        import numpy as np

        flags = _PARTIAL if partial else 0
        size = int(self._c.llama_state_seq_get_size_ext(self.pointer, sequence, flags)) if self.pointer else 0
        try:
            state = np.empty(size, np.uint8)
        except MemoryError:
            return np.empty(0, np.uint8)
        if not size:
            return state
        written = int(self._c.llama_state_seq_get_data_ext(self.pointer, _bytes(state), size, sequence, flags))
        return state if written == size else state[:0]

    def restore(self, state: Any, sequence: int, *, partial: bool = False) -> bool:
        """Makes a sequence what `save` returned, checked by the caller; False where llama.cpp refuses it."""
        import numpy as np

        flags = _PARTIAL if partial else 0
        if not self.pointer:
            return False
        data = np.frombuffer(state, np.uint8)
        read = int(self._c.llama_state_seq_set_data_ext(self.pointer, _bytes(data), len(data), sequence, flags))
        return read == len(data)

    def logits(self, index: int = -1) -> npt.NDArray[np.float32]:
        """Returns a row of logits, shape (n_vocab,), without a copy: valid until the next decode.

        Args:
            index: Of a token of the last batch whose logits were wanted; -1 is the last of these.

        Raises:
            GenerationFailed: there is no such row.
        """
        import numpy as np

        row = self._c.llama_get_logits_ith(self.pointer, index)
        if not row:
            raise GenerationFailed("a row of logits is missing", f"token {index} of the last batch has none")
        return np.ctypeslib.as_array(row, (self._model.vocab.size,))

    def close(self) -> None:
        """Frees the cache."""
        if self.pointer:
            self._batch.close()
            self._c.llama_free(self.pointer)
            self.pointer = None


def _bytes(array: npt.NDArray[np.uint8]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
