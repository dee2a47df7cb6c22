"""The only importer of llama_cpp: the library itself, and the sampler chain.

The wrappers of a model and of a context are in model.py and context.py; they reach the C functions through `Llama.c`.
Knows no messages, no templates, no sockets. Names follow llama.h of the pinned llama-cpp-python.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.machinery
import os
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmchat_engine.errors import GenerationFailed

if TYPE_CHECKING:
    from llmchat_engine.host.candidates import Candidates
    from llmchat_engine.host.context import Context
    from llmchat_engine.host.model import Vocab

_WARN = 3
_DRY_BREAKERS = (b"\n", b":", b'"', b"*")
"""What a repeated run does not reach across, as in llama-server."""
_SURELY_OUT = 1e-30
"""Typical multiplies each probability with its logarithm: one of 0, of a token that top-n-sigma or a bias ruled out,
makes the entropy no number, and what is kept has nothing to do with it (32,766 tokens of SmolLM2's in place of 187)."""


_KINDS = {1: "gpu", 2: "igpu"}
"""ggml_backend_dev_type of what layers can be put on."""


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator. Sizes in bytes, 0 where they were not asked for."""

    name: str
    what: str
    kind: str
    """"gpu", or "igpu" for one that shares the machine's memory."""
    free: int
    total: int


def import_bindings() -> Any:
    """Imports llama_cpp.llama_cpp without the package's __init__ (its high-level classes cost 140 of 185 ms)."""
    if "llama_cpp" not in sys.modules:
        spec = importlib.machinery.PathFinder.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("llama-cpp-python is not installed", name="llama_cpp")
        package = types.ModuleType("llama_cpp")
        package.__path__, package.__spec__ = list(spec.submodule_search_locations), spec
        sys.modules["llama_cpp"] = package
    import llama_cpp.llama_cpp as bindings

    return bindings


def prepare_environment() -> None:
    """Sets what libraries read once, at import. A value that the user set wins.

    GOMP_SPINCOUNT: with the default, 4 threads on a busy 4-core machine decode 20 to 100 times slower; 2,000 keeps 88 %
    of the quiet peak and never collapses. GGML_NO_BACKTRACE: ggml forks a debugger when it aborts.
    OPENBLAS_NUM_THREADS: nothing here multiplies matrices with numpy, and starting its threads beside the load of a
    model costs that load 60 ms.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class Llama:
    """The library itself: loaded once per process, with its log kept short."""

    def __init__(self, log: Callable[[str], None] = lambda _: None) -> None:
        prepare_environment()
        self.c = import_bindings()
        self.warnings: deque[str] = deque(maxlen=8)
        self.muted = False
        """True while a decode is being stopped, which llama.cpp takes for a failure."""
        self._log = log
        self._log_callback = self.c.llama_log_callback(self._on_log)
        self.c.llama_log_set(self._log_callback, None)
        # A collected callback is a segfault at the next line of log, which may come as late as the end of the process.
        weakref.finalize(self, self.c.llama_log_set, self.c.llama_log_callback(), None)
        self.c.llama_backend_init()

    def _on_log(self, level: int, text: bytes, _data: object) -> None:
        if level >= _WARN and not self.muted and (line := text.decode("utf-8", "replace").strip(" .\n")):
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

    def supports_rpc(self) -> bool:
        """Returns True where this build can put layers on other machines."""
        return bool(self.c.llama_supports_rpc())

    def devices(self) -> tuple[str, ...]:
        """Returns "name (description)" of every accelerator that ggml sees; the CPU is not one."""
        return tuple(f"{device.name} ({device.what})" for device in self.accelerators())

    def accelerators(self, *, memory: bool = False) -> tuple[Device, ...]:
        """Returns every accelerator that ggml sees.

        Args:
            memory: Ask for its memory too, which opens a context on it.
        """
        ggml, base = self.ggml("ggml"), self.ggml("ggml-base")
        if ggml is None or base is None:
            return ()
        ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
        ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
        ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
        base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
        found = (ggml.ggml_backend_dev_get(index) for index in range(ggml.ggml_backend_dev_count()))
        kinds = ((pointer, base.ggml_backend_dev_type(pointer)) for pointer in found)
        return tuple(_device(base, pointer, _KINDS[kind], memory) for pointer, kind in kinds if kind in _KINDS)

    def ggml(self, name: str) -> ctypes.CDLL | None:
        """Returns a library beside libllama by its name, as "ggml-base"; None where there is none."""
        suffix = "dylib" if sys.platform == "darwin" else "so"
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(self.c._base_path / f"lib{name}.{suffix}"))
        return None


def _device(base: ctypes.CDLL, pointer: int, kind: str, memory: bool) -> Device:
    for name in ("name", "description"):
        function = getattr(base, f"ggml_backend_dev_{name}")
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    if memory:
        base.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        base.ggml_backend_dev_memory(pointer, ctypes.byref(free), ctypes.byref(total))
    name = base.ggml_backend_dev_name(pointer).decode("utf-8", "replace")
    what = base.ggml_backend_dev_description(pointer).decode("utf-8", "replace")
    return Device(name, what, kind, free.value, total.value)


class SamplerChain:
    """A native sampler chain: `stages` are (name, arguments) of llama_sampler_init_<name>, applied in order."""

    complete = True
    """A chain asks nothing of an answer: it may end anywhere."""

    def __init__(self, llama: Llama, vocab: Vocab, stages: Sequence[tuple[str, tuple[float, ...]]]) -> None:
        self._c = llama.c
        params = self._c.llama_sampler_chain_default_params()
        self._pointer = self._c.llama_sampler_chain_init(params)
        for name, numbers in stages:
            self._c.llama_sampler_chain_add(self._pointer, self._stage(vocab, name, numbers))

    def _stage(self, vocab: Vocab, name: str, numbers: tuple[float, ...]) -> Any:
        if name == "logit_bias":
            pairs = [self._c.llama_logit_bias(int(id_), bias) for id_, bias in zip(*[iter(numbers)] * 2, strict=True)]
            biases = (self._c.llama_logit_bias * len(pairs))(*pairs)
            return self._c.llama_sampler_init_logit_bias(vocab.size, len(pairs), biases)
        if name == "dry":
            breakers = (ctypes.c_char_p * len(_DRY_BREAKERS))(*_DRY_BREAKERS)
            return self._c.llama_sampler_init_dry(vocab.pointer, *numbers, breakers, len(_DRY_BREAKERS))
        own = getattr(self._c, f"llama_sampler_init_{name}")(*numbers)
        if name != "typical":
            return own
        both = self._c.llama_sampler_chain_init(self._c.llama_sampler_chain_default_params())
        self._c.llama_sampler_chain_add(both, self._c.llama_sampler_init_min_p(_SURELY_OUT, 1))
        self._c.llama_sampler_chain_add(both, own)
        return both

    def accept(self, token: int) -> None:
        """Tells the penalties about a token that was not sampled here (the prompt's tail)."""
        self._c.llama_sampler_accept(self._pointer, token)

    def apply(self, candidates: Candidates) -> None:
        """Sorts and cuts candidates, and changes their logits."""
        self._c.llama_sampler_apply(self._pointer, candidates.reference)

    def choose(self, candidates: Candidates) -> int:
        """Returns the next token out of candidates, and does not accept it; their order is lost.

        Raises:
            GenerationFailed: no sampler of the chain selected one.
        """
        self.apply(candidates)
        if (token := candidates.chosen) < 0:
            raise GenerationFailed("no token was drawn", "the chain of samplers selected none", "change its settings")
        return token

    def sample(self, context: Context, index: int = -1) -> int:
        """Returns the next token from the logits behind a token of the last batch, and accepts it."""
        return int(self._c.llama_sampler_sample(self._pointer, context.pointer, index))

    def close(self) -> None:
        """Frees the chain."""
        if self._pointer:
            self._c.llama_sampler_free(self._pointer)
            self._pointer = None


@contextlib.contextmanager
def sampler_chain(
    llama: Llama, vocab: Vocab, stages: Sequence[tuple[str, tuple[float, ...]]]
) -> Iterator[SamplerChain]:
    """Yields a chain and frees it."""
    chain = SamplerChain(llama, vocab, stages)
    try:
        yield chain
    finally:
        chain.close()
