"""A GGUF file's header, read and checked in pure Python before llama.cpp sees the file.

One bounded read and one pass: it runs on the way of every start. Knows neither llama.cpp nor numpy. The bytes are read
by gguf_parse.py, the rules are in gguf_rules.py and gguf_asserts.py, files of other formats are named by gguf_open.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from llmchat_engine.errors import ModelMissing, ModelUnreadable
from llmchat_engine.models import gguf_rules as rules
from llmchat_engine.models.gguf_asserts import check_asserted
from llmchat_engine.models.gguf_layout import FILE_TYPES, TENSOR_TYPES
from llmchat_engine.models.gguf_open import open_model, refuse_foreign
from llmchat_engine.models.gguf_parse import Parsed, Refused, Short, Tensor, Value, parse

_READS = (4 << 20, 32 << 20, 256 << 20)
"""Header bytes tried in turn: 49,000 tokens and merges take 1.7 MiB, 152,000 take 6 MiB, the largest some 16 MiB."""
_FIRST_READ = (2 << 20,)
"""Where a hundred files are skimmed, each MiB less counts 0.3 ms."""
_MIB = 1 << 20
_PART = re.compile(r"^(?P<stem>.*)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class TensorType:
    """How much of a model is kept in one type."""

    name: str
    """As "Q4_K"."""
    tensors: int
    params: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a usable model file says about itself."""

    version: int
    architecture: str
    metadata: Mapping[str, Value]
    """Every key; arrays over 1,024 items only as type and length."""
    name: str
    quantization: str
    file_size: int
    """Bytes of all parts."""
    header_bytes: int
    """Where the tensors begin."""
    tensor_bytes: int
    """Bytes of the tensors, padding between them included; the file's own where there are several parts."""
    n_tensors: int
    n_params: int
    n_vocab: int
    context_length: int
    block_count: int
    embedding_length: int
    head_count: tuple[int, ...]
    """One per layer, as the next one; 0 where a layer has no attention."""
    head_count_kv: tuple[int, ...]
    key_length: int
    value_length: int
    sliding_window: int
    """0 where every layer sees everything."""
    has_template: bool
    parts: tuple[Path, ...]
    """The files of a split model, the first one first; else the one file."""
    tensor_types: tuple[TensorType, ...]
    """The one with most parameters first."""
    tensors: tuple[Tensor, ...]
    """The table of tensors, of a split model those of all parts."""


def read_header(path: Path) -> Header:
    """Reads and checks the header of a model file.

    Args:
        path: The file, of a split model its first part.

    Returns:
        The header.

    Raises:
        ModelMissing: There is no such file or part, or this user may not read it.
        ModelUnreadable: It is not a language model that llama.cpp can load; the sentence says what it is.
    """
    return _header_at(path, _READS, leaps=False)


def skim_header(path: Path) -> Header:
    """Reads a header without looking at each token: for lists, in 4 ms where `read_header` takes 25.

    Args:
        path: The file, of a split model its first part.

    Returns:
        The header, as `read_header` returns it. A file whose tokens break a rule is not found out.

    Raises:
        ModelMissing: There is no such file or part, or this user may not read it.
        ModelUnreadable: It is not a language model that llama.cpp can load; the sentence says what it is.
    """
    try:
        return _header_at(path, _FIRST_READ + _READS, leaps=True)
    except ModelUnreadable:
        return _header_at(path, _READS, leaps=False)  # a leap may have gone too far


def _header_at(path: Path, reads: tuple[int, ...], leaps: bool) -> Header:
    with open_model(path) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            parsed = _parse(descriptor, size, reads, leaps)
            return _header(parsed, path, size)
        except Refused as refused:
            what = f"the model {path} is incomplete" if refused.what else f"cannot load the model {path}"
            raise ModelUnreadable(what, refused.why, refused.hint) from None
        except OSError as error:
            raise ModelUnreadable(f"cannot load the model {path}", f"reading failed: {error.strerror}") from error


def model_key(path: Path, header: Header) -> str:
    """Returns the identity of a model: token ids and cached sequences belong to one key.

    Args:
        path: The file, of a split model its first part.
        header: Its header.

    Returns:
        SHA-256 (hex) of the size, the header and the last MiB. The whole file would take a second per gigabyte.

    Raises:
        ModelMissing: The file is gone.
        ModelUnreadable: It became something else.
    """
    from hashlib import sha256

    digest = sha256(header.file_size.to_bytes(8, "little"))
    with open_model(path) as descriptor:
        digest.update(_read(descriptor, header.header_bytes, 0))
    with open_model(header.parts[-1]) as descriptor:
        end = os.fstat(descriptor).st_size
        digest.update(_read(descriptor, _MIB, max(0, end - _MIB)))
    return digest.hexdigest()


def _parse(descriptor: int, size: int, reads: tuple[int, ...] = _READS, leaps: bool = False) -> Parsed:
    """Reads as much as the header needs; nearly always one read."""
    for limit in reads:
        data = _read(descriptor, min(limit, size), 0)
        refuse_foreign(data[:512])
        try:
            return parse(data, leaps=leaps)
        except Short:
            if len(data) < limit:
                break
    if size > _READS[-1]:
        raise Refused(f"its header is damaged: it does not end within {_READS[-1]:,} bytes", rules.AGAIN)
    raise Refused(f"the file ends at {size:,} bytes, inside its header", rules.AGAIN, what="incomplete")


def _read(descriptor: int, length: int, offset: int) -> bytes:
    """Reads up to `length` bytes; less only at the end of the file."""
    data = os.pread(descriptor, length, offset)
    while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
        data += more
    return data


