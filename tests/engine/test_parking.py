"""What is kept of chats outside the context: the budget, the disk behind it, and forgetting, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
from tests.engine.cache_memory import ramp

from llmchat_engine.host.lines import Parked
from llmchat_engine.host.parking import LEAST_SHARED, LEAST_STORED, Found, Parking
from llmchat_engine.kvstore import Checkpoint, Entry, KvStore
from llmchat_engine.kvstore.values import pack_ids

KEY = "ab" * 32
LONG = ramp(LEAST_STORED)


def parked(
    ids: Sequence[int] = LONG, chat: str = "chat", *, size: int = 100, store: bool = True, shared: bool = False
) -> Parked:
    return Parked(chat, pack_ids(ids), 0, memoryview(bytes(size)), (), store, shared)


def found(parking: Parking, ids: Sequence[int]) -> tuple[int, Found | None]:
    return parking.best(pack_ids(ids), rewindable=True, chunk=0, longest=10_000)


def in_memory(parking: Parking, ids: Sequence[int], chat: str = "chat") -> bool:
    return parking.holds(chat, pack_ids(ids)) is not None


@pytest.fixture
def parking() -> Parking:
    """Without a disk, with room for three."""
    return Parking(300, None, lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> KvStore:
    return KvStore(tmp_path / "kv", KEY, 1 << 20)


@pytest.fixture
def stored(store: KvStore) -> Iterator[Parking]:
    """With a disk; what is to be written is, in the end."""
    parking = Parking(300, store, lambda _: None)
    yield parking
    assert parking.flush(5)


def on_disk(parking: Parking, store: KvStore) -> list[int]:
    """Returns the lengths of what is on disk, once all is written."""
    assert parking.flush(5)
    return sorted(entry.tokens for entry in store.entries())


def test_what_was_put_is_found_and_fetched(parking: Parking) -> None:
    parking.put(parked(ramp(50)))
    length, best = found(parking, [*ramp(50), 7])
    assert length == 50 and best is not None
    fetched = parking.fetch(best)
    assert fetched and fetched.packed == pack_ids(ramp(50))


def test_the_longest_unused_goes_first(parking: Parking) -> None:
    for first in range(3):
        parking.put(parked(ramp(50, first)))
    _, best = found(parking, [*ramp(50, 0), 7])
    assert best is not None
    parking.fetch(best)
    parking.put(parked(ramp(50, 4)))
    assert [in_memory(parking, ramp(50, first)) for first in (0, 1, 2, 4)] == [True, False, True, True]
    assert parking.size == 300


def test_what_is_larger_than_the_budget_is_not_kept(parking: Parking) -> None:
    parking.put(parked(size=301))
    assert parking.size == 0


def test_checkpoints_count(parking: Parking) -> None:
    point = Checkpoint(3, bytes(250))
    parking.put(Parked("chat", pack_ids(LONG), 0, memoryview(bytes(100)), (point,)))
    assert parking.size == 0


def test_what_goes_on_takes_the_place_of_what_it_extends(parking: Parking) -> None:
    parking.put(parked(ramp(50)))
    parking.put(parked(ramp(50), "other"))
    parking.put(parked(ramp(60)))
    assert not in_memory(parking, ramp(50))
    assert in_memory(parking, ramp(60)) and in_memory(parking, ramp(50), "other")


def test_a_branch_does_not(parking: Parking) -> None:
    parking.put(parked(ramp(50)))
    parking.put(parked([*ramp(40), *ramp(20, 1)]))
    assert in_memory(parking, ramp(50))


def test_a_beginning_stays_beside_the_chat_that_begins_so(parking: Parking) -> None:
    parking.put(parked(ramp(50), shared=True))
    parking.put(parked(ramp(60)))
    assert in_memory(parking, ramp(50))


def test_of_two_that_give_the_same_the_smaller_is_taken_and_memory_before_the_disk(stored: Parking) -> None:
    stored.put(parked([*ramp(300), *ramp(50, 1)]))
    stored.put(parked([*ramp(300), *ramp(20, 2)]))
    assert stored.flush(5)
    stored.write_all()
    length, best = found(stored, [*ramp(300), 7])
    assert (length, isinstance(best, Parked), best and best.tokens) == (300, True, 320)


def test_what_a_window_left_is_given_whole_or_not_at_all(parking: Parking) -> None:
    parking.put(parked(ramp(50)))

    def best(ids: Sequence[int], window: int) -> int:
        return parking.best(pack_ids(ids), rewindable=True, chunk=0, longest=100, window=window)[0]

    assert [best([*ramp(40), 7], window) for window in (0, 20, 50)] == [40, 0, 40]
    assert best([*ramp(50), 7], 20) == 50


def test_what_leaves_the_memory_goes_to_the_disk(stored: Parking, store: KvStore) -> None:
    for first in range(5):
        stored.put(parked(ramp(LEAST_STORED + first, first), f"chat {first}"))
    assert on_disk(stored, store) == [LEAST_STORED, LEAST_STORED + 1]
    length, best = found(stored, [*LONG, 7])
    assert length == LEAST_STORED and isinstance(best, Entry)
    fetched = stored.fetch(best)
    assert fetched and fetched.packed == pack_ids(LONG) and bytes(fetched.state) == bytes(100)


@pytest.mark.parametrize(
    "parked",
    [
        parked(store=False),
        parked(chat=""),
        parked(LONG[:-1]),
        parked(ramp(LEAST_SHARED - 1), shared=True),
    ],
    ids=["not to be stored", "of no chat", "short", "short beginning"],
)
def test_what_is_not_written(stored: Parking, store: KvStore, parked: Parked) -> None:
    stored.put(parked)
    stored.write_all()
    assert on_disk(stored, store) == []
    assert stored.size == 100


def test_what_is_written_is_not_written_again(stored: Parking, store: KvStore) -> None:
    stored.put(parked(size=90))
    stored.write_all()
    (length,) = on_disk(stored, store)
    path = store.entries()[0].path
    before = path.stat().st_mtime_ns, path.stat().st_ino
    stored.write_all()
    assert on_disk(stored, store) == [length]
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_little_that_is_new_waits(stored: Parking, store: KvStore) -> None:
    stored.write(parked(ramp(400)), unless_new=100)
    assert on_disk(stored, store) == [400]
    stored.write(parked(ramp(499)), unless_new=100)
    assert on_disk(stored, store) == [400]
    stored.write(parked(ramp(500)), unless_new=100)
    assert on_disk(stored, store) == [500]


def test_a_beginning_is_new_where_only_a_chat_has_it(stored: Parking, store: KvStore) -> None:
    stored.write(parked(ramp(400)))
    assert on_disk(stored, store) == [400]
    stored.write(parked(ramp(100), shared=True))
    assert on_disk(stored, store) == [100, 400]


def test_forgetting_leaves_nothing_and_lets_nothing_in(stored: Parking, store: KvStore) -> None:
    stored.put(parked())
    stored.write_all()
    stored.put(parked(ramp(300, 1), "other"))
    stored.forget("chat")
    assert stored.has_forgotten("chat") and not stored.has_forgotten("other")
    stored.put(parked())
    stored.write(parked())
    assert on_disk(stored, store) == []
    assert not in_memory(stored, LONG) and in_memory(stored, ramp(300, 1), "other")


def test_forgetting_while_others_park_and_write(stored: Parking, store: KvStore) -> None:
    stop = threading.Event()

    def forget() -> None:
        for number in range(8):
            stored.forget(f"chat {number}")
        stop.set()

    thread = threading.Thread(target=forget)
    thread.start()
    while not stop.is_set():
        for number in range(0, 10, 3):
            stored.put(parked(ramp(300, number), f"chat {number}"))
    thread.join()
    assert on_disk(stored, store) == [300] * len(store.entries())
    assert not any(in_memory(stored, ramp(300, number), f"chat {number}") for number in range(8))
    assert {entry.packed for entry in store.entries()} <= {pack_ids(ramp(300, 9))}


def test_a_file_that_cannot_be_used_is_not_found_again(stored: Parking, store: KvStore) -> None:
    stored.write(parked())
    on_disk(stored, store)
    _, best = found(stored, [*LONG, 7])
    assert best is not None
    stored.drop(best)
    assert found(stored, [*LONG, 7]) == (0, None)


def test_a_damaged_file_is_no_find(stored: Parking, store: KvStore) -> None:
    stored.write(parked())
    on_disk(stored, store)
    path = store.entries()[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    _, best = found(stored, [*LONG, 7])
    assert best is not None
    assert stored.fetch(best) is None
    assert found(stored, [*LONG, 7]) == (0, None)


class FullDisk:
    """A store whose first save fails in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.saved = 0

    def entries(self) -> list[Entry]:
        return []

    def save(self, *_: object, **__: object) -> None:
        self.saved += 1
        if self.saved == 1:
            raise MemoryError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_died_is_not_waited_for_and_has_a_successor() -> None:
    disk = FullDisk()
    parking = Parking(300, cast("KvStore", disk), lambda _: None)
    parking.write(parked())
    assert parking.flush(5)
    parking._writer.join(5)  # type: ignore[union-attr]
    parking.write(parked())
    assert parking.flush(5)
    assert disk.saved == 2
