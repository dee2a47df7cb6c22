"""What a header must keep to before llama.cpp may see the file. Each rule is one known crash or one clear sentence.

llama.cpp aborts its process on some of these (two equal tokens are enough) and says "failed to load" to the rest. The
process that loads the model is the safety border; these rules are for good sentences and for the crashes we know.
Works on what gguf_parse.py read; knows no file and no path.
"""

from __future__ import annotations

from math import inf, prod

from llmchat_engine.models.gguf_layout import (
    EMBEDDING_ARCHITECTURES,
    FLOAT32,
    INT32,
    NOT_LANGUAGE_MODELS,
    STRING,
    TENSOR_TYPES,
)
from llmchat_engine.models.gguf_parse import TOKENS, Parsed, Refused, Tensor, Value

AGAIN = "download it again"
MAX_LAYERS = 512
"""LLAMA_MAX_LAYERS; block_count above it wrote past an array before llama.cpp checked it."""
MAX_DIM = 1 << 32
MAX_CONTEXT = 1 << 26
_NO_TOKEN = (-1, (1 << 32) - 1)
"""How a header says that there is no such token."""
_ALIGNMENTS = frozenset(1 << n for n in range(3, 13))


def damaged(why: str) -> Refused:
    """Returns the refusal of a file whose header contradicts itself."""
    return Refused(f"its header is damaged: {why}", AGAIN)


def check_kind(parsed: Parsed) -> str:
    """Refuses files that are GGUF but not a language model.

    Args:
        parsed: The header as read.

    Returns:
        The architecture.

    Raises:
        Refused: It is an adapter, a projector, an embedding model or has no architecture.
    """
    arch = parsed.metadata.get("general.architecture")
    for mark in (parsed.metadata.get("general.type"), arch):
        if isinstance(mark, str) and mark in NOT_LANGUAGE_MODELS:
            raise Refused(f"it is {NOT_LANGUAGE_MODELS[mark]}, not a language model by itself", "name the model's file")
    if not isinstance(arch, str) or not arch:
        raise damaged("it names no architecture")
    if arch in EMBEDDING_ARCHITECTURES:
        raise Refused(f"it is an embedding model ({arch}), it cannot write text", "choose a chat model with -m")
    return arch


def check_tensors(parsed: Parsed, size: int) -> tuple[int, int]:
    """Checks that every tensor lies where it should, inside the file.

    Args:
        parsed: The header as read.
        size: Bytes of the file.

    Returns:
        Where the tensors begin, and how many bytes they take.

    Raises:
        Refused: The table contradicts itself, or the file ends too early.
    """
    if not parsed.tensors:
        raise Refused("it holds no tensors, only a header", "name the file with the weights")
    if len({tensor.name for tensor in parsed.tensors}) != len(parsed.tensors):
        raise damaged("two tensors have the same name")
    alignment = _alignment(parsed.metadata.get("general.alignment", 32))
    start = _pad(parsed.end, alignment)
    end: int | None = 0
    last = 0
    for tensor in parsed.tensors:
        if tensor.offset % alignment or (end is not None and tensor.offset != _pad(end, alignment)):
            raise damaged(f"the tensor {_name(tensor)} is not where the one before it ends")
        bytes_ = _tensor_bytes(tensor)
        last = max(last, tensor.offset + (bytes_ or 0))
        end = None if bytes_ is None else tensor.offset + bytes_
    if start + last > size:
        why = f"the file ends at {size:,} bytes, its header promises {start + last:,}"
        raise Refused(why, AGAIN, what="incomplete")
    return start, last


