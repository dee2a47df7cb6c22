"""The bytes of one file: packing them, and checking every one of them before any is handed out.

    magic 8 | u32 header length | u32 crc32 of the header | header (JSON) | ids (int32) | state | checkpoints

Knows no directories, names or budgets, and nothing of what a state means.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from llmchat_engine.kvstore.values import ID_BYTES, Checkpoint, Stored

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"LLMKV\x01\r\n"
VERSION = 1
CHUNK = 4 << 20
MAX_HEADER = 1 << 20
_FIXED = struct.Struct("<8sII")
_FIRST_READ = 32 << 10
"""Header and ids of 7,000 tokens in one call."""
_THREADS = 4

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]


class Damaged(Exception):
    """The file is not what a store wrote; the message says why."""


class Header(msgspec.Struct, frozen=True):
    """What a file says of itself."""

    version: int
    key: str
    chat: str
    """The hash of the chat's name; empty in a shared file."""
    model: str
    tokens: Count
    grid: Count
    state: Count
    """Bytes of the state."""
    checkpoints: list[tuple[Count, Count]]
    """Length in tokens and bytes of each, ascending."""
    ids_crc: Count
    chunk_crcs: list[Count]
    """Of each 4 MiB of the state, then of each checkpoint."""
    prefill_seconds: float
    created: float
    shared: bool

    def parts(self) -> list[int]:
        """Returns the bytes of the state and of each checkpoint."""
        return [self.state, *(size for _, size in self.checkpoints)]


class Head(NamedTuple):
    """The front of a file, checked: all but the payload."""

    header: Header
    packed: bytes
    """The ids."""
    begin: int
    """Where the payload begins."""
    size: int


class Origin(NamedTuple):
    """Whose state a file is to hold."""

    key: str
    chat: str
    model: str
    grid: int
    prefill_seconds: float
    created: float
    shared: bool


def pack(origin: Origin, packed: bytes, state: Buffer, checkpoints: Sequence[Checkpoint]) -> list[memoryview]:
    """Returns the bytes of a file, in pieces of at most 4 MiB that are copied from nowhere."""
    ordered = sorted(checkpoints, key=lambda checkpoint: checkpoint.length)
    parts = [memoryview(part).cast("B") for part in (state, *(checkpoint.data for checkpoint in ordered))]
    sizes = [part.nbytes for part in parts]
    whole = list(zip(parts, sizes, strict=True))
    chunks = [part[at : at + CHUNK] for part, size in whole for at in range(0, size, CHUNK)]
    header = Header(
        version=VERSION,
        key=origin.key,
        chat=origin.chat,
        model=origin.model,
        tokens=len(packed) // ID_BYTES,
        grid=origin.grid,
        state=sizes[0],
        checkpoints=[(found.length, size) for found, size in zip(ordered, sizes[1:], strict=True)],
        ids_crc=zlib.crc32(packed),
        chunk_crcs=[zlib.crc32(chunk) for chunk in chunks],
        prefill_seconds=origin.prefill_seconds,
        created=origin.created,
        shared=origin.shared,
    )
    return [memoryview(write_header(header)), memoryview(packed), *chunks]


def write_header(header: Header) -> bytes:
    """Returns everything that stands before the ids."""
    text = msgspec.json.encode(header)
    return _FIXED.pack(MAGIC, len(text), zlib.crc32(text)) + text


def read_head(descriptor: int) -> Head:
    """Reads and checks all but the payload of an open file.

    Raises:
        Damaged: a checksum is wrong, or a length is.
        OSError: it cannot be read.
    """
    size = os.fstat(descriptor).st_size
    first = os.pread(descriptor, _FIRST_READ, 0)
    if len(first) < _FIXED.size:
        raise Damaged("it is too short")
    magic, length, crc = _FIXED.unpack_from(first)
    if magic != MAGIC:
        raise Damaged("it begins otherwise")
    if length > min(MAX_HEADER, size - _FIXED.size):
        raise Damaged("its header ends behind the file")
    header = _decode(_piece(descriptor, first, _FIXED.size, length), crc)
    begin = _FIXED.size + length + header.tokens * ID_BYTES
    if begin + sum(header.parts()) != size:
        raise Damaged("its length is not what its header says")
    packed = _piece(descriptor, first, _FIXED.size + length, header.tokens * ID_BYTES)
    if zlib.crc32(packed) != header.ids_crc:
        raise Damaged("the checksum of its ids is wrong")
    return Head(header, packed, begin, size)


