"""The only importer of llama_cpp: small owning wrappers over its C interface, each with close().

Ids in, ids out. Knows no messages, no templates, no sockets. The classes are not thread-safe: one thread owns them, except
`Context.abort`, which any thread may call. Names follow llama.h of the pinned llama-cpp-python.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.machinery
import os
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmchat_engine.errors import GenerationFailed, ModelUnreadable, NotEnoughMemory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

N_BATCH = 512
"""Prefill chunk in tokens; the sweep over 128 to 2,048 on CPU peaks at 256 to 512."""
N_SEQ_MAX = 8
N_OUTPUTS_MAX = 32
"""Rows of logits. The default reserves one row per token of the batch: 313 MiB at a vocabulary of 152,000."""
_FLASH_OFF, _FLASH_AUTO = 0, -1
_MMAP = 1
_WARN = 3
_CHUNK_BYTES = 256


def import_bindings() -> Any:
    """Imports llama_cpp.llama_cpp without the package's __init__ (its high-level classes cost 140 of 185 ms)."""
    if "llama_cpp" not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("llama-cpp-python is not installed", name="llama_cpp")
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["llama_cpp"] = package
    import llama_cpp.llama_cpp as bindings

    return bindings


def prepare_environment() -> None:
    """Sets what libgomp and ggml read once, at import. A value that the user set wins.

    GOMP_SPINCOUNT: with the default, 4 threads on a busy 4-core machine decode 20 to 100 times slower; 2,000 keeps 88 %
    of the quiet peak and never collapses. GGML_NO_BACKTRACE: ggml forks a debugger when it aborts.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")


class Llama:
    """The library itself: loaded once per process, with its log kept short."""

    def __init__(self, log: Callable[[str], None] = lambda _: None) -> None:
        prepare_environment()
        self.c = import_bindings()
        self.warnings: deque[str] = deque(maxlen=8)
        self._log = log
        # The reference must outlive every call into the library: a collected callback is a segfault.
        self._log_callback = self.c.llama_log_callback(self._on_log)
        self.c.llama_log_set(self._log_callback, None)
        self.c.llama_backend_init()

    def _on_log(self, level: int, text: bytes, _data: object) -> None:
        if level >= _WARN and (line := text.decode("utf-8", "replace").strip(" .\n")):
            self.warnings.append(line)
            self._log(line)

    def system_info(self) -> str:
        """Returns the instruction sets this build uses, as llama.cpp prints them."""
        info: bytes = self.c.llama_print_system_info()
        return info.decode("utf-8", "replace")

    def version(self) -> str:
        """Returns the version of llama.cpp."""
        version: bytes = self.c.llama_version()
        return version.decode("utf-8", "replace")

    def supports_gpu(self) -> bool:
        """Returns True where this build can offload layers."""
        return bool(self.c.llama_supports_gpu_offload())

    def devices(self) -> tuple[str, ...]:
        """Returns "name (description)" of every accelerator that ggml sees; the CPU is not one."""
        ggml, base = self._ggml("ggml"), self._ggml("ggml-base")
        if ggml is None or base is None:
            return ()
        ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
        ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
        ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
        for name in ("name", "description"):
            function = getattr(base, f"ggml_backend_dev_{name}")
            function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
        base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
        found = []
        for index in range(ggml.ggml_backend_dev_count()):
            device = ggml.ggml_backend_dev_get(index)
            if base.ggml_backend_dev_type(device) in (1, 2):
                name = base.ggml_backend_dev_name(device).decode("utf-8", "replace")
                what = base.ggml_backend_dev_description(device).decode("utf-8", "replace")
                found.append(f"{name} ({what})")
        return tuple(found)

    def _ggml(self, name: str) -> ctypes.CDLL | None:
        suffix = "dylib" if sys.platform == "darwin" else "so"
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(self.c._base_path / f"lib{name}.{suffix}"))
        return None


class Model:
    """A loaded model: weights and vocabulary."""

    def __init__(
        self,
        llama: Llama,
        path: str,
        *,
        gpu_layers: int = -1,
        extra_buffers: bool = True,
        progress: Callable[[float], bool] = lambda _: True,
    ) -> None:
        """Loads the file.

        Args:
            llama: The library.
            path: A file that `models.gguf.read_header` has passed.
            gpu_layers: -1 offloads all layers where the build supports it.
            extra_buffers: Repack weights for this CPU. Off where AMX is listed and crashes.
            progress: Called with 0..1; returning False stops the load.

        Raises:
            ModelUnreadable: llama.cpp refused the file; `why` is its last warning.
        """
        self._llama, self._c = llama, llama.c
        params = self._c.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.load_mode = _MMAP
        params.use_extra_bufts = extra_buffers
        callback = self._c.llama_progress_callback(lambda fraction, _data: progress(fraction))
        params.progress_callback = callback
        llama.warnings.clear()
        self.pointer = self._c.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            why = "; ".join(llama.warnings) or "llama.cpp gave no reason"
            raise ModelUnreadable(f"llama.cpp cannot load {path}", why, "download it again, or choose another with -m")
        self.vocab = Vocab(self._c, self._c.llama_model_get_vocab(self.pointer))

    @property
    def n_ctx_train(self) -> int:
        """The context length the model was trained on, in tokens."""
        return int(self._c.llama_model_n_ctx_train(self.pointer))

    @property
    def n_layer(self) -> int:
        """The number of layers."""
        return int(self._c.llama_model_n_layer(self.pointer))

    @property
    def n_swa(self) -> int:
        """The sliding window in tokens; 0 where attention sees everything."""
        return int(self._c.llama_model_n_swa(self.pointer))

    @property
    def n_params(self) -> int:
        """The number of weights."""
        return int(self._c.llama_model_n_params(self.pointer))

    @property
    def quantization(self) -> str:
        """The file type, like "Q4_1"."""
        name: bytes = self._c.llama_ftype_name(self._c.llama_model_ftype(self.pointer))
        return name.decode("utf-8", "replace").split(" ")[0]

    @property
    def is_recurrent(self) -> bool:
        """True where the state cannot be rewound to an earlier token."""
        recurrent = self._c.llama_model_is_recurrent(self.pointer) or self._c.llama_model_is_hybrid(self.pointer)
        return bool(recurrent)

    @property
    def can_decode(self) -> bool:
        """False for encoders, which cannot write text."""
        return bool(self._c.llama_model_has_decoder(self.pointer))

    @property
    def chat_template(self) -> str | None:
        """The template in the file, or None."""
        source: bytes | None = self._c.llama_model_chat_template(self.pointer, None)
        return source.decode("utf-8", "replace") if source else None

    def metadata(self) -> dict[str, str]:
        """Returns the scalar metadata of the file as text."""
        count = self._c.llama_model_meta_count(self.pointer)
        buffer = ctypes.create_string_buffer(4096)
        found = {}
        for index in range(count):
            self._c.llama_model_meta_key_by_index(self.pointer, index, buffer, len(buffer))
            key = buffer.value.decode("utf-8", "replace")
            if key.startswith(("general.", "tokenizer.chat")):
                self._c.llama_model_meta_val_str_by_index(self.pointer, index, buffer, len(buffer))
                found[key] = buffer.value.decode("utf-8", "replace")
        return found

    def close(self) -> None:
        """Frees the weights."""
        if self.pointer:
            self._c.llama_model_free(self.pointer)
            self.pointer = None


class Vocab:
    """Text to ids and back, byte for byte."""

    def __init__(self, bindings: Any, pointer: Any) -> None:
        self._c, self.pointer = bindings, pointer
        self.size = int(bindings.llama_vocab_n_tokens(pointer))
        self.bos = int(bindings.llama_vocab_bos(pointer))
        self.eos = int(bindings.llama_vocab_eos(pointer))
        self.add_bos = bool(bindings.llama_vocab_get_add_bos(pointer)) and self.bos >= 0
        self._piece = ctypes.create_string_buffer(_CHUNK_BYTES)

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Returns the ids of a text; with `special`, texts like "<|im_start|>" become their one token."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = (ctypes.c_int32 * room)()
        count = self._c.llama_tokenize(self.pointer, data, len(data), ids, room, False, special)
        if count < 0:
            raise GenerationFailed("the text could not be tokenised", f"it needs {-count} tokens, {room} were expected")
        return list(ids[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Returns the bytes of one id; nothing for a control token unless `special`."""
        if not 0 <= token < self.size:
            raise GenerationFailed("a token id is outside the vocabulary", f"{token} of {self.size}")
        count = self._c.llama_token_to_piece(self.pointer, token, self._piece, len(self._piece), 0, special)
        if count < 0:  # longer than the buffer; llama.cpp answers with the size it needs
            self._piece = ctypes.create_string_buffer(-count)
            count = self._c.llama_token_to_piece(self.pointer, token, self._piece, -count, 0, special)
        return self._piece.raw[:count]

    def is_eog(self, token: int) -> bool:
        """Returns True for every end-of-generation token, not only EOS."""
        return 0 <= token < self.size and bool(self._c.llama_vocab_is_eog(self.pointer, token))

    def end_texts(self, tokens: Iterable[int]) -> dict[int, str]:
        """Returns, for those of the ids that end a generation, the text a chat template writes for them."""
        return {token: self.text(token) for token in tokens if self.is_eog(token)}

    def text(self, token: int) -> str:
        """Returns the text of a special token, or an empty string where the vocabulary has none."""
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""


