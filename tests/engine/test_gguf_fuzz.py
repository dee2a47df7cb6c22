"""Damaged files: cut at any byte or changed at random, they are refused or read, and nothing else ever happens."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import ModelUnreadable
from llmchat_engine.models.gguf import Header, read_header

NASTY = (0, 1, 8, 9, 63, 64, 255, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@pytest.fixture
def random_numbers() -> random.Random:
    seed = int(os.environ.get("LLMCHAT_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"LLMCHAT_TEST_SEED={seed}")
    return random.Random(seed)


def test_every_cut_is_refused(tmp_path: Path, random_numbers: random.Random) -> None:
    whole = tiny_llama(tmp_path / "whole.gguf").read_bytes()
    header = read_header(tmp_path / "whole.gguf")
    end, begin = header.header_bytes + header.tensor_bytes, header.header_bytes
    cuts = {random_numbers.randrange(end) for _ in range(200)} | set(range(64))
    cuts |= {begin - 32, begin - 1, begin, begin + 1, end - 1, whole.index(b"tokenizer.ggml.tokens")}
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole)
    for cut in sorted(cuts, reverse=True):
        os.truncate(path, cut)
        with pytest.raises(ModelUnreadable) as caught:
            read_header(path)
        assert caught.value.why, cut


def test_cut_tensors_say_how_much_is_missing(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    size = path.stat().st_size
    os.truncate(path, size - 5000)
    with pytest.raises(ModelUnreadable) as caught:
        read_header(path)
    assert caught.value.what == f"the model {path} is incomplete"
    assert caught.value.why == f"the file ends at {size - 5000:,} bytes, its header promises {size:,}"
    assert caught.value.hint == "download it again"


def _mutate(data: bytearray, numbers: random.Random, header: Header) -> None:
    """Changes one to four places of the header: a bit, a byte, a number, or a stretch copied from elsewhere."""
    for _ in range(numbers.randint(1, 4)):
        at = numbers.randrange(4, header.header_bytes - 8)
        match numbers.randrange(4):
            case 0:
                data[at] ^= 1 << numbers.randrange(8)
            case 1:
                data[at] = numbers.randrange(256)
            case 2:
                struct.pack_into("<Q", data, at, numbers.choice(NASTY))
            case _:
                source, length = numbers.randrange(header.header_bytes), numbers.randrange(1, 64)
                data[at : at + length] = data[source : source + length]


def test_damaged_headers_are_refused_or_read(tmp_path: Path, random_numbers: random.Random) -> None:
    whole = tiny_llama(tmp_path / "whole.gguf", layers=1, width=32).read_bytes()
    header = read_header(tmp_path / "whole.gguf")
    path = tmp_path / "damaged.gguf"
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        _mutate(data, random_numbers, header)
        path.write_bytes(data)
        try:
            read_header(path)
        except ModelUnreadable:
            refused += 1
    assert 50 < refused < 300
