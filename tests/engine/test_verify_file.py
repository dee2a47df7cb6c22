"""Is a file what was promised? Its sha256, the names that other programs give, its header and its tensors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from tests.engine.downloads import run
from tests.engine.tiny_gguf import tiny_llama

from llmchat_engine.models.hub.pulled import Record
from llmchat_engine.models.hub.verify import Verdict, verify


def verdict(path: Path, record: Record | None = None) -> Verdict:
    return run(verify(path, record))[1]


def record_for(path: Path) -> Record:
    data = path.read_bytes()
    return Record(path, "user/repo", "c" * 40, hashlib.sha256(data).hexdigest(), len(data), "", "", "")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_llama(tmp_path / "a.gguf")


def test_what_was_pulled_is_intact(model: Path) -> None:
    record = record_for(model)
    seen, said = run(verify(model, record))
    assert said == Verdict(True, "its sha256 is the one that was pulled", record.sha256)
    assert {(progress.stage, progress.total) for progress in seen} == {("verifying", record.size)}


def test_one_changed_bit_is_seen(model: Path) -> None:
    record = record_for(model)
    with open(model, "r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(bytes([model.read_bytes()[-100] ^ 1]))
    said = verdict(model, record)
    assert not said.ok and said.why.startswith("it changed: its sha256 is ")
    assert said.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_cut_file_is_told_with_its_size(model: Path) -> None:
    record = record_for(model)
    os.truncate(model, record.size - 1000)
    assert verdict(model, record).why == f"it has {record.size - 1000:,} bytes, {record.size:,} were pulled"
    said = verdict(model)
    assert not said.ok and "the file ends at" in said.why


def test_a_file_without_a_promise_is_looked_at(model: Path) -> None:
    said = verdict(model)
    assert said.ok and said.why.startswith("no sha256 is known")


def test_the_right_bytes_of_no_model_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"<!doctype html><html>" + b" " * 600)
    said = verdict(path, record_for(path))
    assert not said.ok and "its sha256 is the one that was pulled, but it is a web page" in said.why


def test_files_beside_a_model_have_no_header(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"{}")
    assert verdict(path, record_for(path)).ok


def test_an_ollama_blob_is_named_by_its_sha256(model: Path, tmp_path: Path) -> None:
    sha256 = record_for(model).sha256
    right, wrong = tmp_path / f"sha256-{sha256}", tmp_path / f"sha256-{'0' * 64}"
    right.write_bytes(model.read_bytes())
    wrong.write_bytes(model.read_bytes())
    assert verdict(right) == Verdict(True, "its sha256 is the one in the name that Ollama gave it", sha256)
    assert not verdict(wrong).ok


def test_a_file_of_hugging_faces_cache_is_named_by_its_sha256(model: Path, tmp_path: Path) -> None:
    sha256 = record_for(model).sha256
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    for blob, ok in ((sha256, True), ("0" * 64, False)):
        (tmp_path / "blobs" / blob).write_bytes(model.read_bytes())
        link = tmp_path / "snapshots" / f"{blob[:4]}.gguf"
        link.symlink_to(tmp_path / "blobs" / blob)
        assert verdict(link).ok is ok
    assert "its cache gave it" in verdict(link).why or "cache" in verdict(link).why


def test_a_later_part_is_judged_by_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a-00002-of-00003.gguf"
    path.write_bytes(b"GGUF, and the first part tells what is in it")
    assert verdict(path, record_for(path)).ok


@pytest.mark.parametrize(("make", "tells"), [(Path.mkdir, "a directory"), (os.mkfifo, "a pipe"), (Path.touch, "empty")])
def test_what_cannot_be_read_is_told(tmp_path: Path, make: object, tells: str) -> None:
    assert callable(make)
    make(tmp_path / "a.gguf")
    said = verdict(tmp_path / "a.gguf")
    assert (said.ok, said.sha256) == (False, "") and tells in said.why


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert verdict(tmp_path / "a.gguf") == Verdict(False, "there is no such file", "")
