"""A GGUF file in parts that can be changed one by one, and put together whatever they say.

Knows the format alone: no rule, nothing of llmchat.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

U32, I32, F32, BOOL, STR, ARR, U64 = 4, 5, 6, 7, 8, 9, 10
FORMATS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    U32: "<I",
    I32: "<i",
    F32: "<f",
    BOOL: "<?",
    U64: "<Q",
    11: "<q",
    12: "<d",
}
_ALL_ONES = (1 << 64) - 1


@dataclass(slots=True)
class Array:
    """An array as it stands in a file; `length` lies about its items."""

    kind: int
    items: list[Any]
    length: int | None = None


@dataclass(slots=True)
class Key:
    """A key as it stands in a file."""

    name: bytes
    kind: int
    value: Any
    """A number, bytes or an Array."""
    length: int | None = None
    """Lies about the length of a text."""


@dataclass(slots=True)
class Row:
    """A tensor as it stands in a file."""

    name: bytes
    dims: list[int]
    kind: int
    offset: int


@dataclass(slots=True)
class Gguf:
    """A whole file."""

    keys: list[Key]
    rows: list[Row]
    data: bytearray
    version: int = 3
    n_keys: int | None = None
    n_rows: int | None = None
    more: list[Callable[[bytearray], None]] = field(default_factory=list)
    """What is done to the bytes at last."""

    def number_keys(self) -> list[Key]:
        return [key for key in self.keys if key.kind in FORMATS]

    def arrays(self) -> list[Key]:
        return [key for key in self.keys if isinstance(key.value, Array)]

    def array(self, name: bytes) -> Array | None:
        return next((key.value for key in self.arrays() if key.name == b"tokenizer.ggml." + name), None)

    def set(self, name: bytes, kind: int, value: Any) -> None:
        self.keys = [key for key in self.keys if key.name != name]
        self.keys.append(Key(name, kind, value))


def take_apart(raw: bytes) -> Gguf:
    """Returns the parts of a valid file with an alignment of 32."""
    version, n_rows, n_keys = struct.unpack_from("<IQQ", raw, 4)
    at = 24

    def number(form: str) -> Any:
        nonlocal at
        at += struct.calcsize(form)
        return struct.unpack_from(form, raw, at - struct.calcsize(form))[0]

    def text() -> bytes:
        nonlocal at
        length = number("<Q")
        at += length
        return raw[at - length : at]

    def value(kind: int) -> Any:
        if kind == ARR:
            inner, length = number("<I"), number("<Q")
            return Array(inner, [value(inner) for _ in range(length)])
        return text() if kind == STR else number(FORMATS[kind])

    def key() -> Key:
        name, kind = text(), number("<I")
        return Key(name, kind, value(kind))

    def row() -> Row:
        name = text()
        dims = [number("<Q") for _ in range(number("<I"))]
        return Row(name, dims, number("<I"), number("<Q"))

    keys = [key() for _ in range(n_keys)]
    rows = [row() for _ in range(n_rows)]
    return Gguf(keys, rows, bytearray(raw[-(-at // 32) * 32 :]), version)


def put_together(gguf: Gguf) -> bytes:
    """Returns the bytes of a file, whatever it says."""
    n_rows = len(gguf.rows) if gguf.n_rows is None else gguf.n_rows
    n_keys = len(gguf.keys) if gguf.n_keys is None else gguf.n_keys
    out = bytearray(b"GGUF" + struct.pack("<IQQ", gguf.version & 0xFFFFFFFF, n_rows & _ALL_ONES, n_keys & _ALL_ONES))
    for key in gguf.keys:
        out += _text(key.name) + struct.pack("<I", key.kind & 0xFFFFFFFF) + _value(key.kind, key.value, key.length)
    for row in gguf.rows:
        out += _text(row.name) + struct.pack(
            f"<I{len(row.dims)}Q", len(row.dims), *(dim & _ALL_ONES for dim in row.dims)
        )
        out += struct.pack("<IQ", row.kind & 0xFFFFFFFF, row.offset & _ALL_ONES)
    out += bytes(-len(out) % 32) + gguf.data
    for change in gguf.more:
        change(out)
    return bytes(out)


def _text(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


def _value(kind: int, value: Any, length: int | None = None) -> bytes:
    if isinstance(value, Array):
        count = len(value.items) if value.length is None else value.length
        body = b"".join(_value(value.kind, item) for item in value.items)
        return struct.pack("<IQ", value.kind, count & _ALL_ONES) + body
    if isinstance(value, bytes):
        return _text(value, length) if kind == STR else value[:8].ljust(8, b"\0")
    return _number(kind, value)


def _number(kind: int, value: float) -> bytes:
    if kind == STR:
        return _text(str(value).encode())
    form = FORMATS.get(kind, "<I")
    if form in ("<f", "<d"):
        try:
            return struct.pack(form, value)
        except OverflowError:
            return struct.pack(form, float("inf"))
    if form == "<?":
        return bytes([bool(value)])
    size = struct.calcsize(form)
    whole = int(value) if value == value and abs(value) != float("inf") else 0
    return (whole & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def copied(gguf: Gguf) -> Gguf:
    """Returns a copy that can be changed."""
    keys = [replace(key, value=_copied(key.value)) for key in gguf.keys]
    rows = [replace(row, dims=list(row.dims)) for row in gguf.rows]
    return Gguf(keys, rows, bytearray(gguf.data), gguf.version)


def _copied(value: Any) -> Any:
    return Array(value.kind, list(value.items), value.length) if isinstance(value, Array) else value
