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

from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.history.connection import connect
from llmchat_tui.history.opening import open_file
from llmchat_tui.history.schema import MIGRATIONS, version_of

SEED = int(os.environ.get("LLMCHAT_TEST_SEED", "20261122"))
KILLS = 8
NEWEST = len(MIGRATIONS)
BACKUP = f"chats.db.backup-v{NEWEST}"
TITLE = "from the version before"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "chats.db"
    with History.open(path) as history:
        history.begin(TITLE)
    return path


def version_1(path: Path) -> None:
    """Writes a database as the first release left it: a turn that ended, and one whose writer died."""
    with closing(open_file(path, unclean=False, migrations=MIGRATIONS[:1])) as database:
        database.execute("INSERT INTO conversations VALUES ('C1', 'Towers', 'Be brief.', 10.0, 20.0)")
        database.execute(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, owner, created_at, token_ids)"
            " VALUES ('Q1', 'C1', NULL, 'user', 'Where is the tower?', 'complete', '', 10.0, x''),"
            " ('R1', 'C1', 'Q1', 'assistant', 'In Paris.', 'complete', '', 11.0, x'0100000002000000'),"
            " ('Q2', 'C1', 'R1', 'user', 'How high?', 'complete', '', 12.0, x''),"
            " ('R2', 'C1', 'Q2', 'assistant', 'It stands', 'streaming', 'gone', 13.0, x'')"
        )


def version_2(path: Path) -> None:
    """Writes a database as the second release left it: a question with two replies, and a draft."""
    with closing(open_file(path, unclean=False, migrations=MIGRATIONS[:2])) as database:
        database.execute("INSERT INTO conversations VALUES ('C1', 'Towers', '', 10.0, 20.0, '{\"top_k\":3}')")
        database.execute(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
            " VALUES ('Q1', 'C1', NULL, 'user', 'Where is the tower?', 'complete', 10.0),"
            " ('R1', 'C1', 'Q1', 'assistant', 'In Paris.', 'complete', 11.0),"
            " ('R2', 'C1', 'Q1', 'assistant', 'In Rome.', 'complete', 12.0)"
        )
        database.execute("INSERT INTO drafts VALUES ('C1', 'How high')")


def add_colour(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE third (x)")
    raise sqlite3.OperationalError("the step failed")


def columns(connection: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in connection.execute("PRAGMA table_info(conversations)")}


def test_a_step_leads_to_the_next_version_and_keeps_the_old_file(old: Path) -> None:
    with closing(open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour))) as database:
        assert version_of(database) == NEWEST + 1
        assert "colour" in columns(database)
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == TITLE
    backup = old.with_name(BACKUP)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(connect(backup, "ro")) as database:
        assert version_of(database) == NEWEST
        assert "colour" not in columns(database)
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == TITLE
    assert list(old.parent.glob("*.part*")) == []


def test_the_backup_opens_as_a_history(old: Path, tmp_path: Path) -> None:
    open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour)).close()
    restored = tmp_path / "restored.db"
    old.with_name(BACKUP).rename(restored)
    with History.open(restored) as history:
        assert history.check() == []
        assert [chat.title for chat in history.conversations()] == [TITLE]


def test_two_steps_make_one_backup(old: Path) -> None:
    steps = (*MIGRATIONS, add_colour, lambda connection: connection.execute("CREATE TABLE third (x)") and None)
    with closing(open_file(old, unclean=False, migrations=steps)) as database:
        assert version_of(database) == NEWEST + 2
    assert [path.name for path in old.parent.glob("*backup*")] == [BACKUP]


def test_no_step_makes_no_backup(old: Path) -> None:
    open_file(old, unclean=False).close()
    assert list(old.parent.glob("*backup*")) == []


def test_a_step_that_fails_leaves_the_version_before(old: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="the step failed"):
        open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour, fail))
    with closing(connect(old, "ro")) as database:
        assert version_of(database) == NEWEST + 1
        assert "colour" in columns(database)
        assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'third'").fetchone()[0] == 0


def test_a_backup_that_was_cut_off_is_made_again(old: Path) -> None:
    old.with_name(f"{BACKUP}.part").write_bytes(b"half of it")
    open_file(old, unclean=False, migrations=(*MIGRATIONS, add_colour)).close()
    with closing(connect(old.with_name(BACKUP), "ro")) as database:
        assert version_of(database) == NEWEST