def _decode(text: bytes, crc: int) -> Header:
    if zlib.crc32(text) != crc:
        raise Damaged("the checksum of its header is wrong")
    try:
        header = msgspec.json.decode(text, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged("its header cannot be read") from error
    if header.version != VERSION:
        raise Damaged(f"it has version {header.version}")
    lengths = [length for length, _ in header.checkpoints]
    if lengths != sorted(set(lengths)) or any(length > header.tokens for length in lengths):
        raise Damaged("its checkpoints are out of order")
    if len(header.chunk_crcs) != sum(-(-size // CHUNK) for size in header.parts()):
        raise Damaged("its checksums are incomplete")
    return header


def _piece(descriptor: int, first: bytes, begin: int, length: int) -> bytes:
    """Returns a stretch of the file, from what was read already where that holds it."""
    found = first[begin : begin + length]
    if len(found) < length:
        found = os.pread(descriptor, length, begin)
    if len(found) < length:
        raise Damaged("it ends too early")
    return found


def _spans(parts: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Returns begin and end of every chunk of a payload; each part begins a new one."""
    begin = 0
    for size in parts:
        for at in range(0, size, CHUNK):
            yield begin + at, begin + min(size, at + CHUNK)
        begin += size


def read_payload(descriptor: int, head: Head) -> Stored:
    """Reads and checks the rest of an open file.

    Raises:
        Damaged: a checksum is wrong.
        OSError: it cannot be read.
        MemoryError: there is no room for it.
    """
    header = head.header
    view = _room(head.size - head.begin)
    chunks = list(zip(_spans(header.parts()), header.chunk_crcs, strict=True))

    def whole(number: int) -> bool:
        (begin, end), crc = chunks[number]
        piece = view[begin:end]
        return _fill(descriptor, piece, head.begin + begin) and zlib.crc32(piece) == crc

    if not _all(whole, len(chunks)):
        raise Damaged("the checksum of its state is wrong")
    checkpoints, begin = [], header.state
    for length, size in header.checkpoints:
        checkpoints.append(Checkpoint(length, view[begin : begin + size]))
        begin += size
    return Stored(array("i", head.packed), header.grid, view[: header.state], tuple(checkpoints))


def _room(size: int) -> memoryview:
    """Returns that many bytes of memory which nobody else sees."""
    if size == 0:
        return memoryview(bytearray())
    # Not a bytearray, which writes zeros first (69 MB, read and checked: 34 ms; this way 18), and not the file mapped,
    # which kills the process where somebody cuts the file.
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON))
    except OSError as error:
        raise MemoryError(f"no room for {size:,} bytes") from error


def _fill(descriptor: int, piece: memoryview, begin: int) -> bool:
    """Reads a whole stretch of the file; False where it ends before, or the disk cannot read it."""
    done = 0
    while done < piece.nbytes:
        try:
            count = os.preadv(descriptor, [piece[done:]], begin + done)
        except OSError:
            return False
        if count == 0:
            return False
        done += count
    return True


def _all(check: Callable[[int], bool], count: int) -> bool:
    """Tells whether a check that raises nothing holds for all numbers; several threads ask."""
    failed = threading.Event()
    numbers = iter(range(count))  # shared: its next() is one step of the interpreter

    def work() -> None:
        for number in numbers:
            if failed.is_set() or not check(number):
                failed.set()
                return

    # Not concurrent.futures: importing it takes the first load 20 ms, more than the load.
    helpers = [threading.Thread(target=work) for _ in range(min(_THREADS, count) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    return not failed.is_set()
