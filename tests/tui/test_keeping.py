"""Drafts and deletions: written a moment later, taken back in time, and nothing lost or stuck at the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.tui.stored import add_turn

from llmchat_engine import HostUnreachable
from llmchat_tui.errors import NotFound, StorageUnwritable, UserError
from llmchat_tui.history import History
from llmchat_tui.keeping import Keeper

PATIENCE = 20.0
NEVER = 3600.0


@dataclass
class Stage:
    """A keeper over a history, and what it could not write."""

    history: History
    draft_seconds: float = 0.0
    undo_seconds: float = NEVER
    failures: list[UserError] = field(default_factory=list)
    written: queue.SimpleQueue[tuple[str, ...]] = field(default_factory=queue.SimpleQueue)
    """Every write and deletion that was tried."""
    forgotten: list[str] = field(default_factory=list)
    """What the engine was told to forget."""

    def __post_init__(self) -> None:
        for name in ("keep_draft", "delete"):
            self._tell_of(name)
        self.keeper = Keeper(
            self.history,
            self.failures.append,
            draft_seconds=self.draft_seconds,
            undo_seconds=self.undo_seconds,
            forget=self.forget,
        )

    def forget(self, conversation_id: str) -> None:
        self.forgotten.append(conversation_id)

    def _tell_of(self, name: str) -> None:
        method = getattr(self.history, name)

        def tried(*arguments: Any) -> None:
            try:
                method(*arguments)
            finally:
                self.written.put((name, *arguments))

        setattr(self.history, name, tried)

    def take(self) -> tuple[str, ...]:
        return self.written.get(timeout=PATIENCE)


@pytest.fixture
def chat(history: History) -> str:
    return add_turn(history, "a question", "an answer")


@pytest.fixture
def now(history: History) -> Iterator[Stage]:
    """Drafts are written at once, deletions never by themselves."""
    made = Stage(history)
    yield made
    made.keeper.close()


@pytest.fixture
def later(history: History) -> Iterator[Stage]:
    """Nothing is written by itself."""
    made = Stage(history, draft_seconds=NEVER)
    yield made
    made.keeper.close()


def test_a_draft_is_written_by_itself(now: Stage, chat: str) -> None:
    now.keeper.keep_draft(chat, "a draft")
    assert now.take() == ("keep_draft", chat, "a draft")
    assert now.history.draft(chat) == "a draft"
    now.keeper.keep_draft(chat, "")
    now.take()
    assert now.history.draft(chat) == ""


def test_a_draft_rests_before_it_is_written(history: History, chat: str) -> None:
    stage = Stage(history, draft_seconds=0.05)
    for length in range(1, 6):
        stage.keeper.keep_draft(chat, "x" * length)
    while stage.take()[2] != "xxxxx":
        pass
    assert stage.history.draft(chat) == "xxxxx" and stage.written.empty()
    stage.keeper.close()


def test_a_draft_that_is_not_written_yet_is_seen(later: Stage, chat: str) -> None:
    later.history.keep_draft(chat, "old")
    assert later.keeper.draft(chat) == "old"
    later.keeper.keep_draft(chat, "new")
    assert (later.keeper.draft(chat), later.history.draft(chat)) == ("new", "old")
    later.keeper.keep_draft(chat, "")
    assert later.keeper.draft(chat) == ""


def test_drafts_of_several_chats_and_of_the_new_one_keep_apart(later: Stage, chat: str) -> None:
    other = add_turn(later.history, "another", "answer")
    drafts = {chat: "one", other: "two", "": "three"}
    for key, text in drafts.items():
        later.keeper.keep_draft(key, text)
    later.keeper.close()
    assert {key: later.history.draft(key) for key in drafts} == drafts


def test_closing_writes_drafts_and_deletes_the_doomed(later: Stage, chat: str) -> None:
    other = add_turn(later.history, "another", "answer")
    later.keeper.keep_draft(chat, "at the last moment")
    later.keeper.doom(other)
    later.keeper.close()
    assert later.history.draft(chat) == "at the last moment"
    assert [found.id for found in later.history.conversations()] == [chat]
    later.keeper.close()
    assert later.failures == []


def test_closing_one_that_never_kept_anything(history: History) -> None:
    Keeper(history, lambda error: None).close()


def test_a_doomed_chat_is_hidden_and_can_be_taken_back(later: Stage, chat: str) -> None:
    keeper = later.keeper
    assert [len(part) for part in keeper.look("question", 10)] == [1, 1]
    keeper.doom(chat)
    assert keeper.look("", 10) == ([], [])
    assert keeper.look("question", 10) == ([], [])
    assert keeper.spare() == chat
    assert [found.id for found in keeper.look("", 10)[0]] == [chat]
    assert keeper.spare() == ""


def test_the_last_deletion_is_taken_back_first(later: Stage, chat: str) -> None:
    other = add_turn(later.history, "another", "answer")
    later.keeper.doom(chat)
    later.keeper.doom(other)
    assert (later.keeper.spare(), later.keeper.spare(), later.keeper.spare()) == (other, chat, "")


def test_a_deletion_happens_when_its_time_is_up(history: History, chat: str) -> None:
    stage = Stage(history, undo_seconds=0.0)
    stage.keeper.doom(chat)
    assert stage.take() == ("delete", chat)
    assert history.conversations() == [] and stage.keeper.spare() == ""
    stage.keeper.close()


def test_what_the_engine_keeps_of_a_deleted_chat_goes_with_it(later: Stage, chat: str) -> None:
    other = add_turn(later.history, "another", "answer")
    later.keeper.doom(chat)
    later.keeper.doom(other)
    assert later.keeper.spare(chat) == chat
    assert later.forgotten == []
    later.keeper.close()
    assert later.forgotten == [other]


def test_so_does_what_it_keeps_of_a_chat_that_was_deleted_elsewhere(later: Stage, chat: str) -> None:
    later.history.delete(chat)
    later.keeper.doom(chat)
    later.keeper.close()
    assert (later.forgotten, later.failures) == ([chat], [])


@pytest.mark.parametrize("error", [UserError("the disk keeps it"), HostUnreachable("the disk keeps it")], ids=repr)
def test_an_engine_that_cannot_forget_is_told_of(history: History, chat: str, error: Exception) -> None:
    def refuse(_: str) -> None:
        raise error

    told: list[UserError] = []
    keeper = Keeper(history, told.append, forget=refuse)
    keeper.doom(chat)
    keeper.close()
    assert [failure.what for failure in told] == ["the disk keeps it"]
    assert history.conversations() == []


def test_a_page_is_as_long_as_was_asked_for_though_some_are_doomed(later: Stage) -> None:
    chats = [add_turn(later.history, f"question {number}", "answer") for number in range(6)]
    later.keeper.doom(chats[5])
    assert len(later.keeper.look("", 3)[0]) == 3


def test_a_chat_that_was_deleted_elsewhere_is_no_failure(now: Stage, chat: str) -> None:
    now.history.delete(chat)
    now.take()
    now.keeper.keep_draft(chat, "a draft")
    now.take()
    now.keeper.doom(chat)
    now.keeper.close()
    assert now.failures == []


class Refusing:
    """A history whose disk is full."""

    def __init__(self) -> None:
        self.tried: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.works = threading.Event()

    def keep_draft(self, key: str, text: str) -> None:
        self.tried.put(text)
        if not self.works.is_set():
            raise StorageUnwritable("cannot write chats.db", "the disk is full")

    def delete(self, key: str) -> None:
        self.keep_draft(key, "deletion")

    def draft(self, key: str) -> str:
        raise NotFound(f"no chat {key}")


def test_a_disk_that_is_full_is_told_once_and_nothing_else_breaks() -> None:
    history, told = Refusing(), queue.SimpleQueue[UserError]()
    keeper = Keeper(history, told.put, draft_seconds=0.0, undo_seconds=0.0)  # type: ignore[arg-type]
    keeper.keep_draft("a", "one")
    assert told.get(timeout=PATIENCE).why == "the disk is full"
    assert history.tried.get(timeout=PATIENCE) == "one"
    keeper.doom("b")
    assert history.tried.get(timeout=PATIENCE) == "deletion"
    told.get(timeout=PATIENCE)
    history.works.set()
    keeper.keep_draft("a", "two")
    assert history.tried.get(timeout=PATIENCE) == "two"
    keeper.close()
    assert told.empty() and history.tried.empty()


def test_what_is_typed_while_a_draft_is_written_is_written_too(history: History, chat: str) -> None:
    entered, leave = threading.Event(), threading.Event()
    keep = history.keep_draft

    def slow(key: str, text: str) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        keep(key, text)

    history.keep_draft = slow  # type: ignore[method-assign, assignment]
    keeper = Keeper(history, lambda error: None, draft_seconds=0.0)
    keeper.keep_draft(chat, "first")
    assert entered.wait(PATIENCE)
    keeper.keep_draft(chat, "second")
    assert keeper.draft(chat) == "second"
    leave.set()
    keeper.close()
    assert history.draft(chat) == "second"


def test_a_deletion_that_is_taken_back_while_another_is_done_is_not_done(history: History, chat: str) -> None:
    other = add_turn(history, "another", "answer")
    entered, leave = threading.Event(), threading.Event()
    delete = history.delete

    def slow(key: str) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        delete(key)

    history.delete = slow  # type: ignore[method-assign, assignment]
    keeper = Keeper(history, lambda error: None, undo_seconds=0.0)
    keeper._wake = lambda: None  # type: ignore[method-assign]
    keeper.doom(chat)
    keeper.doom(other)
    writer = threading.Thread(target=keeper.close)
    writer.start()
    assert entered.wait(PATIENCE)
    assert keeper.spare() == other
    leave.set()
    writer.join(PATIENCE)
    assert [found.id for found in history.conversations()] == [other]


class LateLock(threading.Condition):
    """A lock that is got, the first time the keeper's thread asks for it, only after `close` was called."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.closing = threading.Event(), threading.Event()

    def __enter__(self) -> bool:
        if threading.current_thread().name == "keeper" and not self.reached.is_set():
            self.reached.set()
            assert self.closing.wait(PATIENCE)
        return super().__enter__()

    def notify(self, n: int = 1) -> None:
        super().notify(n)
        if self.reached.is_set():
            self.closing.set()


def test_closing_between_two_rounds_of_the_thread_is_heard(history: History, chat: str) -> None:
    """The wake-up of `close` may come while the thread is on its way to sleep."""
    keeper = Keeper(history, lambda error: None)
    lock = LateLock()
    keeper._changed = lock
    keeper.doom(chat)
    assert lock.reached.wait(PATIENCE)
    assert keeper.spare() == chat
    closing = threading.Thread(target=keeper.close, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
