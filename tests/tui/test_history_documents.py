"""What history keeps for the documents: the collections of a chat, and what is known of a reply after it has ended."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tui.history_kill_child import WITH_SLOW_STEP, Child

from llmchat_tui.errors import NotFound, StorageDamaged
from llmchat_tui.history import Conversation, History, ReplyEnd, StoredMessage
from llmchat_tui.history.connection import connect
from llmchat_tui.history.opening import open_file
from llmchat_tui.history.rows import pack_names, unpack_names
from llmchat_tui.history.schema import MIGRATIONS, version_of

KILLS = 8
TEXTS = st.text(st.characters(codec="utf-8"))


def version_3(path: Path) -> None:
    """Writes a database as the third release left it: a question with two replies, the first one chosen."""
    with closing(open_file(path, unclean=False, migrations=MIGRATIONS[:3])) as database:
        database.execute(
            "INSERT INTO conversations (id, title, system, sampling, created_at, updated_at)"
            " VALUES ('C1', 'Towers', '', '{\"top_k\":3}', 10.0, 20.0)"
        )
        database.execute(
            "INSERT INTO messages (id, conversation_id, parent_id, role, text, status, created_at)"
            " VALUES ('Q1', 'C1', NULL, 'user', 'Where is the tower?', 'complete', 10.0),"
            " ('R1', 'C1', 'Q1', 'assistant', 'In Paris.', 'complete', 11.0),"
            " ('R2', 'C1', 'Q1', 'assistant', 'In Rome.', 'complete', 12.0)"
        )
        database.execute("UPDATE conversations SET chosen_id = 'R1'")


class TestMigration:
    def test_version_3_comes_along_with_all_it_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "chats.db"
        version_3(path)
        with History.open(path) as history:
            (chat,) = history.conversations()
            assert (chat.leaf_id, chat.message_count, chat.sampling) == ("R1", 3, {"top_k": 3})
            assert chat.collections == ()
            history.configure("C1", collections=("notes", "wiki"))
            assert history.conversation("C1").collections == ("notes", "wiki")
            assert history.conversation("C1").leaf_id == "R1"
            history.annotate("R2", {"verdicts": []})
            assert [hit.message_id for hit in history.search("rome")] == ["R2"]
            assert history.check() == []
        with closing(connect(path.with_name("chats.db.backup-v3"), "ro")) as backup:
            assert version_of(backup) == 3
            assert backup.execute("SELECT leaf_id FROM chats").fetchone()[0] == "R1"

    def test_a_kill_on_the_way_leaves_one_version_or_the_other(self, tmp_path: Path) -> None:
        for number in range(KILLS):
            path = tmp_path / str(number) / "chats.db"
            version_3(path)
            with Child("migrate") as child:
                child.wait_for("ready")
                child.go(path)
                with suppress(subprocess.TimeoutExpired):
                    child.process.wait(timeout=0.001 * number)
                child.kill()
            with closing(connect(path, "rw")) as database:
                version = version_of(database)
                names = {row["name"] for row in database.execute("PRAGMA table_info(conversations)")}
            assert ("documents" in names) == (version >= 4)
            with closing(open_file(path, unclean=True, migrations=WITH_SLOW_STEP)) as database:
                assert database.execute("SELECT leaf_id, documents FROM chats").fetchone()[:] == ("R1", "[]")

    def test_an_instance_of_version_3_goes_on_beside_a_newer_one(self, tmp_path: Path) -> None:
        path = tmp_path / "chats.db"
        version_3(path)
        with closing(connect(path, "rw")) as older, History.open(path) as history:
            older.execute(
                "INSERT INTO conversations (id, title, system, sampling, created_at, updated_at)"
                " VALUES ('C2', 't', '', '{}', 1, 1)"
            )
            older.execute(
                "INSERT INTO messages (id, conversation_id, role, text, status, created_at)"
                " VALUES ('Q9', 'C2', 'user', 'zebra', 'complete', 1)"
            )
            assert history.conversation("C2").collections == ()
            assert history.check() == []


class TestCollections:
    def test_a_new_chat_has_the_ones_it_was_begun_with(self, history: History) -> None:
        begun = history.begin("one", collections=("notes",))
        assert history.conversation(begun.conversation_id).collections == ("notes",)
        assert history.conversation(history.begin("two").conversation_id).collections == ()

    def test_they_are_changed_alone(self, history: History) -> None:
        chat = history.begin("one", system="Be brief.", sampling={"seed": 7}).conversation_id
        before = history.conversation(chat)
        history.configure(chat, collections=("a b", "ü"))
        after = history.conversation(chat)
        assert (after.collections, after.system, after.sampling) == (("a b", "ü"), "Be brief.", {"seed": 7})
        assert after.updated_at == before.updated_at
        history.configure(chat, system="")
        assert history.conversation(chat).collections == ("a b", "ü")
        history.configure(chat, collections=())
        assert history.conversation(chat).collections == ()

    def test_a_chat_from_elsewhere_brings_them(self, history: History) -> None:
        chat = Conversation("old", "t", "", 5.0, 9.0, collections=("notes",))
        added = history.add(chat, [StoredMessage("q", "old", "", "user", "hi", "complete", 6.0)])
        assert history.conversation(added).collections == ("notes",)

    @pytest.mark.parametrize("stored", ["{}", "[1]", "no", "7"])
    def test_what_was_never_written_is_damage(self, tmp_path: Path, stored: str) -> None:
        path = tmp_path / "chats.db"
        with History.open(path) as history:
            history.begin("one")
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE conversations SET documents = ?", (stored,))
        with History.open(path) as history, pytest.raises(StorageDamaged):
            history.conversations()


@given(st.lists(TEXTS, max_size=5))
@settings(max_examples=30)
def test_names_come_back(names: list[str]) -> None:
    assert unpack_names(pack_names(names)) == tuple(names)


class TestAnnotate:
    def test_adds_to_what_is_known_of_a_reply(self, history: History) -> None:
        begun = history.begin("one")
        end = ReplyEnd("three", "complete", settings={"model": "m", "verdicts": [1]})
        history.finish(begun.reply_id, end)
        updated = history.conversation(begun.conversation_id).updated_at
        history.annotate(begun.reply_id, {"verdicts": [{"mark": "weak", "better": None}]})
        reply = history.path(begun.reply_id)[-1]
        assert reply.settings == {"model": "m", "verdicts": [{"mark": "weak", "better": None}]}
        assert (reply.text, reply.status) == ("three", "complete")
        assert history.conversation(begun.conversation_id).updated_at == updated
        assert [hit.message_id for hit in history.search("three")] == [begun.reply_id]
        assert history.check() == []

    def test_only_a_reply_that_ended(self, history: History) -> None:
        begun = history.begin("one")
        for message_id in (begun.question_id, begun.reply_id, "nothing"):
            with pytest.raises(NotFound):
                history.annotate(message_id, {"verdicts": []})
        assert history.path(begun.reply_id)[-1].settings == {}
