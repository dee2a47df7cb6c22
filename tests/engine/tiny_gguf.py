"""Tiny GGUF models with random weights, for tests that need llama.cpp to load and decode something.

They write nonsense, in milliseconds. The vocabulary has what breaks detokenising: every byte as a token, pieces longer
than 32 bytes, and control tokens. Knows the `gguf` package and nothing of llmchat.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
UNK, BOS, EOS, IM_START, IM_END = range(5)
BYTE_0 = len(CONTROL)
"""Id of the byte token 0x00; byte n is n further."""
SPACE = "\u2581"
LONG_PIECES = tuple(sign * length for sign in (SPACE, "=") for length in (2, 4, 8, 16, 32, 40))
"""Each can be merged from two others, so that 40 signs in a text become the one token of 40 signs."""
_SYLLABLES = tuple(first + second for first in "bcdfghklmnprstvwz" for second in "aeiou")


def tiny_llama(
    path: Path,
    *,
    vocab: int = 512,
    n_ctx_train: int = 2048,
    template: str | None = CHATML,
    seed: int = 0,
    layers: int = 2,
    width: int = 64,
    chat: bool = True,
    extra: dict[str, int | float | str] | None = None,
    marks: dict[int, str] | None = None,
) -> Path:
    """Writes a llama with two layers, four heads and two key-value heads.

    Args:
        path: Where to write.
        vocab: Number of tokens, at least 400.
        n_ctx_train: The context length that the header claims.
        template: The chat template, None for none.
        seed: Seed of the weights.
        layers: Number of layers.
        width: Width of the model; a multiple of 32.
        chat: False ends a text with `</s>` alone, as a base model does.
        extra: More keys for the header, written by their Python type.
        marks: Control tokens that take the place of others, by id.

    Returns:
        `path`.
    """
    writer = _begin(path, "llama", layers, width, n_ctx_train)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 4)
    write_vocabulary(writer, vocab, template, chat, marks or {})
    for key, value in (extra or {}).items():
        _add(writer, key, value)
    _tensors(writer, _attention_shapes(vocab, width, layers, kv_width=width // 2), seed)
    return _finish(writer, path)


def tiny_gemma3_swa(
    path: Path,
    *,
    vocab: int = 512,
    n_ctx_train: int = 2048,
    window: int = 64,
    template: str | None = CHATML,
    seed: int = 0,
) -> Path:
    """Writes a gemma3 with six layers, five of which see only the last `window` tokens.

    Args:
        path: Where to write.
        vocab: Number of tokens, at least 400.
        n_ctx_train: The context length that the header claims.
        window: Tokens that a sliding layer sees.
        template: The chat template, None for none.
        seed: Seed of the weights.

    Returns:
        `path`.
    """
    layers, width, head = 6, 48, 12
    writer = _begin(path, "gemma3", layers, width, n_ctx_train)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_sliding_window(window)
    writer.add_layer_norm_rms_eps(1e-6)
    write_vocabulary(writer, vocab, template, chat=True)
    shapes = _attention_shapes(vocab, width, layers, kv_width=2 * head)
    for n in range(layers):
        shapes |= {f"blk.{n}.{name}.weight": (head,) for name in ("attn_q_norm", "attn_k_norm")}
        shapes |= {f"blk.{n}.{name}.weight": (width,) for name in ("post_attention_norm", "post_ffw_norm")}
    _tensors(writer, shapes, seed)
    return _finish(writer, path)


def tiny_mamba(
    path: Path, *, vocab: int = 512, n_ctx_train: int = 2048, template: str | None = CHATML, seed: int = 0
) -> Path:
    """Writes a mamba with two layers: a model whose memory cannot be rewound.

    Args:
        path: Where to write.
        vocab: Number of tokens, at least 400.
        n_ctx_train: The context length that the header claims.
        template: The chat template, None for none.
        seed: Seed of the weights.

    Returns:
        `path`.
    """
    layers, width, inner, state, conv, rank = 2, 32, 64, 8, 4, 4
    writer = _begin(path, "mamba", layers, width, n_ctx_train)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(conv)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_layer_norm_rms_eps(1e-5)
    write_vocabulary(writer, vocab, template, chat=True)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocab, width), "output_norm.weight": (width,)}
    for n in range(layers):
        shapes |= {
            f"blk.{n}.attn_norm.weight": (width,),
            f"blk.{n}.ssm_in.weight": (2 * inner, width),
            f"blk.{n}.ssm_conv1d.weight": (inner, conv),
            f"blk.{n}.ssm_conv1d.bias": (inner,),
            f"blk.{n}.ssm_x.weight": (rank + 2 * state, inner),
            f"blk.{n}.ssm_dt.weight": (inner, rank),
            f"blk.{n}.ssm_dt.bias": (inner,),
            f"blk.{n}.ssm_a": (inner, state),
            f"blk.{n}.ssm_d": (inner,),
            f"blk.{n}.ssm_out.weight": (width, inner),
        }
    _tensors(writer, shapes, seed)
    return _finish(writer, path)


def tiny_lfm2(
    path: Path, *, vocab: int = 512, n_ctx_train: int = 2048, template: str | None = CHATML, seed: int = 0
) -> Path:
    """Writes an lfm2 with short convolutions in two layers and attention in the other two: a hybrid memory.

    Args:
        path: Where to write.
        vocab: Number of tokens, at least 400.
        n_ctx_train: The context length that the header claims.
        template: The chat template, None for none.
        seed: Seed of the weights.

    Returns:
        `path`.
    """
    layers, width, conv, kv_heads = 4, 32, 3, (0, 2, 0, 2)
    writer = _begin(path, "lfm2", layers, width, n_ctx_train)
    writer.add_head_count(4)
    writer.add_head_count_kv(kv_heads)
    writer.add_shortconv_l_cache(conv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 4)
    write_vocabulary(writer, vocab, template, chat=True)
    attention = _attention_shapes(vocab, width, layers, kv_width=width // 2)
    shapes = {name: shape for name, shape in attention.items() if name != "output_norm.weight"}
    shapes["token_embd_norm.weight"] = (width,)
    for n, heads in enumerate(kv_heads):
        if heads:
            shapes |= {f"blk.{n}.{name}.weight": (width // 4,) for name in ("attn_q_norm", "attn_k_norm")}
            continue
        shapes = {name: shape for name, shape in shapes.items() if not _is_attention(name, n)}
        shapes[f"blk.{n}.shortconv.conv.weight"] = (width, conv)
        shapes[f"blk.{n}.shortconv.in_proj.weight"] = (3 * width, width)
        shapes[f"blk.{n}.shortconv.out_proj.weight"] = (width, width)
    _tensors(writer, shapes, seed)
    return _finish(writer, path)


def _is_attention(name: str, layer: int) -> bool:
    return name in {f"blk.{layer}.attn_{part}.weight" for part in ("q", "k", "v", "output")}


@functools.lru_cache(maxsize=4)
def tokens(vocab: int) -> tuple[str, ...]:
    """Returns the texts of the vocabulary: control tokens, 256 bytes, long pieces, characters, then made-up words."""
    fixed = [*CONTROL, *(f"<0x{byte:02X}>" for byte in range(256)), *LONG_PIECES, SPACE]
    fixed += [chr(code) for code in range(33, 127)]
    found = dict.fromkeys(fixed)
    words = (SPACE + _word(n) for n in itertools.count())
    found |= dict.fromkeys(itertools.islice(words, max(0, vocab - len(found))))
    return tuple(found)[:vocab]


def _word(number: int) -> str:
    """Returns the number in base 85, written in syllables: a different word for every number."""
    word = ""
    while True:
        number, digit = divmod(number, len(_SYLLABLES))
        word += _SYLLABLES[digit]
        if not number:
            return word


def _begin(path: Path, arch: str, layers: int, width: int, n_ctx_train: int) -> GGUFWriter:
    writer = GGUFWriter(path, arch)
    writer.add_type("model")
    writer.add_name(f"tiny {arch}")
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_block_count(layers)
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(2 * width)
    return writer


def write_vocabulary(
    writer: GGUFWriter,
    vocab: int,
    template: str | None = CHATML,
    chat: bool = True,
    marks: Mapping[int, str] = MappingProxyType({}),
) -> None:
    """Gives a model its tokens and its template.

    Args:
        writer: Of the model.
        vocab: Number of tokens, at least 400.
        template: The chat template, None for none.
        chat: False ends a text with `</s>` alone, as a base model does.
        marks: Control tokens that take the place of others, by id.
    """
    texts = [marks.get(number, text) for number, text in enumerate(tokens(vocab))]
    types = [TokenType.CONTROL] * BYTE_0 + [TokenType.BYTE] * 256 + [TokenType.NORMAL] * (vocab - BYTE_0 - 256)
    types[UNK] = TokenType.UNKNOWN
    types[IM_END + 1] = types[IM_END + 2] = TokenType.USER_DEFINED
    for number in marks:
        types[number] = TokenType.CONTROL
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([0.0] * BYTE_0 + [-float(n) for n in range(vocab - BYTE_0)])
    writer.add_token_types(types)
    writer.add_unk_token_id(UNK)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(IM_END if chat else EOS)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    if template is not None:
        writer.add_chat_template(template)


def _attention_shapes(vocab: int, width: int, layers: int, kv_width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocab, width), "output_norm.weight": (width,)}
    for n in range(layers):
        shapes |= {
            f"blk.{n}.attn_norm.weight": (width,),
            f"blk.{n}.attn_q.weight": (width, width),
            f"blk.{n}.attn_k.weight": (kv_width, width),
            f"blk.{n}.attn_v.weight": (kv_width, width),
            f"blk.{n}.attn_output.weight": (width, width),
            f"blk.{n}.ffn_norm.weight": (width,),
            f"blk.{n}.ffn_gate.weight": (2 * width, width),
            f"blk.{n}.ffn_down.weight": (width, 2 * width),
            f"blk.{n}.ffn_up.weight": (2 * width, width),
        }
    return shapes


def _tensors(writer: GGUFWriter, shapes: dict[str, tuple[int, ...]], seed: int) -> None:
    random = np.random.default_rng(seed)
    for name, shape in shapes.items():
        if name.endswith("norm.weight"):
            values = np.ones(shape, np.float32)
        else:
            values = random.standard_normal(shape, np.float32) * np.float32(0.3)
        writer.add_tensor(name, -np.abs(values) if name.endswith("ssm_a") else values)


def _add(writer: GGUFWriter, key: str, value: int | float | str) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    else:
        writer.add_float32(key, value)


def _finish(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
