"""What History refuses, it says why, and leaves every byte as it was."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llmchat_tui.errors import NotFound, StorageDamaged, StorageError, StorageForeign
from llmchat_tui.history import History, ReplyEnd, StoredMessage
from llmchat_tui.history.schema import MIGRATIONS

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
PAGE = 4096


def filled(path: Path, turns: int = 3) -> Path:
    """Makes a database with some turns, closed and checkpointed."""
    with History.open(path) as history:
        for index in range(turns):
            begun = history.begin(f"question {index}")
            history.finish(begun.reply_id, ReplyEnd(f"answer {index} " * 200, "complete", (1, 2, 3)))
    return path


def fingerprint(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def leave_stale_lock(path: Path) -> Path:
    """Leaves what an instance leaves that was killed."""
    lock = path.parent / "live" / "0KILLED.lock"
    lock.touch()
    return lock


def other_database(path: Path, *, log: bool = False, application_id: int = 0) -> None:
    with closing(sqlite3.connect(path)) as other:
        if log:
            other.execute("PRAGMA journal_mode = WAL")
        other.execute(f"PRAGMA application_id = {application_id}")
        other.execute("CREATE TABLE places (url TEXT)")
        other.commit()


def other_database_with_log(path: Path) -> None:
    """Makes another program's database whose last writes are only in the log."""
    source = path.with_name("elsewhere.db")
    with closing(sqlite3.connect(source)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE places (url TEXT)")
        other.commit()
        for suffix in ("", "-wal"):
            path.with_name(path.name + suffix).write_bytes(source.with_name(source.name + suffix).read_bytes())


def other_database_in_a_write(path: Path) -> None:
    """Makes another program's database that was killed in the middle of a transaction."""
    source = path.with_name("elsewhere.db")
    with closing(sqlite3.connect(source, isolation_level=None)) as other:
        other.execute("CREATE TABLE places (url TEXT)")
        other.execute("INSERT INTO places VALUES ('before')")
        other.execute("PRAGMA cache_size = 1")
        other.execute("BEGIN")
        other.execute("UPDATE places SET url = 'after'")
        other.executemany("INSERT INTO places VALUES (?)", [("x" * 2_000,)] * 50)
        for suffix in ("", "-journal"):
            path.with_name(path.name + suffix).write_bytes(source.with_name(source.name + suffix).read_bytes())


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("Dear diary,\n" * 1_000), "not an SQLite database"),
    "one byte": (lambda path: path.write_bytes(b"S"), "not an SQLite database"),
    "two bytes": (lambda path: path.write_bytes(b"SQ"), "not an SQLite database"),
    "zeros": (lambda path: path.write_bytes(bytes(PAGE)), "not an SQLite database"),
    "application id 0": (other_database, "another program"),
    "other application id": (lambda path: other_database(path, application_id=42), "another program"),
    "other application with a log": (lambda path: other_database(path, log=True), "another program"),
    "other application, unsaved log": (other_database_with_log, "another program"),
    "other application, killed": (other_database_in_a_write, "middle of a write"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "chats.db"
    make, why = FOREIGN[kind]
    make(path)
    before = fingerprint(path)
    for _ in range(2):
        with pytest.raises(StorageForeign, match=why) as caught:
            History.open(path)
        assert fingerprint(path) == before
    assert str(path) in caught.value.what
    assert "--no-log" in caught.value.hint


def test_a_foreign_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    other_database_with_log(path)
    log = path.with_name("chats.db-wal")
    before = fingerprint(log)
    with pytest.raises(StorageForeign):
        History.open(path)
    assert fingerprint(log) == before


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "FIFO"])
def test_no_regular_file(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "chats.db"
    make(path)
    with pytest.raises(StorageForeign, match=r"it is a (folder|special file)"):
        History.open(path)


def test_a_newer_llmchat_made_it(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = fingerprint(path)
    with pytest.raises(
        StorageForeign, match=rf"newer llmchat \(version {len(MIGRATIONS) + 1}, this one knows {len(MIGRATIONS)}\)"
    ):
        History.open(path)
    assert fingerprint(path) == before


@pytest.mark.parametrize("keep", [50, 100, PAGE, 3 * PAGE + 7])
def test_a_torn_file_is_damaged(tmp_path: Path, keep: int) -> None:
    path = filled(tmp_path / "chats.db")
    os.truncate(path, keep)
    lock = leave_stale_lock(path)
    before = fingerprint(path)
    for _ in range(2):  # the evidence of the unclean end must not go with the first look
        with pytest.raises(StorageDamaged) as caught:
            History.open(path)
        assert fingerprint(path) == before
    assert lock.exists()
    assert str(path) in caught.value.what
    assert all(word in caught.value.hint for word in ("llmchat doctor", "backup", "--no-log"))


def test_every_page_is_checked_after_an_unclean_end(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    with closing(sqlite3.connect(path)) as reader:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'messages'"
        start = (reader.execute(query).fetchone()[0] - 1) * PAGE
    content = path.read_bytes()
    path.write_bytes(content[:start] + b"\xff" * PAGE + content[start + PAGE :])
    before = fingerprint(path)
    with History.open(path) as history, pytest.raises(StorageDamaged):
        history.messages(history.conversations()[0].id)
    leave_stale_lock(path)
    with pytest.raises(StorageDamaged):
        History.open(path)
    assert fingerprint(path) == before


def test_an_empty_file_with_a_full_log_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    log = path.with_name("chats.db-wal")
    log.write_bytes(b"the only copy of something")
    with pytest.raises(StorageDamaged, match=r"its log chats\.db-wal is not"):
        History.open(path)
    path.touch()
    with pytest.raises(StorageDamaged, match=r"its log chats\.db-wal is not"):
        History.open(path)
    assert log.read_bytes() == b"the only copy of something"


def test_random_damage_is_only_ever_a_storage_error(tmp_path: Path) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    pristine = filled(tmp_path / "pristine.db", turns=12).read_bytes()
    outcomes = {"refused": 0, "read": 0, "failed while reading": 0}
    for index in range(30):
        path = tmp_path / str(index) / "chats.db"
        (path.parent / "live").mkdir(parents=True)
        spot = chance.randrange(100, len(pristine) - 512)
        path.write_bytes(pristine[:spot] + chance.randbytes(512) + pristine[spot + 512 :])
        if index % 2:
            leave_stale_lock(path)
        outcomes[use(path)] += 1
    print(outcomes)
    assert outcomes["read"] < 30


def use(path: Path) -> str:
    """Opens and reads a possibly damaged database; anything but a StorageError escapes and fails the test."""
    before = fingerprint(path)
    try:
        history = History.open(path)
    except StorageError:
        assert fingerprint(path) == before
        return "refused"
    try:
        history.search("answer question")
        assert read_all(history) or history.check()  # never an empty list as if all were well
    except (StorageError, NotFound):
        return "failed while reading"
    finally:
        history.close()
    return "read"


def read_all(history: History) -> list[StoredMessage]:
    return [message for chat in history.conversations() for message in history.messages(chat.id)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("token_ids", b"abc"), ("settings", "{"), ("stats", "[]"), ("text", None)],
    ids=["ids", "no JSON", "no object", "no UTF-8"],
)
def test_a_row_that_we_never_wrote_is_damage(tmp_path: Path, column: str, value: object) -> None:
    path = filled(tmp_path / "chats.db", turns=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("DROP TRIGGER messages_changed")
        if value is None:
            vandal.execute("UPDATE messages SET text = CAST(x'c328' AS TEXT)")
        else:
            vandal.execute(f"UPDATE messages SET {column} = ?", (value,))
    with History.open(path) as history:
        latest = history.latest()
        assert latest is not None
        with pytest.raises(StorageDamaged):
            history.messages(latest.id)


def test_check_finds_a_broken_index(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("DELETE FROM messages_fts_data WHERE id > 10")
    with History.open(path) as history:
        assert len(history.check()) == 1
        assert "index" in history.check()[0]


def test_check_finds_a_reference_to_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "chats.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("UPDATE messages SET parent_id = 'nobody' WHERE seq = 2")
    with History.open(path) as history:
        assert history.check() == ["a row of messages refers to none"]


def test_the_header_says_whose_it_is(tmp_path: Path) -> None:
    header = filled(tmp_path / "chats.db").read_bytes()[:100]
    assert header[68:72] == b"llmc"
    assert struct.unpack(">I", header[60:64]) == (len(MIGRATIONS),)
