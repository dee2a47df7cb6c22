"""How much longer the context of the loaded model could be: what it was trained for and what memory allows. Headless.

Reads the header of the file, some 10 ms for a large vocabulary.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmchat_engine import EngineError, ModelInfo, ModelSpec
from llmchat_tui.screens.model_facts import free_memory

if TYPE_CHECKING:
    from llmchat_engine.models.fit.memory import Free


@dataclass(frozen=True, slots=True)
class LargerContext:
    """A context that would hold what the present one does not."""

    n_ctx: int
    extra_bytes: int
    """What it takes over the present one."""


def larger_context(spec: ModelSpec, model: ModelInfo, tokens: int, free: Free | None = None) -> LargerContext | None:
    """Returns the context to load the model with instead: twice the present one, or that twice, until it is enough.

    Args:
        spec: how the model is loaded now.
        model: what is loaded.
        tokens: what the context has to hold.
        free: the memory there is; None asks for it. The present context is freed too late to be counted.

    Returns:
        None where the model was not trained for so much, or memory does not hold it.
    """
    from llmchat_engine.models.fit.need import memory_needed
    from llmchat_engine.models.gguf import read_header

    n_ctx = model.n_ctx
    while 0 < n_ctx < tokens:
        n_ctx *= 2
    n_ctx = min(n_ctx, model.n_ctx_train)
    if n_ctx <= model.n_ctx or n_ctx < tokens:
        return None
    try:
        header = read_header(spec.path)
    except EngineError:
        return None
    types = spec.cache_type_k, spec.cache_type_v
    now, then = memory_needed(header, model.n_ctx, *types), memory_needed(header, n_ctx, *types)
    limit = (free or free_memory()).bytes
    if limit != sys.maxsize and then.kv + then.compute > limit:
        return None
    return LargerContext(n_ctx, then.total - now.total)
