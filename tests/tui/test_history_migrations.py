"""A database is at one version or at the next, whoever dies in between, and the old one is kept."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from tests.tui.history_kill_child import NEW_ROWS, WITH_SLOW_STEP, Child

from llmchat_tui.history import History
from llmchat_tui.history.connection import connect
from llmchat_tui.history.opening import open_file
from llmchat_tui.history.schema import MIGRATIONS, version_of

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
KILLS = 8


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "chats.db"
    with History.open(path) as history:
        history.begin("from version 1")
    return path


def add_colour(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE third (x)")
    raise sqlite3.OperationalError("the step failed")


def columns(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute("PRAGMA table_info(conversations)")}


def test_a_step_leads_to_the_next_version_and_keeps_the_old_file(old: Path) -> None:
    with closing(open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour))) as database:
        assert version_of(database) == 2
        assert "colour" in columns(database)
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == "from version 1"
    backup = old.with_name("chats.db.backup-v1")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(connect(backup, "ro")) as database:
        assert version_of(database) == 1
        assert "colour" not in columns(database)
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == "from version 1"
    assert list(old.parent.glob("*.part*")) == []


def test_the_backup_opens_as_a_history(old: Path, tmp_path: Path) -> None:
    open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour)).close()
    restored = tmp_path / "restored.db"
    old.with_name("chats.db.backup-v1").rename(restored)
    with History.open(restored) as history:
        assert history.check() == []
        assert [chat.title for chat in history.conversations()] == ["from version 1"]


def test_two_steps_make_one_backup(old: Path) -> None:
    steps = (*MIGRATIONS, add_colour, lambda connection: connection.execute("CREATE TABLE third (x)") and None)
    with closing(open_file(old, unclean=False, migrations=steps)) as database:
        assert version_of(database) == 3
    assert [path.name for path in old.parent.glob("*backup*")] == ["chats.db.backup-v1"]


def test_no_step_makes_no_backup(old: Path) -> None:
    open_file(old, unclean=False).close()
    assert list(old.parent.glob("*backup*")) == []


def test_a_step_that_fails_leaves_the_version_before(old: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="the step failed"):
        open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour, fail))
    with closing(connect(old, "ro")) as database:
        assert version_of(database) == 2
        assert "colour" in columns(database)
        assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'third'").fetchone()[0] == 0


def test_a_backup_that_was_cut_off_is_made_again(old: Path) -> None:
    old.with_name("chats.db.backup-v1.part").write_bytes(b"half of it")
    open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour)).close()
    with closing(connect(old.with_name("chats.db.backup-v1"), "ro")) as database:
        assert version_of(database) == 1


def test_a_kill_inside_a_step_leaves_the_version_before(old: Path) -> None:
    with Child("migrate") as child:
        child.go(old)
        child.wait_for("inside")
        assert "migrated\n" not in child.kill()
    with closing(connect(old, "rw")) as database:
        assert (version_of(database), "colour" in columns(database)) == (1, False)
    with History.open(old) as history:
        assert [chat.title for chat in history.conversations()] == ["from version 1"]
        assert history.check() == []


def test_a_kill_at_any_moment_leaves_one_version_or_the_other(old: Path) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    pristine = old.read_bytes()
    with ExitStack() as stack:
        children = [stack.enter_context(Child("migrate")) for _ in range(KILLS)]
        for child in children:
            child.wait_for("ready")
            for file in old.parent.glob("chats.db?*"):
                file.unlink()
            old.write_bytes(pristine)
            child.go(old)
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=chance.uniform(0.0005, 0.03))
            child.kill()
            assert_one_version(old)


def assert_one_version(path: Path) -> None:
    with closing(connect(path, "rw")) as database:
        version = version_of(database)
        assert version in (1, 2)
        assert ("colour" in columns(database)) == (version == 2)
        if version == 2:
            assert database.execute("SELECT count(*) FROM extra").fetchone()[0] == NEW_ROWS
            assert path.with_name("chats.db.backup-v1").exists()
    with closing(open_file(path, unclean=True, migrations=WITH_SLOW_STEP)) as database:
        assert version_of(database) == 2
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == "from version 1"