class Context:
    """The KV cache and the batch that feeds it. `decode_seconds` adds up the time inside llama_decode."""

    def __init__(self, llama: Llama, model: Model, *, n_ctx: int, threads: int, batch_threads: int) -> None:
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
        # On a CPU flash attention halves decode speed at 3,000 tokens of depth (77 to 89 against 40 to 42 tokens a second).
        params.flash_attn_type = _FLASH_AUTO if llama.devices() else _FLASH_OFF
        params.swa_full = True
        self.pointer = self._c.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            why = "; ".join(llama.warnings) or "llama.cpp could not allocate it"
            raise NotEnoughMemory(f"a context of {n_ctx:,} tokens does not fit", why, "choose a smaller one with --ctx")
        self.n_ctx = int(self._c.llama_n_ctx(self.pointer))
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

    def decode(self, ids: Sequence[int], start: int, *, sequence: int = 0, logits: bool = True) -> bool:
        """Appends at most N_BATCH ids at position `start`; the last one's logits can be sampled from.

        Returns:
            False where the abort flag stopped it. Then, and after an error, the caller removes what came in.

        Raises:
            GenerationFailed: no free cell, or llama.cpp refused the batch.
        """
        batch = self._batch.fill(ids, start, sequence, logits)
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

    def fill(self, ids: Sequence[int], start: int, sequence: int, logits: bool) -> Any:
        """Writes ids at consecutive positions of one sequence and returns the struct for llama_decode."""
        count = len(ids)
        if not 0 < count <= N_BATCH:
            raise GenerationFailed("a batch has the wrong size", f"{count} tokens, 1 to {N_BATCH} fit")
        self._tokens[:count] = ids
        self._positions[:count] = start if count == 1 else self._np.arange(start, start + count)
        self._sequences[:count] = sequence
        self._outputs[:count] = 0
        self._outputs[count - 1] = logits
        self.struct.n_tokens = count
        return self.struct

    def close(self) -> None:
        """Gives llama.cpp its own pointers back and frees them."""
        self._pointers[:] = self._own_pointers
        self._c.llama_batch_free(self.struct)


