"""What a model needs in memory, and the longest context that fits.

Pure arithmetic on a header; what is free is handed in (memory.py asks for it). Weights in a mapped file are counted in
full: a model whose pages are dropped and read again for every token is not usable. Knows no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.models.gguf import Header
from llmchat_engine.models.gguf_layout import TENSOR_TYPES
from llmchat_engine.models.gguf_parse import BigArray
from llmchat_engine.models.memory import Free, memory_free

__all__ = ["Free", "Need", "choose_context", "kv_bytes_per_token", "memory_free", "memory_needed"]

AUTO_CONTEXT = 8192
LEAST_CONTEXT = 512
CONTEXT_STEP = 256
"""llama.cpp rounds the cells of a context up to it."""
UBATCH = 512
OUTPUT_ROWS = 64
SEQUENCES = 8
"""Sequences that the context of a recurrent model has room for; each has a state of its own."""
_TYPE_BYTES = {name.lower(): bytes_ / block for name, block, bytes_ in TENSOR_TYPES.values()}
_TOKEN_BYTES = 256
_MERGE_BYTES = 512
"""Bytes that llama.cpp's vocabulary took per token and per merge (152,000 tokens; 49,000 with merges)."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes a model needs: its weights, its cache and the buffers of llama.cpp."""

    weights: int
    kv: int
    compute: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.compute


def kv_bytes_per_token(header: Header, type_k: str = "f16", type_v: str = "f16") -> int:
    """Returns the cache bytes of one token, over all layers.

    Args:
        header: The model.
        type_k: Type of the keys, as "f16" or "q8_0".
        type_v: Type of the values.

    Returns:
        Bytes. Sliding layers count in full, since the cache is made so that it can be rewound.
    """
    key, value = (_widest(header, name) for name in ("key_length", "value_length"))
    row = key * _TYPE_BYTES[type_k] + value * _TYPE_BYTES[type_v]
    return int(sum(_cached_heads(header)) * row)


def memory_needed(header: Header, n_ctx: int, type_k: str = "f16", type_v: str = "f16") -> Need:
    """Returns what the model needs with a context of `n_ctx` tokens, flash attention off.

    Args:
        header: The model.
        n_ctx: Context length in tokens.
        type_k: Type of the cached keys.
        type_v: Type of the cached values.

    Returns:
        The need, within 15 % of what llama.cpp allocates for plain transformers.
    """
    cells = -(-n_ctx // CONTEXT_STEP) * CONTEXT_STEP
    compute = _fixed_compute(header) + cells * _compute_per_token(header)
    return Need(header.file_size, cells * kv_bytes_per_token(header, type_k, type_v) + _state_bytes(header), compute)


def choose_context(header: Header, wanted: int, free: Free, type_k: str = "f16", type_v: str = "f16") -> int:
    """Returns the context length to load a model with.

    Args:
        header: The model.
        wanted: What the user asked for; 0 takes min(trained, 8,192, what fits), at least 512 where trained for it.
        free: The memory there is.
        type_k: Type of the cached keys.
        type_v: Type of the cached values.

    Returns:
        `wanted` where it is set, even when the model was trained for less.

    Raises:
        NotEnoughMemory: The weights, or the context that was asked for, do not fit.
    """
    longest = _longest(header, free, type_k, type_v)
    if wanted > 0:
        if (need := memory_needed(header, wanted, type_k, type_v)).total > free.bytes:
            raise _too_big(header, wanted, need, free, longest)
        return wanted
    least = min(LEAST_CONTEXT, header.context_length)
    if (need := memory_needed(header, least, type_k, type_v)).total > free.bytes:
        raise _too_big(header, least, need, free, longest)
    return max(least, min(header.context_length, AUTO_CONTEXT, longest))


def _longest(header: Header, free: Free, type_k: str, type_v: str) -> int:
    """Returns the longest context that fits, in whole steps; 0 where not even one does."""
    rest = free.bytes - memory_needed(header, 0).total
    per_token = kv_bytes_per_token(header, type_k, type_v) + _compute_per_token(header)
    return max(0, rest // (CONTEXT_STEP * max(1, per_token))) * CONTEXT_STEP


def _too_big(header: Header, n_ctx: int, need: Need, free: Free, longest: int) -> NotEnoughMemory:
    parts = f"weights {_size(need.weights)}, cache {_size(need.kv)}, buffers {_size(need.compute)}"
    why = f"it needs {_size(need.total)} ({parts}) and {_size(free.bytes)} are free, limited by {free.limited_by}"
    if longest >= CONTEXT_STEP:
        hint = f"load it with --ctx {min(longest, header.context_length)}"
        return NotEnoughMemory(f"a context of {n_ctx:,} tokens does not fit into memory", why, hint)
    hint = "choose a smaller model or a stronger quantisation with -m, or close other programs"
    return NotEnoughMemory("the model does not fit into memory", why, hint)


def _cached_heads(header: Header) -> tuple[int, ...]:
    """Returns the key-value heads of the layers that have a cache of their own."""
    heads = header.head_count_kv[: header.block_count - _number(header, "attention.shared_kv_layers")]
    interval = _number(header, "full_attention_interval")
    return heads[interval - 1 :: interval] if interval else heads


def _widest(header: Header, name: str) -> int:
    plain = header.key_length if name == "key_length" else header.value_length
    return max(plain, _number(header, f"attention.{name}_swa"))


def _state_bytes(header: Header) -> int:
    """Returns the states of a recurrent model, one for each sequence: they do not grow with the context."""
    inner, state, conv = (_number(header, f"ssm.{name}") for name in ("inner_size", "state_size", "conv_kernel"))
    shift = max(0, conv - 1) * (inner + 2 * _number(header, "ssm.group_count") * state)
    return 4 * SEQUENCES * header.block_count * (shift + inner * state)


def _compute_per_token(header: Header) -> int:
    """Returns buffer bytes per cell: one row of scores a head and one of the mask, for each token of a batch.

    Measured: 20,480 at 9 heads and 10,240 at 4, exactly this; models with a sliding window have a second mask.
    """
    masks = 2 if header.sliding_window else 1
    heads = max(header.head_count)
    return UBATCH * 4 * (heads + masks) if heads else 0


def _fixed_compute(header: Header) -> int:
    """Returns the buffers every context has: six rows of the width a token (measured), logits, words."""
    merges = header.metadata.get("tokenizer.ggml.merges")
    words = _TOKEN_BYTES * header.n_vocab + _MERGE_BYTES * (merges.length if isinstance(merges, BigArray) else 0)
    return UBATCH * 24 * header.embedding_length + OUTPUT_ROWS * 4 * header.n_vocab + words


def _number(header: Header, key: str) -> int:
    value = header.metadata.get(f"{header.architecture}.{key}")
    return value if isinstance(value, int) and value > 0 else 0


def _size(count: int) -> str:
    mib = count / (1 << 20)
    return f"{mib / 1024:,.1f} GiB" if mib >= 1024 else f"{mib:,.0f} MiB"
