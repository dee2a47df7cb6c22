"""How many tokens a second a CPU will write: what is read for one, over how fast memory is read and numbers are worked.

Pure arithmetic on a header and the measured bandwidth. Knows no card: what is on one is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from llmchat_engine.models.fit.need import SEQUENCES, kv_bytes_per_token, state_bytes
from llmchat_engine.models.fit.weights import read_per_token
from llmchat_engine.models.gguf import Header

WORK: Mapping[str, float] = MappingProxyType(
    {
        "F32": 900e9,
        "F16": 100e9,
        "BF16": 100e9,
        "Q8_0": 50e9,
        "Q6_K": 45e9,
        "IQ4_NL": 58e9,
        "Q4_K": 54e9,
        "Q4_0": 52e9,
        "Q5_K": 34e9,
        "Q5_0": 25e9,
        "Q5_1": 25e9,
        "Q4_1": 25e9,
        "Q2_K": 22e9,
        "Q3_K": 16e9,
    }
)
"""Bytes of a type that one thread works through a second once they are there, repacked where llama.cpp does that: the
middle of what one thread and three gave on a CPU with AVX-512, of which one reads 35 GB/s and three read 70. They give
36 GB/s for Q4_1, 49 for Q4_K and 48 for Q8_0 there, where 36, 48 and 41 were seen."""
OTHER_WORK = 20e9
"""Of a type that is not there; the small ones are unpacked through tables."""
LAYER = 45e-6
"""Seconds a layer takes beside that: threads wait for each other after each of its ten products."""
HEAD = 9e-9
"""Seconds that one head of one layer takes for one cell; 7 to 11 with 64 and 128 values a head."""
FLASH = 0.8e-9
"""The same with flash attention on a quantised cache, for each value of a head: 0.4e-9 where several heads share their
keys, 1.1e-9 to 1.4e-9 where each has its own."""


def tokens_per_second(
    header: Header,
    bandwidth: float,
    threads: int,
    n_ctx: int,
    type_k: str = "f16",
    type_v: str = "f16",
    layers: int | None = None,
) -> float:
    """Returns the tokens a second behind half a context.

    Args:
        header: The model.
        bandwidth: Bytes a second that the threads read together; 0 where it is not known.
        threads: That write.
        n_ctx: Context length in tokens.
        type_k: Type of the cached keys.
        type_v: Type of the cached values.
        layers: So many of the first layers are on the CPU and nothing behind them; None is all of the model.

    Returns:
        0 where it cannot be told.
    """
    if bandwidth <= 0 or layers == 0:
        return 0.0
    share = 1.0 if layers is None else min(1.0, layers / header.block_count)
    weights = _weights(header, bandwidth, threads, layers)
    cache = _cache(header, bandwidth, threads, n_ctx, type_k, type_v)
    return 1.0 / (weights + share * (cache + LAYER * header.block_count))


def _weights(header: Header, bandwidth: float, threads: int, layers: int | None) -> float:
    seconds = 0.0
    for layer, kind, size in read_per_token(header):
        if layers is None or (layer is not None and layer < layers):
            seconds += size / bandwidth + size / (threads * WORK.get(kind, OTHER_WORK))
    return seconds


def _cache(header: Header, bandwidth: float, threads: int, n_ctx: int, type_k: str, type_v: str) -> float:
    cells = min(n_ctx, header.context_length) / 2
    a_head = HEAD if type_v == "f16" else FLASH * (header.key_length + header.value_length) / 2
    work = cells * sum(header.head_count) * a_head / threads
    read = cells * kv_bytes_per_token(header, type_k, type_v) + 2 * state_bytes(header) / SEQUENCES
    return work + read / bandwidth
