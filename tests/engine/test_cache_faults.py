"""The cache on a memory that disappoints: removals that fail, lost tokens, slid windows, keys to be turned, no room."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from tests.engine.cache_memory import CHUNK, Memory, Script, ramp

from llmchat_engine.errors import GenerationFailed, NotEnoughMemory
from llmchat_engine.host.cache import ROOM, Want
from llmchat_engine.kvstore import Entry, KvStore, Stored
from llmchat_engine.kvstore.values import pack_ids

CHAT, OTHER, EXACT = Want("chat"), Want("other"), Want("chat", exact=True)
SYSTEM = ramp(40, 9)
PROMPT, REPLY = SYSTEM + ramp(60, 1), ramp(80, 2)
TOLD = PROMPT + REPLY[:-1]


@pytest.fixture
def script() -> Script:
    """One question and its reply, on a memory that cuts and moves."""
    script = Script(Memory())
    script.run(PROMPT, REPLY, CHAT)
    return script


@pytest.mark.parametrize("fault", ["refuses", "lies"])
def test_a_removal_that_failed_costs_a_prefill(script: Script, fault: str) -> None:
    setattr(script.memory, fault, True)
    script.cache.truncate(30)
    assert script.cache.ids.tolist() == []
    assert script.run([*TOLD, 7]).cached == 0
    assert script.cache.ids.tolist() == [*TOLD, 7]
    script.check()


def test_a_memory_that_removes_nothing_is_cleared(script: Script) -> None:
    script.memory.stubborn = True
    script.run(ramp(50, 5), want=OTHER)
    script.run([*TOLD, 7])
    script.memory.stubborn = False
    assert script.cache.ids.tolist() == [*TOLD, 7]
    script.check()


@pytest.mark.parametrize("loss", [1, 3, 100, 179, -1, -50])
def test_tokens_that_vanished_cost_a_prefill(script: Script, loss: int) -> None:
    script.memory.lose(script.cache.active.number, loss)
    script.run([*TOLD, 7])
    assert script.memory.tokens(script.cache.active.number) == [*TOLD, 7]
    script.check()


def test_tokens_that_vanish_in_mid_reply_are_computed_again(script: Script) -> None:
    def sabotage(sequence: int) -> None:
        if script.memory.decoded == before + 20:
            script.memory.lose(sequence, 40)

    before, script.memory.watch = script.memory.decoded, sabotage
    script.run([*TOLD, 7], ramp(50, 5))
    assert script.memory.decoded == before + 50 + len(TOLD) + 20
    assert script.memory.tokens(script.cache.active.number) == [*TOLD, 7, *ramp(49, 5)]
    script.check()


def test_a_window_that_has_slid_away_costs_a_prefill() -> None:
    script = Script(Memory(window=10))
    script.run(PROMPT, REPLY)
    assert script.run([*PROMPT[:60], 99, 98]).cached == 0
    script.check()


def test_a_window_that_cannot_be_cut_does_not_stay_beside_what_is_new() -> None:
    script = Script(Memory(window=10))
    script.run(PROMPT, REPLY)
    script.run([*PROMPT[:60], 99, 98])
    assert len(script.cache.sequences.lines) == 1
    assert script.parking.holds("chat", pack_ids(TOLD))


def test_a_window_that_still_reaches_back_is_kept() -> None:
    script = Script(Memory(window=30))
    script.run(ramp(70))
    assert script.run([*ramp(50), 99, 98]).cached == 50
    script.check()


def test_a_copy_of_a_window_is_used_whole_or_not_at_all() -> None:
    script = Script(Memory(window=30))
    script.run(PROMPT, ramp(10, 2))
    script.run(ramp(50, 5), want=OTHER)
    whole = script.run([*PROMPT, *ramp(9, 2), 7])
    assert whole.restored and whole.cached == len(PROMPT) + 9
    script.run(ramp(50, 5), want=OTHER)
    assert script.run(PROMPT).cached == 0
    script.check()


def test_what_stands_behind_a_gap_is_moved_up(script: Script) -> None:
    wanted = SYSTEM + TOLD[60:] + [7]
    before = script.memory.decoded
    taken = script.run(wanted, ramp(10, 5), Want("chat", shift=True))
    assert (taken.moved, taken.cached) == (len(TOLD) - 60, len(wanted) - 1)
    assert script.memory.decoded == before + 10
    script.check()


def test_a_gap_is_closed_only_where_the_chat_allows_it(script: Script) -> None:
    assert script.run(SYSTEM + TOLD[60:] + [7]).cached == len(SYSTEM)
    script.memory.can_shift = False
    assert script.run(SYSTEM + TOLD[80:] + [7], want=Want("chat", shift=True)).moved == 0


def test_little_behind_a_gap_is_computed_again(script: Script) -> None:
    assert script.run(SYSTEM + TOLD[-63:], want=Want("chat", shift=True)).moved == 0


def test_what_was_moved_is_neither_exact_nor_kept(script: Script) -> None:
    wanted = SYSTEM + TOLD[60:] + [7]
    script.run(wanted, ramp(10, 5), Want("chat", shift=True))
    script.run(ramp(50, 5), want=OTHER)
    assert not script.parking.holds("chat", pack_ids([*wanted, *ramp(9, 5)]))
    assert script.run(wanted, want=EXACT).cached <= len(SYSTEM)


def test_a_chat_that_begins_as_a_moved_one_is_kept(script: Script) -> None:
    script.run(SYSTEM + TOLD[60:] + [7], want=Want("chat", shift=True))
    assert script.run(SYSTEM + ramp(80, 5), want=OTHER).cached == len(SYSTEM)
    assert script.cache.active.keepable


def test_keys_that_are_yet_to_be_turned_are_not_copied(script: Script) -> None:
    script.memory.cells = 200
    del script.memory.slots[200:]
    wanted = SYSTEM + TOLD[60:] + ramp(200, 5)
    assert script.run(wanted, want=Want("chat", shift=True)).moved
    assert script.memory.cells > 200
    assert script.memory.tokens(script.cache.active.number) == wanted


def test_a_stop_while_keys_are_turned_empties(script: Script) -> None:
    wanted = SYSTEM + TOLD[60:] + [7]
    script.memory.aborted = True
    assert script.run(wanted, want=Want("chat", shift=True)).moved
    assert script.cache.ids.tolist() == []
    script.memory.aborted = False
    script.run(wanted, want=Want("chat", shift=True))
    assert script.memory.tokens(script.cache.active.number) == wanted
    script.check()


def test_a_stop_later_keeps_what_was_moved(script: Script) -> None:
    wanted = SYSTEM + TOLD[60:] + [7]
    script.run(wanted, ramp(5, 5), Want("chat", shift=True))
    script.memory.aborted = True
    script.run([*wanted, *ramp(4, 5), 8], want=Want("chat", shift=True))
    assert script.cache.ids.tolist() == [*wanted, *ramp(4, 5)]


def test_of_a_prompt_that_was_moved_whole_the_last_token_is_computed(script: Script) -> None:
    wanted = SYSTEM + TOLD[60:]
    assert script.run(wanted, want=Want("chat", shift=True)).cached == len(wanted) - 1
    assert script.memory.tokens(script.cache.active.number) == wanted


@pytest.mark.parametrize("fault", ["saves", "restores"])
def test_what_a_growing_cache_lost_is_not_counted_as_cached(fault: str) -> None:
    script = Script(Memory(cells=256))
    script.run(PROMPT)
    setattr(script.memory, fault, False)
    assert script.run([*PROMPT, *ramp(300, 4)]).cached == 0
    script.check()


def test_the_cache_grows_for_a_prompt_and_its_reply() -> None:
    script = Script(Memory(cells=128))
    script.run(PROMPT)
    assert script.memory.cells == 512 >= len(PROMPT) + ROOM
    script.run(PROMPT, ramp(600, 2))
    assert script.memory.tokens(script.cache.active.number) == PROMPT + ramp(599, 2)


def test_branches_make_room_before_a_reply_fails() -> None:
    script = Script(Memory(n_ctx=512, cells=512))
    script.run(PROMPT, ramp(100, 1))
    script.run(PROMPT, ramp(400, 2))
    assert script.cache.ids.tolist() == PROMPT + ramp(399, 2)
    assert script.run(PROMPT + ramp(99, 1) + [7]).restored
    script.check()


def test_no_room_at_all_is_an_error_and_leaves_a_usable_cache() -> None:
    script = Script(Memory(n_ctx=1024, cells=128, grows=False))
    with pytest.raises(GenerationFailed, match="no free cell"):
        script.run(PROMPT, REPLY)
    script.check()
    assert script.run(PROMPT[:50]).cached == 49


def test_memory_that_is_gone_is_told_and_asked_for_again() -> None:
    script = Script(Memory(cells=512))
    script.run(PROMPT, want=CHAT)
    script.memory.shrinks = True
    told = [*PROMPT, *ramp(300, 4)]
    for _ in range(2):
        with pytest.raises(NotEnoughMemory):
            script.run(told, want=CHAT)
        assert script.cache.ids.tolist() == []
        script.check()
    script.memory.shrinks = False
    assert script.run(told, want=CHAT).cached == 0
    assert script.memory.tokens(script.cache.active.number) == told
    script.check()


@pytest.mark.parametrize("fault", ["saves", "restores"])
def test_what_a_cache_lost_that_grew_in_mid_reply_is_not_gone_on_from(fault: str) -> None:
    script = Script(Memory(cells=256))
    script.run(PROMPT)
    setattr(script.memory, fault, False)
    with pytest.raises(GenerationFailed, match="no free cell"):
        script.run(PROMPT, ramp(600, 2))
    assert script.cache.ids.tolist() == []
    script.check()
    assert script.run(PROMPT).cached == 0


def test_branches_that_a_cache_lost_when_it_could_not_grow_are_not_counted_as_cached() -> None:
    script = Script(Memory(n_ctx=1024, cells=400, grows=False))
    script.run(PROMPT, ramp(30, 1), CHAT)
    script.run(PROMPT, ramp(30, 2), CHAT)
    with pytest.raises(GenerationFailed, match="no free cell"):
        script.run([*PROMPT, *ramp(30, 2), *ramp(300, 3)], want=CHAT)
    script.check()
    assert script.run([*PROMPT, *ramp(29, 1), 7], want=CHAT).cached >= len(PROMPT)
    script.check()


def test_a_copy_that_is_refused_is_tried_once(script: Script) -> None:
    script.run(ramp(50, 5), want=OTHER)
    script.memory.restores = False
    taken = script.run([*TOLD, 7])
    assert (taken.restored, taken.cached) == (None, 0)
    assert script.cache.ids.tolist() == [*TOLD, 7]
    script.check()


class DeadDisk:
    """A disk that has an entry and cannot read it; or can, and llama.cpp will not have it."""

    def __init__(self, state: memoryview | None) -> None:
        self.loads, self._state = 0, state
        self.entry = Entry(Path("x"), "", pack_ids(TOLD), 0, 1, 0.0, 0.0, False, (), 0)

    def entries(self) -> list[Entry]:
        return [self.entry]

    def load(self, entry: Entry) -> Stored | None:
        self.loads += 1
        return None if self._state is None else Stored(entry.ids, 0, self._state, ())


@pytest.mark.parametrize("state", [None, memoryview(b"[[1, 5, false, 0, false]]")], ids=["unreadable", "refused"])
def test_a_file_that_cannot_be_brought_back_is_tried_once(state: memoryview | None) -> None:
    disk = DeadDisk(state)
    script = Script(Memory(), store=cast("KvStore", disk))
    assert script.run([*TOLD, 7]).restored is None
    script.cache.forget("chat")
    assert script.run([*TOLD, 8], want=OTHER).cached == 0
    assert script.cache.ids.tolist() == [*TOLD, 8]
    assert disk.loads == 1
    script.check()


def test_a_stopped_prefill_keeps_whole_chunks() -> None:
    script = Script(Memory())

    def stop(decoded: int) -> None:
        script.memory.aborted = decoded >= 3 * CHUNK

    script.memory.on_decode = stop
    script.run(PROMPT)
    assert script.cache.ids.tolist() == PROMPT[: 3 * CHUNK]
    script.check()
