"""Several instances on one database: nobody waits in vain, nothing is lost, and the dead are told from the living."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.tui.history_kill_child import BURST, Child

from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.history.liveness import Liveness


def test_four_processes_write_at_once_from_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fresh" / "chats.db"
    with ExitStack() as stack:
        children = [stack.enter_context(Child("burst")) for _ in range(4)]
        for child in children:
            child.wait_for("ready")
        for index, child in enumerate(children):
            child.go(path, index)
        finished = [line.split()[1] for child in children for line in child.lines]
        assert [child.process.wait() for child in children] == [0] * 4

    assert len(set(finished)) == 4 * BURST
    with History.open(path) as history:
        assert len(history.conversations(limit=1_000)) == 4 * BURST
        assert all(history.path(reply)[-1].text == "whole" for reply in finished)
        assert history.check() == []
    assert list((path.parent / "live").iterdir()) == []


def test_a_living_instance_keeps_its_reply_and_a_dead_one_loses_it(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with Child("hold") as child:
        child.go(path)
        _, _, reply = child.wait_for("asked")
        with History.open(path) as history:
            assert history.path(reply)[-1].status == "streaming"
            assert history.recover() == 0

            child.kill()

            assert history.recover() == 1
            assert history.recover() == 0
            assert history.path(reply)[-1].status == "interrupted"
            assert history.path(reply)[-1].text == "half"
    assert list((tmp_path / "live").iterdir()) == []


def test_an_instance_in_the_same_process_counts_as_alive(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History.open(path) as writer:
        begun = writer.begin("q")
        with History.open(path) as reader:
            assert reader.path(begun.reply_id)[-1].status == "streaming"
            assert writer.recover() == 0
        writer.checkpoint(begun.reply_id, "half")
    with History.open(path) as later:
        reply = later.path(begun.reply_id)[-1]
        assert (reply.status, reply.text) == ("interrupted", "half")
        assert [hit.message_id for hit in later.search("half")] == [begun.reply_id]


def test_a_reply_that_was_taken_for_dead_still_ends(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History.open(path) as writer:
        begun = writer.begin("q")
        for lock in (tmp_path / "live").iterdir():
            lock.unlink()
        with History.open(path) as other:
            assert other.path(begun.reply_id)[-1].status == "interrupted"
        writer.checkpoint(begun.reply_id, "late")

        writer.finish(begun.reply_id, ReplyEnd("the whole", "complete", (5,)))

        reply = writer.path(begun.reply_id)[-1]
        assert (reply.status, reply.text, reply.token_ids) == ("complete", "the whole", (5,))
        assert [hit.message_id for hit in writer.search("whole")] == [begun.reply_id]
        assert writer.check() == []


def test_readers_leave_no_lock_file(tmp_path: Path) -> None:
    with History.open(tmp_path / "chats.db") as history:
        assert history.latest() is None
        assert not (tmp_path / "live").exists()


def test_memory_has_nobody_to_recover() -> None:
    with History.in_memory() as history:
        history.begin("q")
        assert history.recover() == 0
        assert history.check() == []


def test_both_instances_append_to_one_chat(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with History.open(path) as one, History.open(path) as two:
        first = one.begin("q")
        one.finish(first.reply_id, ReplyEnd("a", "complete"))
        branches = [
            each.begin("next", conversation_id=first.conversation_id, parent_id=first.reply_id) for each in (one, two)
        ]
        assert len(one.messages(first.conversation_id)) == 6
        assert [two.path(begun.reply_id)[1].id for begun in branches] == [first.reply_id] * 2


def test_threads_share_one_history(tmp_path: Path) -> None:
    with History.open(tmp_path / "chats.db") as history:

        def work() -> None:
            for _ in range(10):
                begun = history.begin("q")
                history.checkpoint(begun.reply_id, "half")
                history.finish(begun.reply_id, ReplyEnd("whole", "complete"))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(history.search("whole", limit=100)) == 40


class TestLiveness:
    def test_the_dead_are_removed_only_when_the_work_on_them_succeeds(self, tmp_path: Path) -> None:
        (tmp_path / "GONE.lock").touch()
        live = Liveness(tmp_path, "ME")
        live.hold()
        with suppress(StorageUnwritable), live.dead():
            raise StorageUnwritable("no")
        assert live.is_known("GONE")

        with live.dead() as dead:
            assert dead == ["GONE"]

        assert not live.is_known("GONE")
        assert live.is_known("ME")
        live.release()
        assert list(tmp_path.iterdir()) == []

    def test_only_one_looks_after_the_dead(self, tmp_path: Path) -> None:
        (tmp_path / "GONE.lock").touch()
        with Liveness(tmp_path, "A").dead() as first, Liveness(tmp_path, "B").dead() as second:
            assert (first, second) == (["GONE"], [])

    def test_a_lock_file_that_was_swept_before_it_was_locked_is_made_again(self, tmp_path: Path) -> None:
        """The sweeper holds the new file's lock; the newcomer waits for it and finds its file gone."""
        newcomer = Liveness(tmp_path, "NEW")
        (tmp_path / "NEW.lock").touch()
        with Liveness(tmp_path, "SWEEPER").dead() as dead:
            assert dead == ["NEW"]
            thread = threading.Thread(target=newcomer.hold)
            thread.start()
        thread.join(timeout=10)

        assert newcomer.is_known("NEW")
        with Liveness(tmp_path, "SWEEPER").dead() as dead:
            assert dead == []
        newcomer.release()
