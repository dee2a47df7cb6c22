"""Headers that contradict themselves: one small file per rule, written byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from llmchat_engine.errors import ModelUnreadable
from llmchat_engine.models.gguf import read_header

U32, I32, F32, BOOL, STR, ARR, U64 = 4, 5, 6, 7, 8, 9, 10
_FORMATS = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?", U64: "<Q"}
Item = int | float | str | bytes


class Array(NamedTuple):
    """An array as it stands in a file."""

    kind: int
    items: list[Item]
    length: int | None = None


class Row(NamedTuple):
    """A tensor as it stands in a file."""

    name: bytes
    dims: list[int]
    kind: int
    offset: int


class Draft:
    """A small valid model, to be spoilt before it is written."""

    def __init__(self) -> None:
        self.keys: list[tuple[bytes, int, Item | Array]] = [
            (b"general.architecture", STR, "llama"),
            (b"llama.block_count", U32, 1),
            (b"llama.context_length", U32, 128),
            (b"llama.embedding_length", U32, 8),
            (b"llama.attention.head_count", U32, 2),
            (b"llama.attention.head_count_kv", U32, 1),
            (b"tokenizer.ggml.tokens", ARR, Array(STR, ["a", "b", "c", "d"])),
            (b"tokenizer.ggml.scores", ARR, Array(F32, [0.0] * 4)),
            (b"tokenizer.ggml.token_type", ARR, Array(I32, [1] * 4)),
            (b"tokenizer.ggml.eos_token_id", U32, 1),
        ]
        self.rows = [Row(b"token_embd.weight", [8, 4], 0, 0), Row(b"output_norm.weight", [8], 0, 128)]
        self.n_keys: int | None = None
        self.n_tensors: int | None = None
        self.data = bytes(160)
        self.alignment = 32

    def set(self, key: str, kind: int, value: Item | Array) -> None:
        self.drop(key)
        self.keys.append((key.encode(), kind, value))

    def drop(self, key: str) -> None:
        self.keys = [row for row in self.keys if row[0] != key.encode()]

    def header(self) -> bytes:
        n_tensors = len(self.rows) if self.n_tensors is None else self.n_tensors
        n_keys = len(self.keys) if self.n_keys is None else self.n_keys
        out = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys)
        for key, kind, value in self.keys:
            out += _text(key) + struct.pack("<I", kind) + _value(kind, value)
        for row in self.rows:
            out += _text(row.name) + struct.pack(f"<I{len(row.dims)}Q", len(row.dims), *row.dims)
            out += struct.pack("<IQ", row.kind, row.offset)
        return out

    def write(self, path: Path) -> Path:
        header = self.header()
        path.write_bytes(header + bytes(-len(header) % self.alignment) + self.data)
        return path


def _text(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def _value(kind: int, value: Item | Array) -> bytes:
    if isinstance(value, Array):
        length = len(value.items) if value.length is None else value.length
        return struct.pack("<IQ", value.kind, length) + b"".join(_value(value.kind, item) for item in value.items)
    return _text(value) if isinstance(value, str | bytes) else struct.pack(_FORMATS.get(kind, "<I"), value)


def _set(key: str, kind: int, value: Item | Array) -> Callable[[Draft], None]:
    return lambda draft: draft.set(key, kind, value)


def _drop(key: str) -> Callable[[Draft], None]:
    return lambda draft: draft.drop(key)


def _row(index: int, **change: int | bytes | list[int]) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.rows[index] = draft.rows[index]._replace(**change)  # type: ignore[arg-type]

    return spoil


def _attr(name: str, value: int | bytes) -> Callable[[Draft], None]:
    return lambda draft: setattr(draft, name, value)


def _twice(draft: Draft) -> None:
    draft.keys.append(draft.keys[1])


def _no_rows(draft: Draft) -> None:
    draft.rows = []


TOKENS = "tokenizer.ggml.tokens"
SPOILT: dict[str, tuple[Callable[[Draft], None], str]] = {
    "too many keys": (_attr("n_keys", 65_537), "promises 65,537 keys"),
    "too many tensors": (_attr("n_tensors", 1 << 63), "tensors, at most 65,536"),
    "more keys than there are": (_attr("n_keys", 40), "header"),
    "no tensors": (_no_rows, "it holds no tensors"),
    "key twice": (_twice, "the key llama.block_count is there twice"),
    "empty key": (_set("", U32, 1), "empty key"),
    "key not utf-8": (lambda draft: draft.keys.append((b"\xff\xfe", U32, 1)), "a key is not UTF-8"),
    "key too long": (lambda draft: draft.keys.append((b"k" * 70_000, U32, 1)), "a key is 70,000 bytes long"),
    "unknown value type": (_set("x", 99, 1), "x has the unknown type 99"),
    "array of arrays": (_set("x", ARR, Array(ARR, [])), "x is an array of the unknown type 9"),
    "array too long": (_set("x", ARR, Array(U32, [], 1 << 40)), "x has 1,099,511,627,776 items"),
    "array longer than the file": (_set("x", ARR, Array(U64, [], 1 << 22)), "inside its header"),
    "texts longer than the file": (_set("x", ARR, Array(STR, [], 1 << 22)), "header"),
    "alignment no power of two": (_set("general.alignment", U32, 48), "the alignment is not a power of two"),
    "alignment too large": (_set("general.alignment", U32, 1 << 20), "the alignment is not a power of two"),
    "alignment a text": (_set("general.alignment", STR, "32"), "the alignment is not a power of two"),
    "no dimensions": (_row(0, dims=[]), "has 0 dimensions"),
    "five dimensions": (_row(0, dims=[8, 4, 1, 1, 1]), "has 5 dimensions"),
    "dimension zero": (_row(0, dims=[0, 4]), "has an impossible shape"),
    "dimension huge": (_row(0, dims=[1 << 33, 4]), "has an impossible shape"),
    "block size": (_row(0, kind=2), "is no whole number of Q4_0 blocks"),
    "offset gap": (_row(1, offset=160), "is not where the one before it ends"),
    "offset overlap": (_row(1, offset=96), "is not where the one before it ends"),
    "offset unaligned": (_row(1, offset=129), "is not where the one before it ends"),
    "tensor past the end": (_attr("data", bytes(100)), r"the file ends at [\d,]+ bytes, its header promises [\d,]+"),
    "name twice": (_row(1, name=b"token_embd.weight"), "two tensors have the same name"),
    "name too long": (_row(1, name=b"n" * 64), "the name of a tensor is 64 bytes long"),
    "no architecture": (_drop("general.architecture"), "it names no architecture"),
    "architecture a number": (_set("general.architecture", U32, 7), "it names no architecture"),
    "adapter": (_set("general.type", STR, "adapter"), "it is a LoRA adapter, not a language model by itself"),
    "mmproj": (_set("general.type", STR, "mmproj"), "it is an image or audio projector, not a language model"),
    "clip": (_set("general.architecture", STR, "clip"), "it is an image or audio projector, not a language model"),
    "imatrix": (_set("general.type", STR, "imatrix"), "it is an importance matrix"),
    "embedding model": (_set("general.architecture", STR, "nomic-bert"), "an embedding model .* cannot write text"),
    "no layers": (_set("llama.block_count", U32, 0), "llama.block_count is 0, allowed are 1 to 512"),
    "too many layers": (_set("llama.block_count", U32, 513), "llama.block_count is 513"),
    "layers missing": (_drop("llama.block_count"), "llama.block_count is missing"),
    "layers a float": (_set("llama.block_count", F32, 1.0), "llama.block_count is not a whole number"),
    "layers a bool": (_set("llama.block_count", BOOL, 1), "llama.block_count is not a whole number"),
    "context missing": (_drop("llama.context_length"), "llama.context_length is missing"),
    "context zero": (_set("llama.context_length", U32, 0), "llama.context_length is 0"),
    "width missing": (_drop("llama.embedding_length"), "llama.embedding_length is missing"),
    "width and heads": (_set("llama.attention.head_count", U32, 3), "a width of 8 cannot be shared by 3"),
    "heads and key heads": (_set("llama.attention.head_count_kv", U32, 3), "2 attention heads cannot share 3 key"),
    "too many heads": (_set("llama.attention.head_count", U32, 5000), "llama.attention.head_count is 5,000"),
    "heads per layer too few": (
        _set("llama.attention.head_count", ARR, Array(U32, [])),
        "does not have a number from 0 to 1,024 for each of 1 layers",
    ),
    "positions too wide": (_set("llama.rope.dimension_count", U32, 6), "positions take 6 values of a key that has 4"),
    "no vocabulary": (_drop(TOKENS), "it has no vocabulary"),
    "vocabulary of numbers": (_set(TOKENS, ARR, Array(U32, [1, 2, 3, 4])), "it has no vocabulary"),
    "equal tokens": (_set(TOKENS, ARR, Array(STR, ["a", "b", "a", "d"])), "two tokens of the vocabulary are the same"),
    "equal up to a nul": (_set(TOKENS, ARR, Array(STR, ["a", "b", "b\0c", "d"])), "two tokens of the vocabulary are"),
    "bytes without a token": (_set("tokenizer.ggml.model", STR, "llama"), "has no token for the byte 0x00"),
    "epsilon not a number": (_set("llama.attention.layer_norm_rms_epsilon", F32, float("nan")), "_epsilon is nan"),
    "epsilon negative": (_set("llama.attention.layer_norm_epsilon", F32, -1.0), r"_epsilon is -1\.0"),
    "window endless": (_set("llama.attention.sliding_window", U32, 1 << 31), "sliding_window is 2,147,483,648"),
    "scores too few": (_set("tokenizer.ggml.scores", ARR, Array(F32, [0.0])), "one item for each of 4 tokens"),
    "scores of another type": (_set("tokenizer.ggml.scores", ARR, Array(U32, [0] * 4)), "one item for each of 4"),
    "scores no array": (_set("tokenizer.ggml.scores", U32, 1), "one item for each of 4 tokens"),
    "types too many": (_set("tokenizer.ggml.token_type", ARR, Array(I32, [1] * 5)), "one item for each of 4 tokens"),
    "end token outside": (_set("tokenizer.ggml.eos_token_id", U32, 4), "eos_token_id is 4, allowed are 0 to 3"),
    "start token outside": (_set("tokenizer.ggml.bos_token_id", U32, 99), "bos_token_id is 99"),
    "embedding shape": (_set(TOKENS, ARR, Array(STR, ["a", "b", "c"])), "one item for each of 3 tokens"),
    "embedding rows": (_row(0, dims=[4, 8]), "the table of token embeddings is not 8 by 4"),
    "embedding missing": (_row(0, name=b"other.weight"), "the table of token embeddings is missing"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_rule_has_its_sentence(tmp_path: Path, name: str) -> None:
    spoil, sentence = SPOILT[name]
    draft = Draft()
    spoil(draft)
    with pytest.raises(ModelUnreadable, match=sentence):
        read_header(draft.write(tmp_path / "a.gguf"))


def test_the_draft_itself_is_valid(tmp_path: Path) -> None:
    assert read_header(Draft().write(tmp_path / "a.gguf")).n_vocab == 4


def test_empty_tokens_and_a_single_nul_are_no_fault(tmp_path: Path) -> None:
    draft = Draft()
    draft.set(TOKENS, ARR, Array(STR, ["a", "", "", "d\0"]))
    assert read_header(draft.write(tmp_path / "a.gguf")).n_vocab == 4


def test_no_start_token_is_no_fault(tmp_path: Path) -> None:
    draft = Draft()
    draft.set("tokenizer.ggml.bos_token_id", U32, (1 << 32) - 1)
    assert read_header(draft.write(tmp_path / "a.gguf")).n_vocab == 4


def test_unknown_tensor_type_is_left_to_llama_cpp(tmp_path: Path) -> None:
    draft = Draft()
    draft.rows.insert(1, Row(b"blk.0.new.weight", [8], 4711, 128))
    draft.rows[2] = draft.rows[2]._replace(offset=64 + 128)
    draft.data = bytes(256)
    assert read_header(draft.write(tmp_path / "a.gguf")).n_tensors == 3


def test_heads_may_differ_from_layer_to_layer(tmp_path: Path) -> None:
    draft = Draft()
    draft.set("llama.block_count", U32, 3)
    draft.set("llama.attention.head_count", ARR, Array(U32, [2, 0, 4]))
    draft.set("llama.attention.head_count_kv", ARR, Array(I32, [1, 0, 2]))
    header = read_header(draft.write(tmp_path / "a.gguf"))
    assert (header.head_count, header.head_count_kv, header.key_length) == ((2, 0, 4), (1, 0, 2), 4)


def test_quantization_is_the_type_of_most_weights_where_the_header_does_not_say(tmp_path: Path) -> None:
    draft = Draft()
    draft.rows[0] = draft.rows[0]._replace(kind=1)
    draft.rows[1] = draft.rows[1]._replace(offset=64)
    assert read_header(draft.write(tmp_path / "a.gguf")).quantization == "F16"
