"""Which of the chats outside the context a prompt can begin with, beside a plain search."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.kv_rig import kv_random

from llmchat_engine.host.parking import Parking
from llmchat_engine.kvstore import Entry, KvStore
from llmchat_engine.kvstore.values import pack_ids

IDS = st.lists(st.integers(0, 2), max_size=12)
LONGEST = 10_000


class Shelf:
    """A store that has entries and nothing else."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def entries(self) -> list[Entry]:
        return self._entries


def parking_of(entries: list[Entry]) -> Parking:
    return Parking(0, cast("KvStore", Shelf(entries)), lambda _: None)


def entry(ids: list[int], checkpoints: tuple[int, ...] = ()) -> Entry:
    return Entry(Path("x"), "", pack_ids(ids), 0, 1, 0.0, 0.0, False, checkpoints, 0)


def usable(prompt: list[int], found: Entry, rewindable: bool) -> int:
    """Returns what can be taken, token by token; the last token of the prompt is always left."""
    ids = found.ids.tolist()
    pairs = zip(prompt, ids, strict=False)
    shared = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(prompt), len(ids)))
    shared = min(shared, len(prompt) - 1)
    return shared if rewindable else max((n for n in (len(ids), *found.checkpoints) if n <= shared), default=0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.lists(IDS, max_size=8), st.booleans())
def test_the_longest_beginning_is_found(prompt: list[int], stored: list[list[int]], rewindable: bool) -> None:
    entries = [entry(ids, (2, 5) if len(ids) > 5 else ()) for ids in stored]
    length, best = parking_of(entries).best(pack_ids(prompt), rewindable=rewindable, chunk=0, longest=LONGEST)
    most = max((usable(prompt, found, rewindable) for found in entries), default=0)
    assert length == most
    as_good = [found for found in entries if usable(prompt, found, rewindable) == most]
    assert best is None if most == 0 else cast("Entry", best).tokens == min(found.tokens for found in as_good)


def test_what_does_not_fit_into_the_context_is_left_alone() -> None:
    assert parking_of([entry([1] * 20)]).best(pack_ids([1] * 20), rewindable=True, chunk=0, longest=10) == (0, None)


def test_the_best_of_a_thousand_is_found_at_once() -> None:
    numbers = kv_random()
    system = [numbers.randrange(49_152) for _ in range(60)]
    chats = [system + [numbers.randrange(49_152) for _ in range(2940)] for _ in range(1000)]
    entries = [entry(ids) for ids in chats]
    parking, prompt = parking_of(entries), pack_ids(chats[700][:2500] + [0] * 500)
    seconds = []
    for _ in range(10):
        begin = time.perf_counter()
        _, best = parking.best(prompt, rewindable=True, chunk=0, longest=LONGEST)
        seconds.append(time.perf_counter() - begin)
        assert best is entries[700]
    assert min(seconds) < 0.002
