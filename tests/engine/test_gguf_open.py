"""Files that are no GGUF, and paths that are no file: each has a sentence of its own, and none hangs."""

from __future__ import annotations

import os
import socket
import tempfile
import zipfile
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.errors import ModelMissing, ModelUnreadable
from llmchat_engine.models.gguf import read_header

GGUF = b"GGUF"
FOREIGN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "html": (b"\xef\xbb\xbf\n <!DOCTYPE HTML><html><body>404</body></html>", "it is a web page, not a model"),
    "html without doctype": (b"<html>" + b"x" * 4096, "it is a web page, not a model"),
    "json": (b'{"error":"Invalid username or password."}', "it is JSON, not a model"),
    "lfs pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "it is a Git LFS pointer, not the model",
    ),
    "safetensors": ((512).to_bytes(8, "little") + b'{"__metadata__":{}}' + b" " * 600, "it is a safetensors file"),
    "big-endian": (GGUF + (3).to_bytes(4, "big") + bytes(64), "it is a big-endian GGUF"),
    "big-endian magic": (b"FUGG" + bytes(64), "it is a big-endian GGUF"),
    "version 1": (GGUF + (1).to_bytes(4, "little") + bytes(64), "it is a GGUF of version 1"),
    "version 4": (GGUF + (4).to_bytes(4, "little") + bytes(64), "it is a GGUF of version 4, newer than"),
    "version 0": (GGUF + bytes(64), "version 0 does not exist"),
    "version nonsense": (GGUF + b"\xff\xff\xff\x7f" + bytes(64), "version 2,147,483,647 does not exist"),
    "ggml": (b"lmgg" + bytes(64), "it is an old GGML file"),
    "ggjt": (b"tjgg" + bytes(64), "it is an old GGML file"),
    "pickle": (b"\x80\x02}q\x00X\x06\x00\x00\x00weightq\x01.", "it is a pickle or PyTorch file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(64), "it is compressed"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "it is an HDF5 file"),
    "garbage": (bytes(range(200, 256)) * 40, "it does not begin with GGUF"),
    "one byte": (b"G", "it does not begin with GGUF"),
    "magic alone": (GGUF, "the file ends at 4 bytes, inside its header"),
    "half a version": (GGUF + b"\3", "the file ends at 5 bytes, inside its header"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file_is_named(tmp_path: Path, name: str) -> None:
    data, sentence = FOREIGN[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelUnreadable) as caught:
        read_header(path)
    assert sentence in caught.value.why
    assert str(path) in caught.value.what
    assert caught.value.hint


def test_pytorch_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    with pytest.raises(ModelUnreadable, match="zip archive or a PyTorch file"):
        read_header(path)


def test_missing_file_shows_the_nearest_names(tmp_path: Path) -> None:
    for name in ("qwen-7b.gguf", "mistral.gguf", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ModelMissing, match="there is no such file") as caught:
        read_header(tmp_path / "qwen-8b.gguf")
    assert caught.value.hint.startswith("in that directory: qwen-7b.gguf")
    assert "notes.txt" not in caught.value.hint


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as caught:
        read_header(tmp_path / "nowhere" / "a.gguf")
    assert caught.value.hint == f"there is no directory {tmp_path / 'nowhere'}"


@pytest.mark.parametrize("name", ["a\0b.gguf", "x" * 5000, "loop.gguf"])
def test_impossible_paths_are_missing_models(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    with pytest.raises(ModelMissing) as caught:
        read_header(tmp_path / name)
    assert caught.value.why


def test_directory_shows_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "inside.gguf").touch()
    with pytest.raises(ModelUnreadable, match="it is a directory, not a model file") as caught:
        read_header(tmp_path)
    assert "inside.gguf" in caught.value.hint


@pytest.mark.timeout(5)
def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelUnreadable, match="it is a pipe, not a file"):
        read_header(tmp_path / "pipe.gguf")


def test_device_is_named() -> None:
    with pytest.raises(ModelUnreadable, match="it is a device, not a file"):
        read_header(Path("/dev/zero"))


def test_socket_is_named() -> None:
    # A socket's path may have 104 bytes at most; tmp_path can be longer.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as server:
        path = Path(directory, "s.gguf")
        server.bind(str(path))
        with pytest.raises(ModelUnreadable, match="it is a socket, not a file"):
            read_header(path)


def test_forbidden_file_says_so(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        with pytest.raises(ModelMissing, match="this user may not read it") as caught:
            read_header(path)
    finally:
        if root:
            os.seteuid(0)
    assert caught.value.hint == f"allow it: chmod u+r {path}"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(path.read_bytes()[:1000])
    before = os.listdir("/dev/fd")
    read_header(path)
    with pytest.raises(ModelUnreadable):
        read_header(cut)
    assert len(os.listdir("/dev/fd")) == len(before)
