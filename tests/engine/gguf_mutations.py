"""What an attacker or a bad disk would change in a GGUF file: one to three places of it, drawn at random.

Knows what llama.cpp reads of a file; knows nothing of llmchat.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.engine.gguf_parts import ARR, BOOL, F32, FORMATS, I32, STR, U32, U64, Array, Gguf, Row

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    31,
    33,
    63,
    64,
    127,
    255,
    256,
    1000,
    1 << 16,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
)
LENGTHS = (0, 1, 7, 8, 63, 64, 255, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
FLOATS = (float("nan"), float("inf"), float("-inf"), 0.0, -1.0, 1e38, -1e38, 1e-45)
ARCHITECTURES = (
    "llama", "gemma3", "mamba", "lfm2", "qwen2", "qwen3", "phi3", "gpt2", "falcon", "rwkv6", "mamba2", "jamba", "mpt",
    "bloom", "starcoder2", "gemma2", "command-r", "deepseek2", "t5", "bert", "qwen3moe", "plamo2", "granite",
    "gpt-oss", "x",
)  # fmt: skip
TOKENIZERS = ("llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "no_vocab", "none", "", "replit", "gemma4", "x")
PRES = ("default", "llama-bpe", "qwen2", "smollm", "deepseek-llm", "tekken", "gpt-4o", "x", "")
TEXTS = (
    b"", b"\0", b"<0x-1>", b"<0xZZ>", b"<0x100>", b"<0x0A>", b"<s>", b"\xff\xfe", b"a\0b", b"%s%n", b"\xe2\x96\x81",
    b"x" * 300, b"<|im_end|>", b"\n", b" ", b"<unk>", b"[UNK]", b"\xf0\x9f\x98", b"<|endoftext|>", b"general.name",
)  # fmt: skip


def mutate(gguf: Gguf, dice: random.Random) -> str:
    """Changes one to three things of a file, and returns which kinds of change these were."""
    names = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        name = dice.choice(sorted(CHANGES))
        CHANGES[name](gguf, dice)
        names.append(name)
    return "+".join(names)


def _counts(gguf: Gguf, dice: random.Random) -> None:
    gguf.n_keys, gguf.n_rows = dice.choice(
        (
            (len(gguf.keys) + dice.randint(-2, 2), None),
            (None, len(gguf.rows) + dice.randint(-2, 2)),
            (dice.choice(LENGTHS), None),
        )
    )


def _version(gguf: Gguf, dice: random.Random) -> None:
    gguf.version = dice.choice((0, 1, 2, 4, 99, 1 << 31))


def _drop_key(gguf: Gguf, dice: random.Random) -> None:
    gguf.keys.remove(dice.choice(gguf.keys))


def _rename_key(gguf: Gguf, dice: random.Random) -> None:
    key = dice.choice(gguf.keys)
    key.name = dice.choice(
        (key.name + b"x", key.name[:-1], b"", dice.choice(gguf.keys).name, b"\xff", b"general.alignment")
    )


def _key_number(gguf: Gguf, dice: random.Random) -> None:
    key = dice.choice(gguf.number_keys())
    near = int(key.value) if key.kind != F32 else 1
    key.value = (
        dice.choice(FLOATS) if key.kind == F32 else dice.choice((*NUMBERS, near + 1, near - 1, near * 2, near // 2))
    )


def _key_kind(gguf: Gguf, dice: random.Random) -> None:
    key = dice.choice(gguf.keys)
    if not isinstance(key.value, Array):
        key.kind = dice.choice((*FORMATS, STR, 13, 99))


def _key_text(gguf: Gguf, dice: random.Random) -> None:
    key = dice.choice([key for key in gguf.keys if key.kind == STR])
    key.value = dice.choice(TEXTS)


def _text_length(gguf: Gguf, dice: random.Random) -> None:
    dice.choice([key for key in gguf.keys if key.kind == STR]).length = dice.choice(LENGTHS)


def _architecture(gguf: Gguf, dice: random.Random) -> None:
    old = next((key.value for key in gguf.keys if key.name == b"general.architecture"), b"")
    new = dice.choice(ARCHITECTURES).encode()
    for key in gguf.keys:
        if isinstance(old, bytes) and old and key.name.startswith(old + b"."):
            key.name = new + key.name[len(old) :]
    gguf.set(b"general.architecture", STR, new)


def _hyper(gguf: Gguf, dice: random.Random) -> None:
    """Sets a number that some architectures read, whether this one has it or not."""
    names = (
        b"expert_count", b"expert_used_count", b"expert_feed_forward_length", b"attention.sliding_window",
        b"vocab_size",
        b"attention.key_length", b"attention.value_length", b"rope.dimension_count", b"attention.head_count_kv",
        b"attention.head_count", b"block_count", b"embedding_length", b"feed_forward_length", b"context_length",
        b"ssm.conv_kernel", b"ssm.inner_size", b"ssm.state_size", b"ssm.time_step_rank", b"ssm.group_count",
        b"attention.shared_kv_layers", b"full_attention_interval", b"nextn_predict_layers", b"pooling_type",
        b"attention.causal", b"rope.scaling.original_context_length", b"leading_dense_block_count",
        b"shortconv.l_cache",
        b"attention.group_norm_groups", b"rope.dimension_sections", b"attention.sliding_window_pattern", b"hidden_act",
        b"wkv.head_size", b"attention.q_lora_rank", b"attention.kv_lora_rank", b"expert_group_count",
        b"dense_2_feat_out",
    )  # fmt: skip
    arch = next((key.value for key in gguf.keys if key.name == b"general.architecture"), b"llama")
    gguf.set(bytes(arch) + b"." + dice.choice(names), dice.choice((U32, U32, I32, BOOL)), dice.choice(NUMBERS))


def _hyper_array(gguf: Gguf, dice: random.Random) -> None:
    arch = next((key.value for key in gguf.keys if key.name == b"general.architecture"), b"llama")
    names = (b"attention.head_count_kv", b"attention.head_count", b"feed_forward_length", b"rope.dimension_sections",
             b"attention.sliding_window_pattern", b"attention.sliding_window")  # fmt: skip
    items = [dice.choice(NUMBERS[:12]) for _ in range(dice.choice((0, 1, 2, 4, 6, 7, 512, 600)))]
    gguf.set(bytes(arch) + b"." + dice.choice(names), ARR, Array(dice.choice((U32, I32, BOOL, F32)), items))


def _rope(gguf: Gguf, dice: random.Random) -> None:
    arch = bytes(next((key.value for key in gguf.keys if key.name == b"general.architecture"), b"llama"))
    gguf.set(arch + b".rope.scaling.type", STR, dice.choice((b"linear", b"yarn", b"longrope", b"none", b"x")))
    gguf.set(
        arch + dice.choice((b".rope.freq_base", b".rope.scaling.factor", b".rope.scaling.attn_factor")),
        F32,
        dice.choice(FLOATS),
    )


def _array_length(gguf: Gguf, dice: random.Random) -> None:
    array = dice.choice(gguf.arrays()).value
    array.length = dice.choice((*LENGTHS, len(array.items) - 1, len(array.items) + 1))


def _array_kind(gguf: Gguf, dice: random.Random) -> None:
    array = dice.choice(gguf.arrays()).value
    array.kind = dice.choice((U32, I32, F32, U64, 0, 99)) if array.kind != STR else STR
    if dice.random() < 0.3:
        array.items = array.items[: dice.randrange(len(array.items) + 1)]


def _tokenizer(gguf: Gguf, dice: random.Random) -> None:
    gguf.set(b"tokenizer.ggml.model", STR, dice.choice(TOKENIZERS).encode())
    if dice.random() < 0.5:
        gguf.set(b"tokenizer.ggml.pre", STR, dice.choice(PRES).encode())
    if dice.random() < 0.6:
        merges = [
            dice.choice((b"a b", b"ab", b" ", b"", b"a  b", b"\xff \xfe", b"th e")) for _ in range(dice.randint(0, 9))
        ]
        gguf.set(b"tokenizer.ggml.merges", ARR, Array(STR, merges))


def _charsmap(gguf: Gguf, dice: random.Random) -> None:
    items = [dice.randrange(256) for _ in range(dice.choice((0, 1, 4, 8, 64, 1000)))]
    gguf.set(b"tokenizer.ggml.precompiled_charsmap", ARR, Array(dice.choice((0, 1)), items))


def _tokens(gguf: Gguf, dice: random.Random) -> None:
    if array := gguf.array(b"tokens"):
        for _ in range(dice.choice((1, 1, 3, 40))):
            at = dice.randrange(len(array.items))
            array.items[at] = dice.choice((*TEXTS, dice.choice(array.items), dice.randbytes(dice.randint(0, 40))))


def _token_types(gguf: Gguf, dice: random.Random) -> None:
    if array := gguf.array(b"token_type"):
        for _ in range(dice.choice((1, 5, 100))):
            array.items[dice.randrange(len(array.items))] = dice.choice((0, 1, 2, 3, 4, 5, 6, 7, -1, 99, 1 << 30))


def _scores(gguf: Gguf, dice: random.Random) -> None:
    if array := gguf.array(b"scores"):
        for _ in range(dice.choice((1, 5, 100))):
            array.items[dice.randrange(len(array.items))] = dice.choice(FLOATS)


def _special_ids(gguf: Gguf, dice: random.Random) -> None:
    names = ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls", "fim_pre", "fim_suf",
             "fim_mid",
             "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle")  # fmt: skip
    name = f"tokenizer.ggml.{dice.choice(names)}_token_id".encode()
    gguf.set(name, dice.choice((U32, U32, I32, U64)), dice.choice((*NUMBERS, 399, 400, 401)))


def _flags(gguf: Gguf, dice: random.Random) -> None:
    names = (b"add_bos_token", b"add_eos_token", b"add_sep_token", b"add_space_prefix", b"remove_extra_whitespaces",
             b"escape_whitespaces", b"token_type_count")  # fmt: skip
    gguf.set(b"tokenizer.ggml." + dice.choice(names), dice.choice((BOOL, U32)), dice.choice((0, 1, 2, 1 << 30)))


def _suppressed(gguf: Gguf, dice: random.Random) -> None:
    ids = [dice.choice((*NUMBERS, -1)) for _ in range(dice.choice((0, 1, 20)))]
    gguf.set(
        b"tokenizer.ggml." + dice.choice((b"suppress_tokens", b"eog_token_ids")),
        ARR,
        Array(dice.choice((U32, I32)), ids),
    )


def _template(gguf: Gguf, dice: random.Random) -> None:
    texts = (b"", b"{{", b"{% for %}", b"\xff\xfe", b"x" * (1 << 20), b"{{ messages[99] }}", b"%s%n\0")
    gguf.set(b"tokenizer.chat_template", STR, dice.choice(texts))


def _alignment(gguf: Gguf, dice: random.Random) -> None:
    gguf.set(b"general.alignment", U32, dice.choice((0, 1, 8, 16, 31, 64, 4096, 1 << 31)))


def _split(gguf: Gguf, dice: random.Random) -> None:
    for name in (b"split.count", b"split.no", b"split.tensors.count"):
        gguf.set(name, dice.choice((2, U32)), dice.choice((0, 1, 2, 65_535)))


def _row_dims(gguf: Gguf, dice: random.Random) -> None:
    row = dice.choice(gguf.rows)
    match dice.randrange(4):
        case 0:
            row.dims[dice.randrange(len(row.dims))] = dice.choice((*NUMBERS, *LENGTHS))
        case 1:
            row.dims.reverse()
        case 2:
            row.dims = row.dims + [1] * dice.randint(1, 3)
        case _:
            row.dims = [max(1, dim // 2) for dim in row.dims]


def _row_kind(gguf: Gguf, dice: random.Random) -> None:
    dice.choice(gguf.rows).kind = dice.choice((*range(42), 99, 1 << 31))


def _row_offset(gguf: Gguf, dice: random.Random) -> None:
    row = dice.choice(gguf.rows)
    row.offset = dice.choice((row.offset + 1, row.offset + 32, row.offset - 32, 0, len(gguf.data), *LENGTHS))


def _row_name(gguf: Gguf, dice: random.Random) -> None:
    row, other = dice.choice(gguf.rows), dice.choice(gguf.rows)
    names = (other.name, row.name + b"x", b"", b"blk.99.attn_q.weight", b"blk.-1.x", b"output.weight",
             b"rope_freqs.weight",
             b"token_embd_norm.weight", b"blk.0.attn_q.bias", b"x" * 63, b"\xff")  # fmt: skip
    row.name = dice.choice(names)


def _rows_swapped(gguf: Gguf, dice: random.Random) -> None:
    first, second = dice.choice(gguf.rows), dice.choice(gguf.rows)
    first.name, second.name = second.name, first.name


def _rows_gone(gguf: Gguf, dice: random.Random) -> None:
    """Leaves out a tensor and its bytes, so that the rest stays where it should be."""
    sizes = [after.offset - row.offset for row, after in zip(gguf.rows, gguf.rows[1:], strict=False)]
    if not sizes:
        return
    at = dice.randrange(len(sizes))
    begin, size = gguf.rows[at].offset, sizes[at]
    del gguf.data[begin : begin + size], gguf.rows[at]
    for row in gguf.rows[at:]:
        row.offset -= size


def _row_more(gguf: Gguf, dice: random.Random) -> None:
    """Adds a tensor that some model may read."""
    names = (b"output.weight", b"rope_freqs.weight", b"output.bias", b"blk.0.attn_q.bias", b"blk.0.ffn_gate_inp.weight",
             b"token_types.weight", b"cls.weight", b"blk.0.attn_qkv.weight",
             b"per_layer_token_embd.weight")  # fmt: skip
    dims = dice.choice(([32], [32, 400], [16], [1], [400], [32, 32], [8, 8, 2], [32, 1, 4]))
    size = 4
    for dim in dims:
        size *= dim
    gguf.rows.append(Row(dice.choice(names), dims, 0, len(gguf.data)))
    gguf.data += bytes(-(-size // 32) * 32)


def _weights(gguf: Gguf, dice: random.Random) -> None:
    row = dice.choice(gguf.rows)
    pattern = dice.choice(
        (b"\xff\xff\xff\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\x7c")
    )
    count = dice.choice((1, 8, 64))
    gguf.data[row.offset : row.offset + len(pattern) * count] = pattern * count


def _random_weights(gguf: Gguf, dice: random.Random) -> None:
    row = dice.choice(gguf.rows)
    gguf.data[row.offset : row.offset + 256] = dice.randbytes(256)


def _cut(gguf: Gguf, dice: random.Random) -> None:
    gguf.more.append(lambda raw: raw.__delitem__(slice(dice.randrange(len(raw)), None)))


def _bits(gguf: Gguf, dice: random.Random) -> None:
    def flip(raw: bytearray) -> None:
        for _ in range(dice.choice((1, 2, 16)) if raw else 0):
            raw[dice.randrange(min(len(raw), 12_000))] ^= 1 << dice.randrange(8)

    gguf.more.append(flip)


def _splice(gguf: Gguf, dice: random.Random) -> None:
    def copy(raw: bytearray) -> None:
        if len(raw) > 200:
            source, target, length = dice.randrange(len(raw)), dice.randrange(24, len(raw)), dice.randrange(1, 200)
            raw[target : target + dice.choice((0, length))] = raw[source : source + length]

    gguf.more.append(copy)


def _words(gguf: Gguf, dice: random.Random) -> None:
    def put(raw: bytearray) -> None:
        if len(raw) > 100:
            struct.pack_into("<Q", raw, dice.randrange(4, min(len(raw), 12_000) - 8), dice.choice(LENGTHS))

    gguf.more.append(put)


CHANGES: dict[str, Callable[[Gguf, random.Random], None]] = {
    function.__name__.strip("_"): function
    for function in (
        _alignment, _architecture, _array_kind, _array_length, _bits, _charsmap, _counts, _cut, _drop_key, _flags,
        _hyper,
        _hyper_array, _key_kind, _key_number, _key_text, _random_weights, _rename_key, _rope, _row_dims, _row_kind,
        _row_more, _row_name, _row_offset, _rows_gone, _rows_swapped, _scores, _special_ids, _splice, _split,
        _suppressed,
        _template, _text_length, _token_types, _tokenizer, _tokens, _version, _weights, _words,
    )
}  # fmt: skip
"""Every kind of change, by its name."""
