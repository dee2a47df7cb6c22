"""What is decided about a model file before llama.cpp sees it: is it one, does it fit, with how many threads.

Pure Python, in the client, while the host is still starting. Knows no sockets.
"""

from __future__ import annotations

import sys

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.launch import Places
from llmchat_engine.models.fit.cpu import cpu_threads, usable_cores
from llmchat_engine.models.fit.memory import Free, memory_free
from llmchat_engine.models.fit.need import choose_context, memory_needed
from llmchat_engine.models.fit.offload import has_own_memory, library_dir
from llmchat_engine.models.fit.repack import is_repackable
from llmchat_engine.models.gguf import Header, model_key, read_header
from llmchat_engine.models.trials import refuse_failed
from llmchat_engine.protocol import Load
from llmchat_engine.types import ModelSpec

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
    free = memory_free()
    n_ctx, gpu_layers = _shape(spec, header, free)
    least = memory_needed(header, n_ctx, spec.cache_type_k, spec.cache_type_v).least
    return Load(
        path=str(path),
        model_key=model_key(path, header),
        n_ctx=n_ctx,
        gpu_layers=gpu_layers,
        threads=spec.threads or cpu_threads(),
        batch_threads=spec.threads or usable_cores(),
        repackable=is_repackable(header),
        state_dir=str(places.state),
        batch=spec.batch or BATCH,
        cache_type_k=spec.cache_type_k,
        cache_type_v=spec.cache_type_v,
        memory_budget=max(0, min(MOST_MEMORY, free.bytes // MEMORY_SHARE, free.bytes - least)),
        kv_dir=str(places.kv or ""),
        kv_budget=places.kv_budget,
        rpc_servers=spec.rpc_servers,
    )


def _shape(spec: ModelSpec, header: Header, free: Free) -> tuple[int, int]:
    """Returns the context and the layers on a card."""
    types = spec.cache_type_k, spec.cache_type_v
    if spec.gpu_layers == 0 or not (spec.rpc_servers or has_own_memory(library_dir())):
        return choose_context(header, spec.n_ctx, free, *types), spec.gpu_layers
    if spec.gpu_layers < 0 and not spec.rpc_servers and (chosen := _planned(spec, header, free)):
        return chosen
    # What a card or another machine holds is llama.cpp's to find out: it refuses by itself what does not fit.
    return choose_context(header, spec.n_ctx, Free(sys.maxsize, "the graphics card"), *types), spec.gpu_layers


def _planned(spec: ModelSpec, header: Header, free: Free) -> tuple[int, int] | None:
    """Returns what is chosen for the cards there are; None where they cannot be asked.

    Raises:
        NotEnoughMemory: it does not fit.
    """
    from llmchat_engine.models.fit.machine import Machine, read_cards
    from llmchat_engine.models.fit.plan import plan

    types = spec.cache_type_k, spec.cache_type_v
    if (cards := read_cards()) is None:
        return None
    chosen = plan(
        header, Machine(free, cards), n_ctx=spec.n_ctx, cache_type_k=spec.cache_type_k, cache_type_v=spec.cache_type_v
    )
    if not chosen.card_bytes:
        choose_context(header, spec.n_ctx, free, *types)  # it is the machine's memory that may be too small
    elif chosen.fits == "no":
        hint = "choose a smaller model or a stronger quantisation with -m, or close other programs"
        raise NotEnoughMemory("the model does not fit into cards and memory", chosen.why, hint)
    return chosen.n_ctx, chosen.gpu_layers