def _alignment(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _ALIGNMENTS:
        raise damaged("the alignment is not a power of two from 8 to 4,096")
    return value


def _tensor_bytes(tensor: Tensor) -> int | None:
    """Returns the size of a tensor, None where its type is one that only a newer llama.cpp may know."""
    if not all(1 <= dim <= MAX_DIM for dim in tensor.dims):
        raise damaged(f"the tensor {_name(tensor)} has an impossible shape")
    if tensor.kind not in TENSOR_TYPES:
        return None
    kind, block, bytes_ = TENSOR_TYPES[tensor.kind]
    if tensor.dims[0] % block:
        raise damaged(f"a row of the tensor {_name(tensor)} is no whole number of {kind} blocks")
    return prod(tensor.dims) // block * bytes_


def _pad(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _name(tensor: Tensor) -> str:
    return tensor.name.decode(errors="replace")


def number(parsed: Parsed, key: str, low: int, high: int, default: int | None = None) -> int:
    """Returns a whole number of the header.

    Args:
        parsed: The header as read.
        key: Its name.
        low: The smallest value allowed.
        high: The largest value allowed.
        default: What stands for a missing key; None makes the key required.

    Returns:
        The value.

    Raises:
        Refused: It is missing, not a whole number or out of range.
    """
    value = parsed.metadata.get(key, default)
    if value is None:
        raise damaged(f"{key} is missing")
    if isinstance(value, bool) or not isinstance(value, int):
        raise damaged(f"{key} is not a whole number")
    if not low <= value <= high:
        raise damaged(f"{key} is {value:,}, allowed are {low:,} to {high:,}")
    return value


def per_layer(parsed: Parsed, key: str, layers: int, high: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """Returns a number that may differ from layer to layer.

    Args:
        parsed: The header as read.
        key: Its name.
        layers: How many layers there are.
        high: The largest value allowed; the smallest is 0 (a layer without attention).
        default: What stands for a missing key.

    Returns:
        One value per layer.

    Raises:
        Refused: Too few items, or one that is not a whole number in range.
    """
    value = parsed.metadata.get(key)
    if value is None:
        return default
    if not isinstance(value, tuple):
        return (number(parsed, key, 0, high),) * layers
    items = tuple(item for item in value[:layers] if isinstance(item, int) and 0 <= item <= high)
    if len(items) != layers:
        raise damaged(f"{key} does not have a number from 0 to {high:,} for each of {layers} layers")
    return items


def check_heads(heads: tuple[int, ...], kv_heads: tuple[int, ...], embedding: int, key_length: int, rope: int) -> None:
    """Checks that the attention heads divide what they share.

    Args:
        heads: Query heads per layer; 0 where a layer has no attention.
        kv_heads: Key and value heads per layer.
        embedding: Width of the model.
        key_length: Values in one key; 0 where the header leaves it to `embedding` / heads.
        rope: Values in a key that carry the position.

    Raises:
        Refused: They do not.
    """
    for query, shared in zip(heads, kv_heads, strict=True):
        if shared and query % shared:
            raise damaged(f"{query} attention heads cannot share {shared} key heads")
    first = next((query for query in heads if query), 0)
    if first and not key_length and embedding % first:
        raise damaged(f"a width of {embedding:,} cannot be shared by {first} attention heads")
    width = key_length or (embedding // first if first else embedding)
    if rope > width:
        raise damaged(f"positions take {rope} values of a key that has {width}")


def check_vocabulary(parsed: Parsed, embedding: int, split: bool) -> int:
    """Checks tokens, their scores and types, the special ids and the embedding table.

    Args:
        parsed: The header as read.
        embedding: Width of the model.
        split: True where other parts of the model may hold the embedding table.

    Returns:
        The number of tokens.

    Raises:
        Refused: Two are equal, a byte has none, or something does not have one item per token.
    """
    count = _check_tokens(parsed)
    for key, kind in (("tokenizer.ggml.scores", FLOAT32), ("tokenizer.ggml.token_type", INT32)):
        array = parsed.arrays.get(key)
        if key in parsed.metadata and (array is None or array.kind != kind or array.length != count):
            raise damaged(f"{key} does not have one item for each of {count:,} tokens")
    for name in ("bos", "eos", "eot"):
        key = f"tokenizer.ggml.{name}_token_id"
        if parsed.metadata.get(key) not in _NO_TOKEN:
            number(parsed, key, 0, count - 1, default=0)
    table = next((tensor.dims for tensor in parsed.tensors if tensor.name == b"token_embd.weight"), None)
    if table is None and not split:
        raise damaged("the table of token embeddings is missing")
    if table is not None and (*table, 1)[:2] != (embedding, count):
        raise damaged(f"the table of token embeddings is not {embedding:,} by {count:,}")
    return count


def _check_tokens(parsed: Parsed) -> int:
    """Returns the number of tokens; what they are is checked where they were read."""
    array, tokens = parsed.arrays.get(TOKENS), parsed.tokens
    if array is None or array.kind != STRING or not array.length:
        raise Refused("it has no vocabulary, so it can neither read nor write text")
    if tokens is None:
        return array.length
    known = set(tokens)
    if (len(known) != len(tokens) or b"\0" in b"\1".join(tokens)) and _same_twice(tokens):
        raise damaged("two tokens of the vocabulary are the same text")
    if parsed.metadata.get("tokenizer.ggml.model") == "llama":
        _check_bytes(known)
    return len(tokens)


def _same_twice(tokens: list[bytes]) -> bool:
    """Tells whether llama.cpp would see one text twice: it ends a text at a NUL, and gives each empty one a name."""
    texts = [text for token in tokens if (text := token.partition(b"\0")[0])]
    return len(set(texts)) != len(texts)


def _check_bytes(tokens: set[bytes]) -> None:
    """Refuses a SentencePiece vocabulary without a token for each byte: other text ends llama.cpp's process."""
    for byte in range(256):
        if b"<0x%02X>" % byte not in tokens and bytes((byte,)) not in tokens:
            raise damaged(f"the vocabulary has no token for the byte {byte:#04x}")


def check_epsilons(parsed: Parsed) -> None:
    """Checks the numbers that end llama.cpp's process at the first decode.

    Args:
        parsed: The header as read.

    Raises:
        Refused: An epsilon is negative or not finite.
    """
    for key, value in parsed.metadata.items():
        if key.endswith("_epsilon") and isinstance(value, float) and not 0 <= value < inf:
            raise damaged(f"{key} is {value}")
