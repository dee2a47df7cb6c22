"""Which weights llama.cpp copies into a layout of this CPU's own, and how many bytes those copies take.

The rules are ggml's own (ggml_repack_get_optimal_repack_type; qtype_has_amx_kernels). Looks at names of CPU features
and at a header; knows no llama.cpp.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

from llmchat_engine.models.fit.cgroup import PROC
from llmchat_engine.models.fit.weights import is_matrix, tensor_bytes, type_name
from llmchat_engine.models.gguf import Header

_NEVER_REPACKED = frozenset({"F32", "F16", "BF16", "Q4_1", "Q5_0", "Q5_1"})
"""File types whose weights stay as they are without AMX. Of SmolLM2 Q4_1 only the embedding would be copied, at a
cost of 20 to 60 ms of load, and nothing is gained: 173 against 182 tokens a second."""
_BY_FEATURE: dict[str, frozenset[str]] = {
    "avx2": frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"}),
    "avx512f": frozenset({"Q2_K"}),
    "asimddp": frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "MXFP4", "Q8_0", "Q1_0"}),
    "i8mm": frozenset({"Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q1_0"}),
    "amx_int8": frozenset({"Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"}),
}
_ROWS = 8
"""A matrix is repacked where its rows are a multiple of it (of 4 for some types on ARM; no real one is only that)."""
_READ = 16_384
"""Bytes of /proc/cpuinfo: the first processor's. A machine of 256 takes 20 ms to tell of all."""


def cpu_features(proc: Path = PROC) -> frozenset[str]:
    """Returns the names of this CPU's features, as Linux has them; none on a Mac, where Metal reads the file's pages.

    Args:
        proc: The proc file system.
    """
    if sys.platform == "darwin":
        return frozenset()
    try:
        descriptor = os.open(proc / "cpuinfo", os.O_RDONLY)
    except OSError:
        return frozenset()
    try:
        text = os.read(descriptor, _READ).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    for line in text.splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(words.split())
    return frozenset()


def is_repackable(header: Header) -> bool:
    """Returns whether repacking gains anything, by the type most of the weights have; AMX is not asked here."""
    return header.quantization not in _NEVER_REPACKED


def repacked_bytes(header: Header, features: Collection[str]) -> int:
    """Returns the bytes of the copies that llama.cpp makes of weights beside the mapped file.

    Args:
        header: The model.
        features: What `cpu_features` said. A CPU that lists AMX counts as one that can use it.
    """
    if not is_repackable(header) and "amx_int8" not in features:
        return 0
    types: set[str] = set().union(*(_BY_FEATURE.get(name, ()) for name in features))
    copied = (tensor for tensor in header.tensors if type_name(tensor) in types and is_matrix(tensor, header))
    return sum(tensor_bytes(tensor) for tensor in copied if tensor.dims[1] % _ROWS == 0)