def test_a_kill_inside_a_step_leaves_the_version_before(old: Path) -> None:
    with Child("migrate") as child:
        child.go(old)
        child.wait_for("inside")
        assert "migrated\n" not in child.kill()
    with closing(connect(old, "rw")) as database:
        assert (version_of(database), "colour" in columns(database)) == (NEWEST, False)
    with History.open(old) as history:
        assert [chat.title for chat in history.conversations()] == [TITLE]
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
        assert version in (NEWEST, NEWEST + 1)
        assert ("colour" in columns(database)) == (version == NEWEST + 1)
        if version == NEWEST + 1:
            assert database.execute("SELECT count(*) FROM extra").fetchone()[0] == NEW_ROWS
            assert path.with_name(BACKUP).exists()
    with closing(open_file(path, unclean=True, migrations=WITH_SLOW_STEP)) as database:
        assert version_of(database) == NEWEST + 1
        assert database.execute("SELECT title FROM conversations").fetchone()[0] == TITLE


def test_version_1_comes_along_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    version_1(path)

    with History.open(path) as history:
        (chat,) = history.conversations()
        assert (chat.id, chat.title, chat.system, chat.created_at) == ("C1", "Towers", "Be brief.", 10.0)
        assert (chat.sampling, chat.leaf_id, chat.message_count) == ({}, "R2", 4)
        messages = history.path("R2")
        assert [m.text for m in messages] == ["Where is the tower?", "In Paris.", "How high?", "It stands"]
        assert (messages[1].token_ids, messages[3].status) == ((1, 2), "interrupted")
        assert [hit.message_id for hit in history.search("paris")] == ["R1"]
        assert [hit.message_id for hit in history.search("in pa", prefix=True)] == ["R1"]
        assert [hit.message_id for hit in history.search("stands")] == ["R2"]
        begun = history.begin("And now?", conversation_id="C1", parent_id="R2")
        history.finish(begun.reply_id, ReplyEnd("Now too.", "complete"))
        history.configure("C1", sampling={"top_k": 3})
        history.keep_draft("C1", "half")
        assert (history.conversation("C1").sampling, history.draft("C1")) == ({"top_k": 3}, "half")
        assert history.check() == []

    with closing(connect(path.with_name("chats.db.backup-v1"), "ro")) as backup:
        assert version_of(backup) == 1
        assert backup.execute("SELECT count(*) FROM messages").fetchone()[0] == 4


def test_version_2_comes_along_with_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    version_2(path)

    with History.open(path) as history:
        (chat,) = history.conversations()
        assert (chat.leaf_id, chat.message_count, chat.sampling) == ("R2", 3, {"top_k": 3})
        assert history.draft("C1") == "How high"
        assert [hit.message_id for hit in history.search("paris")] == ["R1"]
        history.choose("C1", "R1")
        assert history.conversation("C1").leaf_id == "R1"
        assert history.siblings("R1") == ["R1", "R2"]
        assert history.check() == []

    with closing(connect(path.with_name("chats.db.backup-v2"), "ro")) as backup:
        assert version_of(backup) == 2
        assert backup.execute("SELECT leaf_id FROM chats").fetchone()[0] == "R2"


def test_a_kill_on_the_way_from_version_2_leaves_one_version_or_the_other(tmp_path: Path) -> None:
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED)
    with ExitStack() as stack:
        children = [stack.enter_context(Child("migrate")) for _ in range(KILLS)]
        for number, child in enumerate(children):
            path = tmp_path / str(number) / "chats.db"
            version_2(path)
            child.wait_for("ready")
            child.go(path)
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=chance.uniform(0.0005, 0.01))
            child.kill()
            with closing(connect(path, "rw")) as database:
                version = version_of(database)
                columns_now = columns(database)
            assert ("chosen_id" in columns_now) == (version >= 3)
            assert path.with_name("chats.db.backup-v2").exists() >= (version >= 3)
            with closing(open_file(path, unclean=True, migrations=WITH_SLOW_STEP)) as database:
                assert version_of(database) == NEWEST + 1
                assert database.execute("SELECT leaf_id FROM chats").fetchone()[0] == "R2"


def test_a_message_of_an_older_instance_takes_a_choice_back(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    version_2(path)
    with closing(connect(path, "rw")) as older, History.open(path) as history:
        history.choose("C1", "R1")
        older.execute(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
            " VALUES ('Q3', 'C1', 'R2', 'user', 'zebra', 'complete', 13.0)"
        )
        assert history.conversation("C1").leaf_id == "Q3"
        assert history.check() == []


def test_an_instance_of_version_1_goes_on_beside_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    version_1(path)
    with closing(connect(path, "rw")) as older, History.open(path) as history:
        older.execute("INSERT INTO conversations (id, title, system, created_at, updated_at) VALUES ('C2','t','',1,1)")
        older.execute(
            "INSERT INTO messages (id, conversation_id, role, text, status, created_at)"
            " VALUES ('Q9', 'C2', 'user', 'zebra', 'complete', 1)"
        )
        assert [hit.message_id for hit in history.search("zeb", prefix=True)] == ["Q9"]
        assert history.check() == []
