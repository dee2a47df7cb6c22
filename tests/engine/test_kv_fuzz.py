"""Damaged files of the disk store: whatever was done to a file, it is refused, or it is what was saved.

2,000 of them with LLMCHAT_TEST_MUTATIONS=2000.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.engine.kv_rig import FRONT, GRID, KEY, OTHER_KEY, Shelf, kv_random, state_of, with_header

from llmchat_engine.kvstore import Checkpoint, Stored

COUNT = int(os.environ.get("LLMCHAT_TEST_MUTATIONS", "200"))
CHUNK = 4096
IDS = list(range(1000, 1300))
STATE = state_of(IDS, 9 * CHUNK + 77)
CHECKPOINTS = (Checkpoint(100, state_of(IDS[:100], CHUNK + 9)), Checkpoint(200, state_of(IDS[:200], 300)))


class Sample(NamedTuple):
    """A whole file, a second of the same chat, one of another model, and what they are made of."""

    whole: bytes
    sibling: bytes
    foreign: bytes
    payload: int


Mutation = Callable[[Sample, random.Random], bytes]


def flipped(sample: Sample, begin: int, end: int, numbers: random.Random) -> bytes:
    data = bytearray(sample.whole)
    for _ in range(numbers.randint(1, 3)):
        data[numbers.randrange(begin, end)] ^= 1 << numbers.randrange(8)
    return bytes(data)


def flip_front(sample: Sample, numbers: random.Random) -> bytes:
    return flipped(sample, 0, FRONT.size, numbers)


def flip_header(sample: Sample, numbers: random.Random) -> bytes:
    return flipped(sample, FRONT.size, sample.payload - 4 * len(IDS), numbers)


def flip_ids(sample: Sample, numbers: random.Random) -> bytes:
    return flipped(sample, sample.payload - 4 * len(IDS), sample.payload, numbers)


def flip_state(sample: Sample, numbers: random.Random) -> bytes:
    return flipped(sample, sample.payload, sample.payload + len(STATE), numbers)


def flip_checkpoint(sample: Sample, numbers: random.Random) -> bytes:
    return flipped(sample, sample.payload + len(STATE), len(sample.whole), numbers)


def cut(sample: Sample, numbers: random.Random) -> bytes:
    return sample.whole[: numbers.randrange(len(sample.whole))]


def append(sample: Sample, numbers: random.Random) -> bytes:
    return sample.whole + numbers.choice([b"\0", b"\n", sample.whole, numbers.randbytes(CHUNK)])


def swap_chunks(sample: Sample, numbers: random.Random) -> bytes:
    data, begin = bytearray(sample.whole), sample.payload
    one, two = (begin + CHUNK * chunk for chunk in numbers.sample(range(9), 2))
    data[one : one + CHUNK], data[two : two + CHUNK] = data[two : two + CHUNK], data[one : one + CHUNK]
    return bytes(data)


def copy_within(sample: Sample, numbers: random.Random) -> bytes:
    data, length = bytearray(sample.whole), numbers.randrange(1, CHUNK)
    source, target = (numbers.randrange(len(data) - length) for _ in range(2))
    data[target : target + length] = data[source : source + length]
    return bytes(data)


def zero_tail(sample: Sample, numbers: random.Random) -> bytes:
    keep = numbers.randrange(len(sample.whole))
    return sample.whole[:keep] + bytes(len(sample.whole) - keep)


def lie_about_length(sample: Sample, numbers: random.Random) -> bytes:
    length = numbers.choice([0, 1, numbers.randrange(2000), 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
    return sample.whole[:8] + struct.pack("<I", length) + sample.whole[12:]


def lie_in_header(sample: Sample, numbers: random.Random) -> bytes:
    """Says something false under a right checksum: what crc32 cannot see the rules must."""
    field = numbers.choice(["tokens", "state", "checkpoints", "chunk_crcs", "ids_crc", "version", "key", "chat"])
    number = numbers.choice([-1, 0, 1, 2, 7, 1 << 31, 1 << 47, 1 << 62, 1 << 70])
    lists: list[object] = [[], [[1, number]], [[100, 300], [200, CHUNK + 9]], [number], None]
    texts: list[object] = ["", KEY[:-1] + "0", OTHER_KEY, "00" * 16]
    values = {"checkpoints": lists, "chunk_crcs": lists, "key": texts, "chat": texts}.get(field, [number])
    return with_header(sample.whole, **{field: numbers.choice(values)})


def other_version(sample: Sample, numbers: random.Random) -> bytes:
    if numbers.random() < 0.5:
        return with_header(sample.whole, version=numbers.choice([0, 2, 99]))
    return sample.whole[:5] + bytes([numbers.choice([0, 2, 49])]) + sample.whole[6:]


def foreign(sample: Sample, numbers: random.Random) -> bytes:
    return sample.foreign


def sibling(sample: Sample, numbers: random.Random) -> bytes:
    return sample.sibling


def nothing(sample: Sample, numbers: random.Random) -> bytes:
    return b""


MUTATIONS: list[Mutation] = [
    *(flip_front, flip_header, flip_ids, flip_state, flip_checkpoint, cut, append, swap_chunks, copy_within),
    *(zero_tail, lie_about_length, lie_in_header, other_version, foreign, sibling, nothing),
]


def is_original(stored: Stored) -> bool:
    checkpoints = [(found.length, bytes(found.data)) for found in stored.checkpoints]
    return (
        stored.ids.tolist() == IDS
        and stored.grid == GRID
        and bytes(stored.state) == STATE
        and checkpoints == [(found.length, bytes(found.data)) for found in CHECKPOINTS]
    )


def saved(root: Path, key: str, ids: list[int]) -> tuple[Shelf, bytes]:
    shelf = Shelf(root, key)
    shelf.store.save("chat", ids, STATE, grid=GRID, checkpoints=CHECKPOINTS)
    return shelf, shelf.only().path.read_bytes()


def test_no_damaged_file_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_engine.kvstore.format.CHUNK", CHUNK)
    numbers = kv_random()
    shelf, whole = saved(tmp_path / "kv", KEY, IDS)
    entry = shelf.only()
    payload = len(whole) - len(STATE) - sum(memoryview(found.data).nbytes for found in CHECKPOINTS)
    siblings, foreigners = saved(tmp_path / "a", KEY, IDS[::-1])[1], saved(tmp_path / "b", OTHER_KEY, IDS)[1]
    sample = Sample(whole, siblings, foreigners, payload)
    refused = 0
    for number in range(COUNT):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        data = mutation(sample, numbers)
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        entry.path.write_bytes(data)
        # A host that has it in its index already, or one that starts now.
        reader = shelf if number % 3 else Shelf(tmp_path / "kv")
        found = [entry] if number % 3 else reader.store.entries()
        loaded = [stored for each in found if (stored := reader.store.load(each)) is not None]
        assert all(is_original(stored) for stored in loaded), (number, mutation.__name__)
        assert bool(loaded) == entry.path.exists(), (number, mutation.__name__)
        refused += not loaded
    assert refused > 0.9 * COUNT


def test_the_original_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_engine.kvstore.format.CHUNK", CHUNK)
    shelf, _ = saved(tmp_path / "kv", KEY, IDS)
    stored = shelf.store.load(shelf.only())
    assert stored is not None and is_original(stored)


@pytest.mark.parametrize("kind", ["directory", "full directory", "pipe", "link", "dead link"])
@pytest.mark.parametrize("restarted", [False, True])
def test_something_else_in_place_of_the_file(tmp_path: Path, kind: str, restarted: bool) -> None:
    shelf, whole = saved(tmp_path / "kv", KEY, IDS)
    entry = shelf.only()
    outside = tmp_path / "outside"
    outside.write_bytes(whole)
    entry.path.unlink()
    if "directory" in kind:
        entry.path.mkdir()
    if kind == "full directory":
        (entry.path / "file").touch()
    elif kind == "pipe":
        os.mkfifo(entry.path)
    elif "link" in kind:
        entry.path.symlink_to(outside if kind == "link" else tmp_path / "nowhere")
    reader = Shelf(tmp_path / "kv") if restarted else shelf
    assert reader.store.load(entry) is None
    assert not reader.store.entries()
    assert outside.read_bytes() == whole
    assert entry.path.exists() == (kind == "full directory")
    if kind != "full directory":
        reader.store.save("chat", IDS, STATE, grid=GRID, checkpoints=CHECKPOINTS)
        stored = reader.store.load(reader.only())
        assert stored is not None and is_original(stored)
