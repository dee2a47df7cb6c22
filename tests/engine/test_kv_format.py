"""One file of the disk store: packed and read back, and every way in which it is refused; prefixes of packed ids."""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.kv_rig import FRONT, KEY, kv_random, with_header

from llmchat_engine.kvstore import Checkpoint, Stored, common_prefix
from llmchat_engine.kvstore.files import opened
from llmchat_engine.kvstore.format import Damaged, Origin, pack, read_head, read_payload
from llmchat_engine.kvstore.values import pack_ids

IDS = list(range(100, 160))
STATE = bytes(range(256)) * 40
CHECKPOINTS = (Checkpoint(50, b"fifty" * 30), Checkpoint(20, bytearray(b"twenty")))
ORIGIN = Origin(KEY, "00" * 16, "tiny", 512, 1.5, 1000.0, False)


def packed_file(state: bytes = STATE, checkpoints: tuple[Checkpoint, ...] = CHECKPOINTS) -> bytes:
    return b"".join(pack(ORIGIN, pack_ids(IDS), state, checkpoints))


def read(path: Path) -> Stored:
    with opened(path) as descriptor:
        return read_payload(descriptor, read_head(descriptor))


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_what_is_packed_is_read(tmp_path: Path) -> None:
    stored = read(put(tmp_path / "a", packed_file()))
    assert stored.ids == array("i", IDS)
    assert stored.grid == 512
    assert bytes(stored.state) == STATE
    assert [(found.length, bytes(found.data)) for found in stored.checkpoints] == [(20, b"twenty"), (50, b"fifty" * 30)]
    stored.state[0] = 7  # llama.cpp is given a pointer: it must be ours alone


