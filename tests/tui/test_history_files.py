"""Which files a history makes, who may read them, and what is left in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmchat_tui.history import History, ReplyEnd


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_deleted_text_is_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History.open(path) as history:
        for index in range(20):
            history.finish(history.begin(f"ordinary{index}").reply_id, ReplyEnd("answer", "complete"))
        begun = history.begin("xyzzyquestion", system="xyzzysystem")
        history.checkpoint(begun.reply_id, "xyzzycheckpoint")
        history.finish(begun.reply_id, ReplyEnd("xyzzyanswer", "complete"))
        assert any(b"xyzzy" in file.read_bytes() for file in tmp_path.glob("chats.db*"))

        history.delete(begun.conversation_id)

        assert [file.name for file in tmp_path.glob("chats.db*") if b"xyzzy" in file.read_bytes()] == []


def test_only_the_owner_can_read_it(tmp_path: Path, open_umask: None) -> None:
    path = tmp_path / "new" / "deeper" / "chats.db"
    with History.open(path) as history:
        history.begin("q")
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.rglob("*")}
        assert {name: mode for name, mode in modes.items() if name != "live"} == dict.fromkeys(
            [name for name in modes if name != "live"], 0o600
        )
        assert {"chats.db", "chats.db-wal", "chats.db-shm"} < set(modes)
        assert len([name for name in modes if name.endswith(".lock")]) == 1
    for folder in (path.parent / "live", path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    History.open(tmp_path / "chats.db").close()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_an_empty_file_is_a_fresh_database(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    path.touch(mode=0o644)
    with History.open(path) as history:
        history.begin("q")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_check_tells_of_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History.open(path) as history:
        assert history.check() == []
        path.chmod(0o644)
        assert history.check() == [f"others can read it: chmod 600 {path}"]


def test_a_strange_path(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%41" / "chäts&.db"
    with History.open(path) as history:
        begun = history.begin("q")
    assert path.stat().st_size > 0
    with History.open(path) as history:
        assert history.conversation(begun.conversation_id).title == "q"


def test_nothing_is_left_but_the_database(tmp_path: Path) -> None:
    with History.open(tmp_path / "chats.db") as history:
        history.begin("q")
    history.close()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["chats.db", "live"]