def _header(parsed: Parsed, path: Path, size: int) -> Header:
    arch = rules.check_kind(parsed)
    parts, tensors = _parts(parsed, path)
    header_bytes, tensor_bytes = rules.check_tensors(parsed, size)
    layers = rules.number(parsed, f"{arch}.block_count", 1, rules.MAX_LAYERS)
    embedding = rules.number(parsed, f"{arch}.embedding_length", 1, 1 << 17)
    heads, kv_heads, key_length, value_length = _attention(parsed, arch, layers, embedding)
    rules.check_epsilons(parsed)
    check_asserted(parsed, arch, layers, header_bytes)
    return Header(
        version=parsed.version,
        architecture=arch,
        metadata=parsed.metadata,
        name=_text(parsed, "general.name") or path.stem,
        quantization=_quantization(parsed),
        file_size=size if len(parts) == 1 else sum(part.stat().st_size for part in parts),
        header_bytes=header_bytes,
        tensor_bytes=tensor_bytes,
        n_tensors=len(tensors),
        n_params=sum(prod(tensor.dims) for tensor in tensors),
        n_vocab=rules.check_vocabulary(parsed, embedding, len(parts) > 1),
        context_length=rules.number(parsed, f"{arch}.context_length", 1, rules.MAX_CONTEXT),
        block_count=layers,
        embedding_length=embedding,
        head_count=heads,
        head_count_kv=kv_heads,
        key_length=key_length,
        value_length=value_length,
        sliding_window=rules.number(parsed, f"{arch}.attention.sliding_window", 0, rules.MAX_CONTEXT, default=0),
        has_template=bool(_text(parsed, "tokenizer.chat_template")),
        parts=parts,
        tensor_types=_tensor_types(tensors),
        tensors=tensors,
    )


def _attention(
    parsed: Parsed, arch: str, layers: int, embedding: int
) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """Returns the heads and key-value heads of each layer, and the widths of one key and one value."""
    prefix = f"{arch}.attention."
    heads = rules.per_layer(parsed, f"{prefix}head_count", layers, 1024, default=(0,) * layers)
    kv_heads = rules.per_layer(parsed, f"{prefix}head_count_kv", layers, 1024, default=heads)
    key_length = rules.number(parsed, f"{prefix}key_length", 0, 1 << 16, default=0)
    rope = rules.number(parsed, f"{arch}.rope.dimension_count", 0, 1 << 16, default=0)
    rules.check_heads(heads, kv_heads, embedding, key_length, rope)
    width = embedding // next((count for count in heads if count), embedding)
    value_length = rules.number(parsed, f"{prefix}value_length", 0, 1 << 16, default=0)
    return heads, kv_heads, key_length or width, value_length or width


def _text(parsed: Parsed, key: str) -> str:
    value = parsed.metadata.get(key)
    return value if isinstance(value, str) else ""


def _quantization(parsed: Parsed) -> str:
    """Returns the name of the quantisation: what the header says, else the type most of the weights have."""
    said = parsed.metadata.get("general.file_type")
    if isinstance(said, int) and said & ~1024 in FILE_TYPES:
        return FILE_TYPES[said & ~1024]
    return _tensor_types(parsed.tensors)[0].name


def _tensor_types(tensors: Sequence[Tensor]) -> tuple[TensorType, ...]:
    """Returns the types of the tensors, the one with most parameters first."""
    counts: dict[int, tuple[int, int]] = {}
    for tensor in tensors:
        count, params = counts.get(tensor.kind, (0, 0))
        counts[tensor.kind] = count + 1, params + prod(tensor.dims)
    found = sorted(counts.items(), key=lambda item: -item[1][1])
    return tuple(TensorType(_type_name(kind), *counted) for kind, counted in found)


def _type_name(kind: int) -> str:
    return TENSOR_TYPES[kind][0] if kind in TENSOR_TYPES else f"type {kind}"


def _parts(parsed: Parsed, path: Path) -> tuple[tuple[Path, ...], tuple[Tensor, ...]]:
    """Returns the files of the model and their tensors; refuses a later part, and a model with a part missing."""
    count = rules.number(parsed, "split.count", 0, 99_999, default=0)
    position = rules.number(parsed, "split.no", 0, 99_999, default=0)
    if count <= 1:
        return (path,), tuple(parsed.tensors)
    match = _PART.match(path.name)
    if match is None or int(match["parts"]) != count:
        why = f"it is part {position + 1} of {count}, and its name is not the one that the parts are found by"
        raise Refused(why, f"give it its first name back: NAME-{position + 1:05}-of-{count:05}.gguf")
    parts = tuple(path.with_name(f"{match['stem']}-{n + 1:05}-of-{count:05}.gguf") for n in range(count))
    if position or path != parts[0]:
        raise Refused(f"it is part {position + 1} of {count} of a split model", f"name the first part: {parts[0]}")
    tensors = [*parsed.tensors]
    for n, part in enumerate(parts[1:], 2):
        if not part.is_file():
            what, why = f"the model {path} is incomplete", f"part {n} of {count} is missing: {part.name}"
            raise ModelMissing(what, why, f"download it into {path.parent}")
        tensors += _tensors_of_part(part, n)
    return parts, tuple(tensors)


def _tensors_of_part(part: Path, position: int) -> list[Tensor]:
    """Returns the table of a later part; refuses one that is cut off or is something else."""
    with open_model(part) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            parsed = _parse(descriptor, size)
            rules.check_tensors(parsed, size)
        except Refused as refused:
            raise Refused(f"part {position}: {refused.why}", refused.hint, refused.what) from None
    return parsed.tensors
