"""What is done when nobody asks: the next prompt's beginning, copies, files; and that it stops when somebody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.cache_memory import Memory, Script, ramp

from llmchat_engine.errors import GenerationFailed
from llmchat_engine.events import Finished
from llmchat_engine.host.cache import Want
from llmchat_engine.host.idle import COPY_AFTER, READY_AFTER, WRITE_ALL_AFTER, Idle, NextTurn, next_turn
from llmchat_engine.host.prompt import Prompt
from llmchat_engine.kvstore import KvStore
from llmchat_engine.kvstore.values import pack_ids
from llmchat_engine.types import Message, Request, Sampling

MODEL = "m" * 64
QUESTION = Message("user", "why?")
SYSTEM, ASKED, REPLY, FOOTER = ramp(80), ramp(100, 1), ramp(90, 2), ramp(4, 3)
WANT = Want("chat", store=True, shared=len(SYSTEM))


def finished(text: str = "so", ids: tuple[int, ...] = (5, 6)) -> Finished:
    return Finished("eog", text, ids, 1, 0, 1, 2, 0.0, 0.0, 0.0, Sampling())


class Bench:
    """One chat that was just answered; `ahead` is what its next prompt begins with."""

    def __init__(self, store: KvStore | None = None) -> None:
        self.script = Script(Memory(), store=store)
        self.script.run(SYSTEM + ASKED, REPLY, WANT)
        self.ahead = SYSTEM + ASKED + REPLY + FOOTER
        self.asked = 0
        self.error: Exception | None = None
        self.idle = Idle(self.script.cache, self.prompt_of, self.script.compute)

    def prompt_of(self, request: Request) -> Prompt:
        self.asked += 1
        if self.error:
            raise self.error
        ids = (*self.ahead, 99)
        return Prompt("", ids, (*(0 for _ in request.messages[:-1]), len(self.ahead)))

    def answered(self) -> None:
        upcoming = next_turn(Request((QUESTION,), chat="chat"), finished(), MODEL, WANT)
        assert upcoming
        self.idle.after(upcoming)

    def rest(self) -> None:
        """Does all that there is to do, without waiting for it to be due."""
        while self.idle.patience() is not None:
            self.idle.work()


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.answered()
    return bench


@pytest.fixture
def store(tmp_path: Path) -> KvStore:
    return KvStore(tmp_path / "kv", "ab" * 32, 1 << 20)


@pytest.fixture
def disk(store: KvStore) -> Iterator[Bench]:
    bench = Bench(store)
    bench.answered()
    yield bench
    assert bench.script.parking.flush(5)


def lengths(bench: Bench, store: KvStore) -> list[int]:
    assert bench.script.parking.flush(5)
    return sorted(entry.tokens for entry in store.entries())


def test_a_new_host_gets_ready_and_then_has_nothing_to_do() -> None:
    bench = Bench()
    assert 0 < (bench.idle.patience() or 0) <= READY_AFTER
    bench.idle.work()
    assert bench.asked == 1
    assert bench.idle.patience() is None


def test_the_cache_is_made_for_the_longest_chat_that_can_come_back(store: KvStore) -> None:
    for tokens in (300, 700, 9_000):
        store.save(f"chat {tokens}", ramp(tokens, tokens), b"state", grid=0)
    bench = Bench(store)
    bench.script.memory.n_ctx, bench.script.memory.cells = 4096, 512
    bench.idle.work()
    assert 700 <= bench.script.memory.cells <= 4096


def test_what_is_due_when(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.idle.patience() == 0.0
    bench.idle.work()
    assert COPY_AFTER - 1 < (bench.idle.patience() or 0) <= COPY_AFTER
    bench.idle.work()
    assert WRITE_ALL_AFTER - 1 < (bench.idle.patience() or 0) <= WRITE_ALL_AFTER
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + WRITE_ALL_AFTER + 1)
    assert bench.idle.patience() == 0.0
    bench.idle.work()
    assert bench.idle.patience() is None


def test_what_the_next_turn_begins_with_is_computed(bench: Bench) -> None:
    bench.idle.work()
    assert bench.script.cache.ids.tolist() == bench.ahead
    assert len(bench.script.cache.sequences.lines) == 1
    assert bench.script.run([*bench.ahead, 99]).cached == len(bench.ahead)


def test_a_thought_that_leaves_the_context_is_computed_away_and_the_old_branch_goes_first(bench: Bench) -> None:
    bench.ahead = SYSTEM + ASKED + REPLY[50:] + FOOTER
    bench.idle.work()
    cache = bench.script.cache
    assert cache.ids.tolist() == bench.ahead
    (old,) = [line for line in cache.sequences.lines if line is not cache.active]
    assert old.spent and not cache.active.spent
    bench.script.run([*bench.ahead, *ramp(10, 5)], ramp(5), Want("other"))
    assert not bench.script.parking.holds("chat", pack_ids(SYSTEM + ASKED + REPLY[:-1]))
    assert bench.script.parking.holds("chat", pack_ids(bench.ahead))


def test_a_spent_branch_that_is_asked_on_is_none_any_more(bench: Bench) -> None:
    bench.ahead = SYSTEM + ASKED + REPLY[50:] + FOOTER
    bench.idle.work()
    bench.script.run([*SYSTEM, *ASKED, *REPLY, 7])
    assert not bench.script.cache.active.spent


def test_work_that_was_stopped_goes_on_where_it_was(bench: Bench) -> None:
    bench.ahead = SYSTEM + ASKED + REPLY + ramp(100, 4)
    memory = bench.script.memory
    memory.on_decode = lambda decoded: setattr(memory, "aborted", decoded >= 300)
    bench.idle.work()
    assert 269 < len(bench.script.cache.ids) < len(bench.ahead)
    assert bench.idle.patience() == 0.0
    memory.on_decode, memory.aborted = lambda _: None, False
    before = memory.decoded
    bench.idle.work()
    assert bench.script.cache.ids.tolist() == bench.ahead
    assert memory.decoded < before + 100
    assert bench.idle.patience() != 0.0


def test_what_cannot_be_prepared_is_left_to_the_next_turn(bench: Bench) -> None:
    bench.error = GenerationFailed("it failed", "no room")
    bench.idle.work()
    assert bench.idle.patience() != 0.0


def test_what_fails_unforeseen_is_not_tried_again_and_again(bench: Bench) -> None:
    bench.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        bench.idle.work()
    assert bench.idle.patience() != 0.0
    assert bench.asked == 1


def test_a_prompt_that_fills_the_context_is_not_prepared(bench: Bench) -> None:
    bench.ahead = ramp(bench.script.memory.n_ctx)
    before = bench.script.memory.decoded
    bench.idle.work()
    assert bench.script.memory.decoded == before


def test_a_forgotten_chat_is_not_computed_again(bench: Bench) -> None:
    bench.script.parking.forget("chat")
    bench.script.cache.forget("chat")
    bench.rest()
    assert bench.script.memory.used() == 0
    assert bench.script.parking.size == 0


def test_after_two_seconds_the_chat_is_in_memory_twice_and_on_disk(disk: Bench, store: KvStore) -> None:
    disk.idle.work()
    assert disk.script.parking.size == 0
    disk.idle.work()
    assert disk.script.parking.holds("chat", pack_ids(disk.ahead))
    assert lengths(disk, store) == [len(SYSTEM), len(disk.ahead)]


def test_little_that_is_new_waits_for_the_end(disk: Bench, store: KvStore) -> None:
    disk.rest()
    first = len(disk.ahead)
    assert lengths(disk, store) == [len(SYSTEM), first]
    disk.script.run([*disk.ahead, *ramp(20, 7)], want=WANT)
    disk.ahead += ramp(20, 7)
    disk.answered()
    disk.idle.work()
    disk.idle.work()
    assert lengths(disk, store) == [len(SYSTEM), first]
    assert disk.idle.finish(5)
    assert lengths(disk, store) == [len(SYSTEM), first + 20]


def test_at_the_end_all_is_written_also_what_left_the_context(disk: Bench, store: KvStore) -> None:
    disk.idle.work()
    disk.script.run(ramp(300, 8), want=Want("other", store=True))
    disk.script.run(ramp(30, 9), want=Want())
    disk.idle.after(None)
    assert disk.idle.finish(5)
    assert lengths(disk, store) == [len(disk.ahead), 300]


@pytest.mark.parametrize("field", ["private", "moved_from"])
def test_what_is_not_to_be_kept_is_not(disk: Bench, store: KvStore, field: str) -> None:
    setattr(disk.script.cache.active, field, 1)
    disk.idle.after(None)
    disk.rest()
    disk.idle.finish(5)
    assert disk.script.parking.size == 0
    assert lengths(disk, store) == []


def test_a_chat_that_is_not_to_be_stored_is_copied_and_not_written(disk: Bench, store: KvStore) -> None:
    disk.script.cache.active.store = False
    disk.idle.after(None)
    disk.rest()
    disk.idle.finish(5)
    assert disk.script.parking.size > 0
    assert lengths(disk, store) == []


class TestNextTurn:
    """What is known of the prompt to come."""

    def turn(self, request: Request, end: Finished | None = None) -> tuple[Message, ...]:
        upcoming = next_turn(request, end or finished(), MODEL, Want("chat", exact=True, shift=True))
        assert isinstance(upcoming, NextTurn)
        assert upcoming.want == Want("chat")
        *path, any_question = upcoming.request.messages
        assert any_question.role == "user"
        return tuple(path)

    @pytest.mark.parametrize(
        "request_",
        [
            Request((QUESTION,)),
            Request((QUESTION,), chat="chat", private=True),
            Request((QUESTION,), chat="chat", raw=True),
            Request((), chat="chat"),
        ],
        ids=["no chat", "private", "raw", "no message"],
    )
    def test_there_is_none(self, request_: Request) -> None:
        assert next_turn(request_, finished(), MODEL, Want()) is None

    def test_it_has_the_reply(self) -> None:
        path = self.turn(Request((QUESTION,), chat="chat"))
        assert path == (QUESTION, Message("assistant", "so", (5, 6), MODEL))

    def test_it_has_the_path_that_was_told(self) -> None:
        short = Message("user", "why, without the documents?")
        path = self.turn(Request((QUESTION,), chat="chat", next_messages=(short,)))
        assert path[0] == short

    def test_a_reply_that_went_on_is_one(self) -> None:
        begun = Message("assistant", "and ", (1, 2), MODEL)
        path = self.turn(Request((QUESTION, begun), chat="chat"))
        assert path == (QUESTION, Message("assistant", "and so", (1, 2, 5, 6), MODEL))

    @pytest.mark.parametrize(
        ("begun", "ids"),
        [
            (Message("assistant", "and "), (5, 6)),
            (Message("assistant", "and ", (1, 2), "another"), (5, 6)),
            (Message("assistant", "and ", (1, 2), MODEL), ()),
        ],
        ids=["no ids", "of another model", "none of the end"],
    )
    def test_ids_of_one_half_are_none(self, begun: Message, ids: tuple[int, ...]) -> None:
        path = self.turn(Request((QUESTION, begun), chat="chat"), finished("so", ids))
        assert path == (QUESTION, Message("assistant", "and so", (), MODEL))


def test_a_reply_that_came_out_the_same_twice_is_parked_when_its_chat_leaves(bench: Bench) -> None:
    bench.idle.work()
    bench.script.run([*SYSTEM, *ASKED], REPLY, Want("chat"))
    bench.answered()
    bench.idle.work()
    bench.script.run(ramp(80, 7), ramp(5), Want("other"))
    back = bench.script.run([*bench.ahead, 99], ramp(5), Want("chat"))
    assert back.cached >= len(SYSTEM + ASKED + REPLY) - 1
