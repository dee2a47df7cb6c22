"""What a model needs in memory, and the longest context that fits.

Pure arithmetic on a header; what is free is handed in (memory.py asks for it). Weights in a mapped file are counted in
full: a model whose pages are dropped and read again for every token is not usable. Knows no GPU:
plan.py does.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine.errors import NotEnoughMemory
from llmchat_engine.models.fit.memory import Free, memory_free
from llmchat_engine.models.gguf import Header
from llmchat_engine.models.gguf_layout import TENSOR_TYPES
from llmchat_engine.models.gguf_parse import BigArray

__all__ = [
    "Free",
    "Need",
    "choose_context",
    "compute_bytes",
    "kv_bytes_per_token",
    "memory_free",
    "memory_needed",
    "size_text",
]

AUTO_CONTEXT = 8192
LEAST_CONTEXT = 512
CONTEXT_STEP = 256
"""llama.cpp rounds the cells of a context up to it."""
FIRST_CELLS = 2048
"""The cache begins with so many and grows when they are needed."""
UBATCH = 512
OUTPUT_ROWS = 32
SEQUENCES = 8
"""Sequences that the context of a recurrent model has room for; each has a state of its own."""
RUNTIME = 44 << 20
"""Bytes of Python, numpy, jinja2 and the libraries of llama.cpp: 31 MiB of its own and 21 of files, the words of a
vocabulary of 32,000 among them (Linux, Python 3.11)."""
_TYPE_BYTES = {name.lower(): bytes_ / block for name, block, bytes_ in TENSOR_TYPES.values()}
_TOKEN_BYTES = 256
_MERGE_BYTES = 512
"""Bytes that llama.cpp's vocabulary took per token and per merge (152,000 tokens; 49,000 with merges)."""
_WIDTH_ROWS = 6
_WIDE_ROWS = (2, 8)
"""Rows that a token of a batch takes while attention is computed, in widths; and behind it, in widths of the
feed-forward part and of the model. Measured over ten models: 54.0 MiB where this gives 54.0, 32.0 where 32.0."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes a model needs: its weights, its cache, the buffers of llama.cpp, and the process around them."""

    weights: int
    """The mapped file."""
    kv: int
    compute: int
    """Buffers of a whole context; or the copy of a chat that is held while its cache grows, where that is more."""
    runtime: int = 0
    repacked: int = 0
    """Copies of weights in this CPU's own layout."""

    @property
    def total(self) -> int:
        """The most that the process will be seen to hold."""
        return self.least + self.repacked

    @property
    def least(self) -> int:
        """What has to stay in memory: the pages of the file behind a copy are never read again and can be dropped."""
        return self.weights + self.kv + self.compute + self.runtime


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
    return int(sum(cached_heads(header)) * row)


def memory_needed(header: Header, n_ctx: int, type_k: str = "f16", type_v: str = "f16", *, repacked: int = 0) -> Need:
    """Returns what the model needs on the CPU with a context of `n_ctx` tokens.

    Args:
        header: The model.
        n_ctx: Context length in tokens.
        type_k: Type of the cached keys.
        type_v: Type of the cached values; a quantised one turns flash attention on.
        repacked: What `repacked_bytes` said.

    Returns:
        The need; its total is within 15 % of what a host was measured to hold with the whole context in use.
    """
    cells = cells_of(n_ctx)
    per_token, state = kv_bytes_per_token(header, type_k, type_v), state_bytes(header)
    compute = compute_bytes(header, n_ctx, flash=type_v != "f16")
    copied = per_token * cells_before(header, cells)
    runtime = RUNTIME + _words(header)
    return Need(header.file_size, cells * per_token + state, max(compute, copied), runtime, repacked)


