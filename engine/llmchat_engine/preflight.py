"""What is decided about a model file before llama.cpp sees it: is it one, does it fit, with how many threads.

Pure Python, in the client, while the host is still starting. Knows no sockets.
"""

from __future__ import annotations

import sys

from llmchat_engine.launch import Places
from llmchat_engine.models.cpu import cpu_threads, usable_cores
from llmchat_engine.models.fit import choose_context
from llmchat_engine.models.gguf import model_key, read_header
from llmchat_engine.models.memory import Free, memory_free
from llmchat_engine.models.offload import has_own_memory, library_dir
from llmchat_engine.models.trials import refuse_failed
from llmchat_engine.protocol import Load
from llmchat_engine.types import ModelSpec

_NEVER_REPACKED = frozenset({"F32", "F16", "BF16", "Q4_1", "Q5_0", "Q5_1"})
"""File types whose weights stay as they are without AMX. Of SmolLM2 Q4_1 only the embedding would be copied, at a
cost of 20 to 60 ms of load, and nothing is gained: 173 against 182 tokens a second."""


BATCH = 512
"""Tokens of one prefill batch; the sweep over 128 to 2,048 on CPU peaks at 256 to 512."""
MEMORY_SHARE = 8
"""One part in so many of the free memory may hold chats that are not in the context."""
MOST_MEMORY = 2 << 30


def check_model(spec: ModelSpec, places: Places) -> Load:
    """Returns the order that loads a model.

    Raises:
        ModelError: it is not a usable GGUF, or llama.cpp crashed on it before.
        NotEnoughMemory: it does not fit.
    """
    # Not resolved: in a hub's cache the link has the name, by which the parts of a split model are found too.
    path = spec.path.absolute()
    header = read_header(path)
    refuse_failed(path, places.state)
    # A card's own memory is llama.cpp's to ask about: it refuses by itself what does not fit there.
    on_card = spec.gpu_layers < 0 and has_own_memory(library_dir())
    free = Free(sys.maxsize, "the graphics card") if on_card else memory_free()
    return Load(
        path=str(path),
        model_key=model_key(path, header),
        n_ctx=choose_context(header, spec.n_ctx, free, spec.cache_type_k, spec.cache_type_v),
        gpu_layers=spec.gpu_layers,
        threads=spec.threads or cpu_threads(),
        batch_threads=spec.threads or usable_cores(),
        repackable=header.quantization not in _NEVER_REPACKED,
        state_dir=str(places.state),
        batch=spec.batch or BATCH,
        cache_type_k=spec.cache_type_k,
        cache_type_v=spec.cache_type_v,
        memory_budget=min(MOST_MEMORY, memory_free().bytes // MEMORY_SHARE),
        kv_dir=str(places.kv or ""),
        kv_budget=places.kv_budget,
    )