class SamplerChain:
    """A native sampler chain: `stages` are (name, arguments) of llama_sampler_init_<name>, applied in order."""

    def __init__(self, llama: Llama, stages: Sequence[tuple[str, tuple[float, ...]]]) -> None:
        self._c = llama.c
        params = self._c.llama_sampler_chain_default_params()
        self._pointer = self._c.llama_sampler_chain_init(params)
        for name, arguments in stages:
            stage = getattr(self._c, f"llama_sampler_init_{name}")(*arguments)
            self._c.llama_sampler_chain_add(self._pointer, stage)

    def accept(self, token: int) -> None:
        """Tells the penalties about a token that was not sampled here (the prompt's tail)."""
        self._c.llama_sampler_accept(self._pointer, token)

    def sample(self, context: Context) -> int:
        """Returns the next token from the last row of logits, and accepts it."""
        return int(self._c.llama_sampler_sample(self._pointer, context.pointer, -1))

    def close(self) -> None:
        """Frees the chain."""
        if self._pointer:
            self._c.llama_sampler_free(self._pointer)
            self._pointer = None


@contextlib.contextmanager
def sampler_chain(llama: Llama, stages: Sequence[tuple[str, tuple[float, ...]]]) -> Iterator[SamplerChain]:
    """Yields a chain and frees it."""
    chain = SamplerChain(llama, stages)
    try:
        yield chain
    finally:
        chain.close()
