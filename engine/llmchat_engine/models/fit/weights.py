"""What the tensors of a model are for, and what they weigh: layers, experts, embedding, output.

Reads names and shapes of a header; knows no machine and no llama.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from llmchat_engine.models.gguf import Header
from llmchat_engine.models.gguf_layout import TENSOR_TYPES
from llmchat_engine.models.gguf_parse import Tensor

_EMBEDDING = b"token_embd.weight"
_OUTPUT = b"output.weight"
_LOOKED_UP = (_EMBEDDING, b"per_layer_token_embd.weight", b"position_embd.weight", b"token_types.weight")
"""Tables of which one row a token is read."""


def type_name(tensor: Tensor) -> str:
    """Returns the type of a tensor, as "Q4_K"; empty where only a newer llama.cpp may know it."""
    return TENSOR_TYPES[tensor.kind][0] if tensor.kind in TENSOR_TYPES else ""


def tensor_bytes(tensor: Tensor) -> int:
    """Returns the bytes of a tensor; a byte a value where its type is not known."""
    _, block, bytes_ = TENSOR_TYPES.get(tensor.kind, ("", 1, 1))
    return prod(tensor.dims) // block * bytes_


def is_tied(header: Header) -> bool:
    """Returns whether the embedding is the output matrix too."""
    return all(tensor.name != _OUTPUT for tensor in header.tensors)


def is_matrix(tensor: Tensor, header: Header) -> bool:
    """Returns whether a tensor is one that rows are multiplied with, not looked up in."""
    if tensor.name in _LOOKED_UP:
        return tensor.name == _EMBEDDING and is_tied(header)
    return len(tensor.dims) >= 2


def layer_of(tensor: Tensor) -> int | None:
    """Returns the number of the layer that a tensor belongs to; None where to none."""
    head, _, rest = tensor.name.partition(b".")
    number = rest.partition(b".")[0]
    return int(number) if head == b"blk" and number.isdigit() else None


def layer_bytes(header: Header) -> tuple[int, ...]:
    """Returns what each layer weighs, the experts of a mixture all counted."""
    found = [0] * header.block_count
    for tensor in header.tensors:
        number = layer_of(tensor)
        if number is not None and number < len(found):
            found[number] += tensor_bytes(tensor)
    return tuple(found)


def output_bytes(header: Header) -> int:
    """Returns what turns the last layer into logits; on a card it is there beside the embedding that it may be."""
    ends = (_OUTPUT, b"output_norm.weight", *((_EMBEDDING,) if is_tied(header) else ()))
    return sum(tensor_bytes(tensor) for tensor in header.tensors if tensor.name in ends)


def read_per_token(header: Header) -> Iterator[tuple[int | None, str, float]]:
    """Yields layer (None for none), type and bytes of everything that is read to write one token.

    Of a mixture those experts that are used; of a table that is looked up in, nothing to speak of.
    """
    count, used = (header.metadata.get(f"{header.architecture}.expert_{name}") for name in ("count", "used_count"))
    share = used / count if isinstance(count, int) and isinstance(used, int) and 0 < used <= count else 1.0
    for tensor in header.tensors:
        if tensor.name in _LOOKED_UP and not is_matrix(tensor, header):
            continue
        part = share if b"_exps." in tensor.name else 1.0
        yield layer_of(tensor), type_name(tensor), part * tensor_bytes(tensor)