def cells_of(n_ctx: int) -> int:
    """Returns the cells that llama.cpp makes for a context."""
    return -(-n_ctx // CONTEXT_STEP) * CONTEXT_STEP


def cells_before(header: Header, cells: int) -> int:
    """Returns how many cells a full cache had before it grew for the last time; 0 where it never grows."""
    if cells <= FIRST_CELLS or header.sliding_window:
        return 0
    return 1 << (cells - 1).bit_length() - 1


def compute_bytes(header: Header, n_ctx: int, *, flash: bool) -> int:
    """Returns the buffers for a batch that reaches the end of the context, logits among them.

    Args:
        header: The model.
        n_ctx: Context length in tokens.
        flash: Whether attention is computed in parts, without a row of scores for each head.
    """
    attention = cells_of(n_ctx) * _compute_per_token(header, flash) + UBATCH * 4 * _WIDTH_ROWS * header.embedding_length
    wide, width = _WIDE_ROWS
    behind = UBATCH * 4 * (wide * _broadest(header) + width * header.embedding_length)
    return max(attention, behind) + OUTPUT_ROWS * 4 * header.n_vocab


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
        if (need := memory_needed(header, wanted, type_k, type_v)).least > free.bytes:
            raise _too_big(header, wanted, need, free, longest)
        return wanted
    least = min(LEAST_CONTEXT, header.context_length)
    if (need := memory_needed(header, least, type_k, type_v)).least > free.bytes:
        raise _too_big(header, least, need, free, longest)
    return max(least, min(header.context_length, AUTO_CONTEXT, longest))


def _longest(header: Header, free: Free, type_k: str, type_v: str) -> int:
    """Returns the longest context that fits, in whole steps; the trained one at most, 0 where not one step does."""
    low, high = 0, max(1, header.context_length // CONTEXT_STEP)
    while low < high:
        middle = (low + high + 1) // 2
        fits = memory_needed(header, middle * CONTEXT_STEP, type_k, type_v).least <= free.bytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return low * CONTEXT_STEP


def _too_big(header: Header, n_ctx: int, need: Need, free: Free, longest: int) -> NotEnoughMemory:
    buffers = size_text(need.compute + need.runtime)
    parts = f"weights {size_text(need.weights)}, cache {size_text(need.kv)}, buffers {buffers}"
    there = f"{size_text(free.bytes)} are free, limited by {free.limited_by}"
    why = f"it needs {size_text(need.least)} ({parts}) and {there}"
    if longest >= CONTEXT_STEP:
        hint = f"load it with --ctx {min(longest, header.context_length)}"
        return NotEnoughMemory(f"a context of {n_ctx:,} tokens does not fit into memory", why, hint)
    hint = "choose a smaller model or a stronger quantisation with -m, or close other programs"
    return NotEnoughMemory("the model does not fit into memory", why, hint)


def cached_heads(header: Header) -> tuple[int, ...]:
    """Returns the key-value heads of the layers that have a cache of their own."""
    heads = header.head_count_kv[: header.block_count - _number(header, "attention.shared_kv_layers")]
    interval = _number(header, "full_attention_interval")
    return heads[interval - 1 :: interval] if interval else heads


def _widest(header: Header, name: str) -> int:
    plain = header.key_length if name == "key_length" else header.value_length
    return max(plain, _number(header, f"attention.{name}_swa"))


def state_bytes(header: Header) -> int:
    """Returns the states of a recurrent model, one for each sequence: they do not grow with the context."""
    inner, state, conv = (_number(header, f"ssm.{name}") for name in ("inner_size", "state_size", "conv_kernel"))
    shift = max(0, conv - 1) * (inner + 2 * _number(header, "ssm.group_count") * state)
    return 4 * SEQUENCES * header.block_count * (shift + inner * state)


def _compute_per_token(header: Header, flash: bool) -> int:
    """Returns buffer bytes per cell, for a batch: the scores of each head, and the mask, of which some have two.

    The scores are there in single precision and once more in half, for the product with the values. llama.cpp tells of
    the first alone, with the mask: 20,480 at 9 heads and 10,240 at 4. Flash attention needs the mask in half precision.
    """
    masks = 2 if header.sliding_window else 1
    heads = max(header.head_count)
    if not heads:
        return 0
    return UBATCH * (2 * masks if flash else 6 * heads + 4 * masks)


def _broadest(header: Header) -> int:
    """Returns the values of the widest rows of a token: of the feed-forward part, of all its experts, or of a state."""
    feed = max(_widest_number(header, name) for name in ("feed_forward_length", "expert_feed_forward_length"))
    return max(feed * max(1, _number(header, "expert_used_count")), 3 * _number(header, "ssm.inner_size") // 2)


def _words(header: Header) -> int:
    """Returns what the vocabulary takes in memory."""
    merges = header.metadata.get("tokenizer.ggml.merges")
    return _TOKEN_BYTES * header.n_vocab + _MERGE_BYTES * (merges.length if isinstance(merges, BigArray) else 0)


def _widest_number(header: Header, key: str) -> int:
    """Returns a number, or the largest of those that a key has for each layer."""
    value = header.metadata.get(f"{header.architecture}.{key}")
    several = value if isinstance(value, tuple) else (value,)
    return max((number for number in several if isinstance(number, int)), default=0)


def _number(header: Header, key: str) -> int:
    value = header.metadata.get(f"{header.architecture}.{key}")
    return value if isinstance(value, int) and value > 0 else 0


def size_text(count: float) -> str:
    """Returns bytes for people."""
    mib = count / (1 << 20)
    return f"{mib / 1024:,.1f} GiB" if mib >= 1024 else f"{mib:,.0f} MiB"
