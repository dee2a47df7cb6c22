"""GGUF models of any shape and size with weights of random bits, written as fast as the disk takes them.

For what depends on a model's size: memory and speed. They write nonsense, but their scales are small and finite, so
that every number on the way is. Knows the `gguf` package, the vocabulary of tiny_gguf.py and nothing of llmchat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from tests.engine.tiny_gguf import write_vocabulary

_SCALES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q8_0": (0,),
    "IQ4_NL": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
}
"""Where a block of a type has its half-precision scales."""
_BUFFER = 1 << 20
"""Blocks that are made; a tensor repeats them."""

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model is like."""

    architecture: str = "llama"
    layers: int = 16
    width: int = 1024
    heads: int = 16
    kv_heads: int = 16
    feed_forward: int = 2816
    vocab: int = 4096
    kind: str = "Q8_0"
    """The type of every matrix."""
    head_kind: str = ""
    """The type of the embedding and of the output; empty is `kind`."""
    tied: bool = True
    """Whether the embedding is the output too."""
    experts: int = 0
    used: int = 0
    window: int = 0
    n_ctx_train: int = 32_768

    @property
    def head(self) -> int:
        """The width of one head."""
        return self.width // self.heads


def write_shape(path: Path, shape: Shape) -> Path:
    """Writes a model.

    Args:
        path: Where to.
        shape: What it is like.

    Returns:
        `path`.
    """
    writer = GGUFWriter(path, shape.architecture)
    writer.add_type("model")
    writer.add_name(path.stem)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.n_ctx_train)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_layer_norm_rms_eps(1e-5)
    (_mamba_keys if shape.architecture == "mamba" else _attention_keys)(writer, shape)
    write_vocabulary(writer, shape.vocab)
    tensors = list(_mamba(shape) if shape.architecture == "mamba" else _transformer(shape))
    random = np.random.default_rng(0)
    kinds = {kind: _blocks(kind, random) for kind in sorted({kind for _, _, kind in tensors})}
    for name, dims, kind in tensors:
        number = GGMLQuantizationType[kind]
        writer.add_tensor_info(name, dims, np.dtype(np.float32), _size(dims, kind), number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, dims, kind in tensors:
        writer.write_tensor_data(_filled(name, _size(dims, kind), kinds[kind]))
    writer.close()
    return path


def _attention_keys(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_dimension_count(shape.head)
    if shape.window:
        writer.add_sliding_window(shape.window)
    if shape.experts:
        writer.add_expert_count(shape.experts)
        writer.add_expert_used_count(shape.used)


def _mamba_keys(writer: GGUFWriter, shape: Shape) -> None:
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(4)
    writer.add_ssm_inner_size(2 * shape.width)
    writer.add_ssm_state_size(16)
    writer.add_ssm_time_step_rank(shape.width // 16)


_Row = tuple[str, tuple[int, ...], str]
"""Name, shape as numpy has it, and type."""


def _transformer(shape: Shape) -> Iterator[_Row]:
    width, wide, key = shape.width, shape.heads * shape.head, shape.kv_heads * shape.head
    yield from _ends(shape)
    for n in range(shape.layers):
        yield f"blk.{n}.attn_norm.weight", (width,), "F32"
        yield f"blk.{n}.ffn_norm.weight", (width,), "F32"
        yield f"blk.{n}.attn_q.weight", (wide, width), shape.kind
        yield f"blk.{n}.attn_k.weight", (key, width), shape.kind
        yield f"blk.{n}.attn_v.weight", (key, width), shape.kind
        yield f"blk.{n}.attn_output.weight", (width, wide), shape.kind
        if shape.architecture == "gemma3":
            yield from ((f"blk.{n}.attn_{part}_norm.weight", (shape.head,), "F32") for part in "qk")
            yield f"blk.{n}.post_attention_norm.weight", (width,), "F32"
            yield f"blk.{n}.post_ffw_norm.weight", (width,), "F32"
        yield from _feed_forward(shape, n)


def _feed_forward(shape: Shape, layer: int) -> Iterator[_Row]:
    up, down = (shape.feed_forward, shape.width), (shape.width, shape.feed_forward)
    mark, several = ("_exps", (shape.experts,)) if shape.experts else ("", ())
    if shape.experts:
        yield f"blk.{layer}.ffn_gate_inp.weight", (shape.experts, shape.width), "F32"
    for part, dims in (("gate", up), ("down", down), ("up", up)):
        yield f"blk.{layer}.ffn_{part}{mark}.weight", (*several, *dims), shape.kind


def _mamba(shape: Shape) -> Iterator[_Row]:
    width, inner, rank, state = shape.width, 2 * shape.width, shape.width // 16, 16
    yield from _ends(shape)
    for n in range(shape.layers):
        yield f"blk.{n}.attn_norm.weight", (width,), "F32"
        yield f"blk.{n}.ssm_in.weight", (2 * inner, width), shape.kind
        yield f"blk.{n}.ssm_conv1d.weight", (inner, 4), "F32"
        yield f"blk.{n}.ssm_conv1d.bias", (inner,), "F32"
        yield f"blk.{n}.ssm_x.weight", (rank + 2 * state, inner), shape.kind
        yield f"blk.{n}.ssm_dt.weight", (inner, rank), shape.kind
        yield f"blk.{n}.ssm_dt.bias", (inner,), "F32"
        yield f"blk.{n}.ssm_a", (inner, state), "F32"
        yield f"blk.{n}.ssm_d", (inner,), "F32"
        yield f"blk.{n}.ssm_out.weight", (width, inner), shape.kind


def _ends(shape: Shape) -> Iterator[_Row]:
    kind = shape.head_kind or shape.kind
    yield "token_embd.weight", (shape.vocab, shape.width), kind
    yield "output_norm.weight", (shape.width,), "F32"
    if not shape.tied:
        yield "output.weight", (shape.vocab, shape.width), kind


def _size(dims: tuple[int, ...], kind: str) -> int:
    block, bytes_ = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    return prod(dims) // int(block) * int(bytes_)


def _blocks(kind: str, random: np.random.Generator) -> _Bytes:
    """Returns bytes of a type that are numbers around zero."""
    if kind in ("F32", "F16"):
        type_ = np.float32 if kind == "F32" else np.float16
        return (random.standard_normal(_BUFFER, np.float32) * np.float32(0.02)).astype(type_).view(np.uint8)
    _, bytes_ = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = random.integers(0, 256, (_BUFFER // 16, bytes_), np.uint8)
    scale = np.array([0.002], np.float16).view(np.uint8)
    for offset in _SCALES[kind]:
        blocks[:, offset : offset + 2] = scale
    return blocks.reshape(-1)


def _filled(name: str, size: int, blocks: _Bytes) -> _Bytes:
    if name.endswith("norm.weight"):
        return np.ones(size // 4, np.float32).view(np.uint8)
    data = np.resize(blocks, size)
    return (-np.abs(data.view(np.float32))).view(np.uint8) if name.endswith("ssm_a") else data