def test_layout(tmp_path: Path) -> None:
    data = packed_file()
    assert data[:8] == b"LLMKV\x01\r\n"
    length, crc = struct.unpack_from("<II", data, 8)
    assert zlib.crc32(data[16 : 16 + length]) == crc
    ids = struct.unpack_from(f"<{len(IDS)}i", data, 16 + length)
    assert list(ids) == IDS
    assert data[16 + length + 4 * len(IDS) :] == STATE + b"twenty" + b"fifty" * 30


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 100_000])
def test_states_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("llmchat_engine.kvstore.format.CHUNK", 4096)
    state = (STATE * 10)[:size]
    stored = read(put(tmp_path / "a", packed_file(state)))
    assert bytes(stored.state) == state
    assert len(read_chunks(tmp_path / "a")) == -(-size // 4096) + 2


def read_chunks(path: Path) -> list[int]:
    with opened(path) as descriptor:
        return read_head(descriptor).header.chunk_crcs


def test_chunks_of_four_mebibytes(tmp_path: Path) -> None:
    state = kv_random().randbytes((9 << 20) + 5)
    stored = read(put(tmp_path / "a", packed_file(state)))
    assert stored.state == state
    assert len(read_chunks(tmp_path / "a")) == 3 + 2


def test_ids_behind_the_first_read(tmp_path: Path) -> None:
    ids = list(range(20_000))
    path = put(tmp_path / "a", b"".join(pack(ORIGIN, pack_ids(ids), STATE, ())))
    assert read(path).ids.tolist() == ids


def cut(count: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:count]


def lie_about_length(length: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:8] + struct.pack("<I", length) + data[12:]


def say(**changes: object) -> Callable[[bytes], bytes]:
    return lambda data: with_header(data, **changes)


def flip(back: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:-back] + bytes([data[-back] ^ 1]) + data[len(data) - back + 1 :]


PAYLOAD = len(STATE) + 6 + 150

REFUSED = [
    (cut(0), "it is too short"),
    (cut(15), "it is too short"),
    (cut(16), "its header ends behind the file"),
    (cut(200), "its header ends behind the file"),
    (lambda data: b"LLMKV\x02" + data[6:], "it begins otherwise"),
    (lambda data: b"GGUF" + data[4:], "it begins otherwise"),
    (lie_about_length(0), "the checksum of its header is wrong"),
    (lie_about_length(17), "the checksum of its header is wrong"),
    (lie_about_length((1 << 20) + 1), "its header ends behind the file"),
    (lie_about_length((1 << 32) - 1), "its header ends behind the file"),
    (lambda data: data[:20] + b"x" + data[21:], "the checksum of its header is wrong"),
    (say(version=2), "it has version 2"),
    (say(version="1"), "its header cannot be read"),
    (say(tokens=-1), "its header cannot be read"),
    (say(tokens=1 << 47), "its length is not what its header says"),
    (say(tokens=1 << 90), "its header cannot be read"),
    (say(tokens=len(IDS) - 1), "its length is not what its header says"),
    (say(state=0), "its checksums are incomplete"),
    (say(state=len(STATE) + 1), "its length is not what its header says"),
    (say(state=1 << 40), "its checksums are incomplete"),
    (say(state=(1 << 48) - 1), "its checksums are incomplete"),
    (say(checkpoints=[]), "its checksums are incomplete"),
    (say(checkpoints=[[50, 6], [20, 150]]), "its checkpoints are out of order"),
    (say(checkpoints=[[20, 6], [61, 150]]), "its checkpoints are out of order"),
    (say(checkpoints=[[20, 150], [50, 6]]), "the checksum of its state is wrong"),
    (say(chunk_crcs=[]), "its checksums are incomplete"),
    (say(chunk_crcs=[1, 2, 3]), "the checksum of its state is wrong"),
    (say(ids_crc=1), "the checksum of its ids is wrong"),
    (lambda data: data + b"\0", "its length is not what its header says"),
    (lambda data: data[:-1], "its length is not what its header says"),
    (flip(1), "the checksum of its state is wrong"),
    (flip(PAYLOAD), "the checksum of its state is wrong"),
    (flip(PAYLOAD + 1), "the checksum of its ids is wrong"),
    (flip(PAYLOAD + 4 * len(IDS)), "the checksum of its ids is wrong"),
    (flip(PAYLOAD + 4 * len(IDS) + 1), "the checksum of its header is wrong"),
]


@pytest.mark.parametrize(("change", "why"), REFUSED, ids=[f"{n}-{why}" for n, (_, why) in enumerate(REFUSED)])
def test_refused(tmp_path: Path, change: Callable[[bytes], bytes], why: str) -> None:
    path = put(tmp_path / "a", change(packed_file()))
    with pytest.raises(Damaged) as caught:
        read(path)
    assert str(caught.value) == why


def test_a_header_that_is_no_json(tmp_path: Path) -> None:
    data = packed_file()
    for text in (b"", b"{}", b"[1]", b'{"version": 1', b"\xff\xfe"):
        front = FRONT.pack(data[:8], len(text), zlib.crc32(text))
        with pytest.raises(Damaged, match="its header cannot be read"):
            read(put(tmp_path / "a", front + text))


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a", packed_file())
    with opened(path) as descriptor:
        head = read_head(descriptor)
        os.truncate(path, head.size - 1)
        with pytest.raises(Damaged, match="the checksum of its state is wrong"):
            read_payload(descriptor, head)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    put(tmp_path / "file", packed_file())
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("directory", "pipe", "link"):
        with pytest.raises(Damaged, match="it is no regular file"):
            read(tmp_path / name)


def test_a_file_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a", packed_file())
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermissionError):
        read(path)


def test_no_memory_is_told_as_such(tmp_path: Path) -> None:
    path = put(tmp_path / "a", packed_file())
    with opened(path) as descriptor:
        head = read_head(descriptor)
        with pytest.raises(MemoryError):
            read_payload(descriptor, head._replace(size=1 << 60))


def naive(first: list[int], second: list[int]) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


small_ids = st.lists(st.integers(0, 2), max_size=12)


@settings(max_examples=200, deadline=None)
@given(small_ids, small_ids)
def test_common_prefix(first: list[int], second: list[int]) -> None:
    assert common_prefix(pack_ids(first), pack_ids(second)) == naive(first, second)


def test_ids_that_share_some_bytes_only() -> None:
    assert common_prefix(pack_ids([1, 0x0201]), pack_ids([1, 0x0301])) == 1
