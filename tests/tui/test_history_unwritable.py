"""A database that cannot be written: read-only, no room, locked or closed. Nothing that was there is lost."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.tui.test_history_refusals import filled, fingerprint

from llmchat_tui.errors import StorageError, StorageUnwritable
from llmchat_tui.history import History, ReplyEnd


@pytest.mark.parametrize("blocked", ["the file", "its folder"])
def test_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: str) -> None:
    """Root writes where the mode forbids it, so `os.access` answers as it would to somebody else."""
    path = filled(tmp_path / "chats.db")
    place = path if blocked == "the file" else path.parent
    monkeypatch.setattr(os, "access", lambda asked, mode: not (asked == place and mode == os.W_OK))
    before = fingerprint(path)
    with pytest.raises(StorageUnwritable, match=f"{blocked} is read-only") as caught:
        History.open(path)
    assert fingerprint(path) == before
    assert "--no-log" in caught.value.hint


def test_modes_that_forbid(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root ignores the mode of files; test_read_only stands in")
    path = filled(tmp_path / "chats.db")
    path.chmod(0o400)
    with pytest.raises(StorageUnwritable, match="the file is read-only"):
        History.open(path)


def test_sqlite_finds_it_read_only(tmp_path: Path) -> None:
    with History.open(tmp_path / "chats.db") as history:
        history._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageUnwritable, match="readonly"):
            history.begin("q")


def test_the_log_cannot_be_opened(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    path.with_name("chats.db-wal").mkdir()
    before = fingerprint(path)
    with pytest.raises(StorageUnwritable):
        History.open(path)
    assert fingerprint(path) == before


def test_the_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnwritable, match=r"Not a directory|File exists"):
        History.open(tmp_path / "file" / "sub" / "chats.db")


def test_a_quota_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with History.open(tmp_path / "chats.db") as history:
        begun = history.begin("kept")
        history._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StorageUnwritable, match="refused a write") as caught:
            history.checkpoint(begun.reply_id, "x" * 1_000_000)
        assert "--no-log" in caught.value.hint
        history._db.execute("PRAGMA max_page_count = 1000000")
        history.finish(begun.reply_id, ReplyEnd("and works again", "complete"))
        assert history.check() == []


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with History.open(tmp_path / "chats.db") as history:
        history._db.execute("PRAGMA max_page_count = 1")
        monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_bavail=3, f_frsize=4_096))
        with pytest.raises(StorageUnwritable, match="the disk is full, 12 KiB are free"):
            history.begin("x" * 1_000_000)


def test_no_room_for_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with History.open(tmp_path / "chats.db") as history:
        monkeypatch.setattr(os, "open", full)
        with pytest.raises(StorageUnwritable, match="No space left"):
            history.begin("q")


def test_a_write_that_the_system_cuts_off(tmp_path: Path) -> None:
    """A file size limit fails as SQLITE_IOERR_WRITE, as a disk that dies would; the old content stays."""
    path = filled(tmp_path / "chats.db")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with History.open(path) as history:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(StorageUnwritable, match="refused a write"):
                history.begin("x" * 1_000_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(history.conversations()) == 3
        history.begin("works again")
        assert history.check() == []


def test_another_writer_that_does_not_let_go(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    with History.open(path) as history, closing(sqlite3.connect(path, isolation_level=None)) as other:
        history._db.execute("PRAGMA busy_timeout = 20")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another program keeps it locked"):
            history.begin("q")
        with pytest.raises(StorageError, match="another program keeps it locked"):
            history.check()
        assert len(history.conversations()) == 3  # readers go on
        other.execute("ROLLBACK")
        history.begin("q")


def test_a_closed_history(tmp_path: Path) -> None:
    history = History.open(tmp_path / "chats.db")
    history.close()
    with pytest.raises(StorageError, match="closed"):
        history.conversations()
