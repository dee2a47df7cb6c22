"""GGUF bytes in, what they say out: keys, arrays and the table of tensors, in one pass over one buffer.

Knows no file, no path and nothing of what a sensible model looks like (gguf_rules.py does). It is on the way of every
start, so texts in long arrays are stepped over in tight loops: 100,000 of them must take some 20 ms. Where a hundred
files are listed they are not looked at one by one, but leapt over to the key behind them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from llmchat_engine.models.gguf_layout import ARRAY, NUMBER_FORMATS, STRING

Scalar = int | float | bool | str

MAX_COUNT = 65_536
"""Keys, and tensors. The largest models have some 3,000 tensors and 100 keys."""
MAX_ITEMS = 1 << 22
"""Items of one array. The largest vocabulary in use has 262,144 tokens and 515,000 merges."""
MAX_TEXT = 16 << 20
KEPT_ITEMS = 1024
"""Arrays up to this length are kept: one item per layer (at most 512) must fit."""
MAX_NAME = 63
"""GGML_MAX_NAME is 64 with its end mark."""
_NEXT_KEYS = (bytes(7) + b"tokenizer.", bytes(7) + b"general.")
"""How keys begin that stand behind the texts of a vocabulary, and seven of the eight bytes of their length."""
TOKENS = "tokenizer.ggml.tokens"

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_NUMBERS = {kind: struct.Struct(text) for kind, text in NUMBER_FORMATS.items()}


class Refused(Exception):
    """The file cannot be used; `why` says so in one sentence without its path."""

    def __init__(self, why: str, hint: str = "", what: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint
        self.what = what


class Short(Exception):
    """The buffer ended inside the header."""


@dataclass(frozen=True, slots=True)
class BigArray:
    """An array of which only type and length were kept."""

    kind: int
    length: int


Value = Scalar | tuple[Scalar, ...] | BigArray


class Tensor(NamedTuple):
    """One row of the table of tensors."""

    name: bytes
    dims: tuple[int, ...]
    kind: int
    offset: int


@dataclass(slots=True)
class Parsed:
    """Everything the header says, before any rule but those of the format."""

    version: int
    metadata: dict[str, Value] = field(default_factory=dict)
    arrays: dict[str, BigArray] = field(default_factory=dict)
    """Type and length of every array, the kept ones too."""
    tokens: list[bytes] | None = None
    tensors: list[Tensor] = field(default_factory=list)
    end: int = 0
    """Where the table of tensors ends."""


class _Cursor:
    """A place in the buffer. Every step raises Short rather than read past the end."""

    __slots__ = ("data", "leaps", "pos")

    def __init__(self, data: bytes, pos: int, leaps: bool) -> None:
        self.data = data
        self.pos = pos
        self.leaps = leaps

    def number(self, reader: struct.Struct) -> int | float | bool:
        start = self.pos
        self.skip(reader.size)
        value: int | float | bool = reader.unpack_from(self.data, start)[0]
        return value

    def u32(self) -> int:
        return int(self.number(_U32))

    def u64(self) -> int:
        return int(self.number(_U64))

    def skip(self, length: int) -> None:
        self.pos += length
        if self.pos > len(self.data):
            raise Short

    def text(self, limit: int, name: str) -> bytes:
        length = self.u64()
        if length > limit:
            raise Refused(f"its header is damaged: {name} is {length:,} bytes long, at most {limit:,} are allowed")
        start = self.pos
        self.skip(length)
        return self.data[start : self.pos]

    def texts(self, count: int) -> list[bytes]:
        data, pos, length_at = self.data, self.pos, _U64.unpack_from
        found: list[bytes] = []
        keep = found.append
        try:
            for _ in repeat(None, count):
                start = pos + 8
                pos = start + length_at(data, pos)[0]
                keep(data[start:pos])
        except (struct.error, OverflowError):
            raise Short from None
        self.pos = pos
        self.skip(0)
        return found

    def skip_texts(self, count: int) -> None:
        if self.leaps and self._leap(count):
            return
        data, pos, length_at = self.data, self.pos, _U64.unpack_from
        try:
            for _ in repeat(None, count):
                pos += length_at(data, pos)[0] + 8
        except (struct.error, OverflowError):
            raise Short from None
        self.pos = pos
        self.skip(0)

    def _leap(self, count: int) -> bool:
        """Goes to the next key behind so many texts; False where there is none that is known."""
        least = self.pos + 8 * count
        places = [place for start in _NEXT_KEYS if (place := self.data.find(start, least + 1)) >= 0]
        if places:
            self.pos = min(places) - 1
        return bool(places)


def parse(data: bytes, *, leaps: bool = False) -> Parsed:
    """Reads a header.

    Args:
        data: The file from its first byte on; it need not hold more than the header.
        leaps: Whether to go from the begin of a long array of texts to the next key that is known to come behind one.
            One text can mislead it, so the caller makes sure that the tensors then fill the file; no tokens are kept.

    Returns:
        What the header says.

    Raises:
        Short: `data` ends inside the header.
        Refused: The header breaks the format.
    """
    cursor = _Cursor(data, 4, leaps)
    parsed = Parsed(cursor.u32())
    n_tensors, n_keys = cursor.u64(), cursor.u64()
    for count, name in ((n_tensors, "tensors"), (n_keys, "keys")):
        if count > MAX_COUNT:
            raise Refused(f"its header is damaged: it promises {count:,} {name}, at most {MAX_COUNT:,} are allowed")
    for _ in range(n_keys):
        _read_key(cursor, parsed)
    parsed.tensors = [_read_tensor(cursor) for _ in range(n_tensors)]
    parsed.end = cursor.pos
    return parsed


def _read_key(cursor: _Cursor, parsed: Parsed) -> None:
    raw = cursor.text(65_535, "a key")
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        raise Refused("its header is damaged: a key is not UTF-8") from None
    if not key or key in parsed.metadata:
        raise Refused(f"its header is damaged: the key {key} is there twice" if key else "its header has an empty key")
    kind = cursor.u32()
    if kind == ARRAY:
        parsed.metadata[key] = _read_array(cursor, key, parsed)
    elif kind == STRING:
        parsed.metadata[key] = cursor.text(MAX_TEXT, key).decode(errors="replace")
    elif kind in _NUMBERS:
        parsed.metadata[key] = cursor.number(_NUMBERS[kind])
    else:
        raise Refused(f"its header is damaged: {key} has the unknown type {kind}")


def _read_array(cursor: _Cursor, key: str, parsed: Parsed) -> Value:
    kind, length = cursor.u32(), cursor.u64()
    if kind != STRING and kind not in _NUMBERS:
        raise Refused(f"its header is damaged: {key} is an array of the unknown type {kind}")
    if length > MAX_ITEMS:
        raise Refused(f"its header is damaged: {key} has {length:,} items, at most {MAX_ITEMS:,} are allowed")
    summary = parsed.arrays[key] = BigArray(kind, length)
    if key == TOKENS and kind == STRING and not (cursor.leaps and length > KEPT_ITEMS):
        parsed.tokens = cursor.texts(length)
        return summary
    if kind == STRING and length <= KEPT_ITEMS:
        return tuple(item.decode(errors="replace") for item in cursor.texts(length))
    if kind == STRING:
        cursor.skip_texts(length)
        return summary
    start = cursor.pos
    cursor.skip(length * _NUMBERS[kind].size)
    if length > KEPT_ITEMS:
        return summary
    return struct.unpack_from(f"<{length}{NUMBER_FORMATS[kind][1]}", cursor.data, start)


def _read_tensor(cursor: _Cursor) -> Tensor:
    name = cursor.text(MAX_NAME, "the name of a tensor")
    n_dims = cursor.u32()
    if not 1 <= n_dims <= 4:
        raise Refused(f"its header is damaged: the tensor {name.decode(errors='replace')} has {n_dims} dimensions")
    dims = tuple(cursor.u64() for _ in range(n_dims))
    return Tensor(name, dims, cursor.u32(), cursor.u64())
