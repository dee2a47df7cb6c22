"""The disk store on disks that are full, small or read-only, after writers that died, and as commands see it."""

from __future__ import annotations

import errno
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.engine.kv_rig import OTHER_KEY, Shelf, files_under, used

from llmchat_engine.kvstore import clear, default_budget, forget_chat, listing
from llmchat_engine.kvstore.budget import KEPT_FREE
from llmchat_engine.kvstore.files import chat_name, temporary

A, B, C = [1, 2, 3], [1, 2, 3, 4, 5], [9, 8, 7]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "kv"


@pytest.fixture
def shelf(root: Path) -> Shelf:
    return Shelf(root)


def test_what_does_not_fit_is_not_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(root, budget=4000)
    shelf.save("chat", A)
    assert len(shelf.log) == 1 and "was not kept: there is room for 4,000" in shelf.log[0]
    roomy = Shelf(root)
    monkeypatch.setattr("llmchat_engine.kvstore.store.free_disk", lambda _root: KEPT_FREE + 4000)
    roomy.save("chat", A)
    assert len(roomy.log) == 1 and "there is room for 4,000" in roomy.log[0]
    assert not files_under(root)


def test_default_budget(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < default_budget(root) <= 8 << 30
    assert not root.exists()
    monkeypatch.setattr("llmchat_engine.kvstore.budget.free_disk", lambda _root: 100 << 30)
    assert default_budget(root) == 5 << 30
    monkeypatch.setattr("llmchat_engine.kvstore.budget.free_disk", lambda _root: 1 << 40)
    assert default_budget(root) == 8 << 30


def test_unfinished_files_are_swept(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    finished = shelf.only().path
    dead = finished.with_name(f"{'0' * 24}.1.00000000.tmp")
    dead.touch()
    killed_early = finished.parent.with_name("0" * 32)
    killed_early.mkdir()
    with temporary(finished) as living, temporary(finished) as hung:
        used(hung.path, time.time() - 4000)
        Shelf(root)
        assert files_under(root) == sorted([finished, living.path])
    assert files_under(root) == [finished]
    assert not killed_early.exists()


def full(_descriptor: int, _data: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(shelf: Shelf, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        shelf.save("chat", A)
    assert len(shelf.log) == 1 and shelf.log[0].endswith("was not kept: No space left on device")
    assert not files_under(root)
    shelf.save("chat", A)
    assert shelf.loads_whole(shelf.only())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_half(shelf: Shelf, root: Path) -> None:
    with largest_file(1 << 20):
        shelf.save("chat", A, size=2 << 20)
    assert len(shelf.log) == 1 and shelf.log[0].endswith("was not kept: File too large")
    assert not files_under(root)


def read_only(*_arguments: Any, **_options: Any) -> int:  # stands in for functions of every shape
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def make_read_only(patch: pytest.MonkeyPatch) -> None:
    """Lets nothing be changed; root is not stopped by the mode of a directory."""
    really_open = os.open

    def only_reading(path: Any, flags: int, *rest: Any, **options: Any) -> int:  # any shape of os.open
        return read_only() if flags & os.O_CREAT else really_open(path, flags, *rest, **options)

    patch.setattr(os, "open", only_reading)
    for name in ("mkdir", "rmdir", "unlink", "rename", "replace", "link", "utime", "chmod"):
        patch.setattr(os, name, read_only)


def test_a_read_only_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Shelf(root).save("chat", A)
    with monkeypatch.context() as patch:
        make_read_only(patch)
        shelf = Shelf(root)
        assert shelf.loads_whole(shelf.only())
        assert not shelf.log
        shelf.save("other", B)
        shelf.save("other", C, shared=True)
        assert len(shelf.log) == 2 and shelf.log[0].endswith("was not kept: Read-only file system")
        shelf.store.forget("chat")
        assert not forget_chat(root, "chat")
        assert clear(root) == (0, 0)
    assert shelf.log[2:] == [f"kv: files of a forgotten chat are left in {chat_name('chat')}"]
    assert len(files_under(root)) == 1


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shelf = Shelf(tmp_path / "file" / "kv")
    shelf.save("chat", A)
    shelf.store.forget("chat")
    assert not shelf.store.entries()
    assert shelf.log[0].startswith("kv: nothing can be kept on disk: ")
    assert listing(tmp_path / "file" / "kv") == []


def test_listing(shelf: Shelf, root: Path) -> None:
    assert listing(root / "nowhere") == listing(root) == []
    shelf.save("chat", A)
    shelf.save("one", C, shared=True)
    shelf.save("two", C, shared=True)
    shelf.save("cut", B)
    shelf.save("flipped", B)
    by_chat = {entry.chat: entry.path for entry in shelf.store.entries()}
    order = ["chat", "one", "cut", "flipped"]
    os.truncate(by_chat[chat_name("cut")], 300)
    flipped = by_chat[chat_name("flipped")]
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"!")
    for number, name in enumerate(order):
        used(by_chat[chat_name(name)], 1000 - number)
    rows = listing(root)
    assert [(row.kind, row.model, row.tokens, row.chats) for row in rows] == [
        ("chat", "tiny", 3, 1),
        ("shared", "tiny", 3, 2),
        ("damaged", "", 0, 1),
        ("chat", "tiny", 5, 1),
    ]
    assert [row.used_at for row in rows] == [1000, 999, 998, 997]
    assert all(row.size == row.path.stat().st_size for row in rows)
    assert [row.damage for row in rows] == ["", "", "its header ends behind the file", ""]
    thorough = listing(root, thorough=True)
    assert [row.kind for row in thorough] == ["chat", "shared", "damaged", "damaged"]
    assert thorough[3].damage == "the checksum of its state is wrong"


def test_clear(shelf: Shelf, root: Path) -> None:
    shelf.save("chat", A)
    shelf.save("one", C, shared=True)
    shelf.save("two", C, shared=True)
    Shelf(root, OTHER_KEY).save("chat", A)
    size = sum(row.size for row in listing(root))
    with temporary(shelf.store.entries()[0].path):
        assert clear(root) == (3, size)
        assert not files_under(root)
    assert not list(root.iterdir())
    assert not shelf.store.entries()
    assert clear(root) == (0, 0)
    shelf.save("chat", A)
    assert shelf.loads_whole(shelf.only())
