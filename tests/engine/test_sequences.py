"""Sequences of a scripted memory: cut, forked, copied, laid together, moved; a memory that lies costs a prefill."""

from __future__ import annotations

import pytest
from tests.engine.cache_memory import CHUNK, Memory, Script, ramp

from llmchat_engine.host.cache import Want
from llmchat_engine.host.lines import Line
from llmchat_engine.kvstore.values import pack_ids

LONG = ramp(100)


def held(length: int = 100, memory: Memory | None = None) -> tuple[Script, Line]:
    """Returns a script whose chat has so many tokens, and its sequence."""
    script = Script(memory or Memory())
    script.run(ramp(length), ())
    return script, script.cache.active


@pytest.mark.parametrize("length", [0, 1, 50, 99, 100])
def test_a_cut_leaves_the_beginning(length: int) -> None:
    script, line = held()
    script.cache.sequences.rewind(line, length)
    assert script.memory.tokens(line.number) == LONG[:length] == line.ids.tolist()
    assert line.grid == length // CHUNK * CHUNK if length < 100 else 96


@pytest.mark.parametrize("fault", ["refuses", "lies", "stubborn"])
def test_a_cut_that_failed_empties(fault: str) -> None:
    script, line = held()
    setattr(script.memory, fault, True)
    script.cache.sequences.rewind(line, 50)
    assert (line.ids.tolist(), line.grid, script.memory.used()) == ([], 0, 0)


@pytest.mark.parametrize("fault", ["refuses", "lies"])
def test_a_cut_that_failed_leaves_the_other_branches(fault: str) -> None:
    script, line = held()
    fork = script.cache.sequences.fork(line, 60)
    setattr(script.memory, fault, True)
    script.cache.sequences.rewind(fork, 50)
    assert fork.ids.tolist() == []
    assert script.memory.tokens(line.number) == LONG


@pytest.mark.parametrize("loss", [1, 30, 100, -1, -30])
def test_what_lost_tokens_is_not_sound_and_emptied(loss: int) -> None:
    script, line = held()
    script.memory.lose(line.number, loss)
    assert not script.cache.sequences.is_sound(line)
    script.cache.sequences.check(line)
    assert line.ids.tolist() == []
    assert script.memory.used() == 0


def test_cells_that_a_failed_decode_left_are_removed() -> None:
    script, line = held()
    script.memory.decode([1, 2], 100, line.number)
    script.cache.sequences.rewind(line, 100)
    assert script.memory.tokens(line.number) == LONG


def test_a_window_that_has_slid_away_cannot_be_cut_to() -> None:
    script, line = held(memory=Memory(window=10))
    assert script.memory.positions(line.number)[0] > 50
    assert not script.cache.sequences.reaches(line, 50)
    assert script.cache.sequences.reaches(line, 95)
    script.cache.sequences.rewind(line, 95)
    assert len(line.ids) == 95
    script.cache.sequences.rewind(line, 50)
    assert (len(line.ids), script.memory.used()) == (0, 0)


def test_a_memory_that_only_goes_forward_is_cut_to_a_checkpoint() -> None:
    script, line = held(memory=Memory(forward=True))
    assert [point.length for point in line.checkpoints] == [99]
    assert script.memory.decode([7], 100, line.number)
    script.cache.append([7])
    script.cache.sequences.rewind(line, 100)
    assert line.ids.tolist() == LONG[:99] == script.memory.tokens(line.number)
    script.cache.sequences.rewind(line, 98)
    assert line.ids.tolist() == []


def test_a_checkpoint_that_is_refused_empties() -> None:
    script, line = held(memory=Memory(forward=True))
    script.memory.restores = False
    script.cache.sequences.rewind(line, 99)
    assert (line.ids.tolist(), script.memory.used()) == ([], 0)


def test_a_fork_shares_its_cells() -> None:
    script, line = held()
    fork = script.cache.sequences.fork(line, 70)
    assert script.memory.tokens(fork.number) == LONG[:70] == fork.ids.tolist()
    assert script.memory.tokens(line.number) == LONG
    assert (script.memory.used(), script.cache.sequences.tokens(), fork.grid) == (100, 100, 64)


def test_of_too_many_forks_the_one_unused_for_longest_leaves() -> None:
    script, line = held()
    sequences = script.cache.sequences
    forks = [sequences.fork(line, 70) for _ in range(5)]
    assert len(sequences.lines) == 4
    assert line in sequences.lines and forks[-1] in sequences.lines
    assert len({each.number for each in sequences.lines}) == 4


def test_forks_for_several_answers_push_out_older_branches_and_not_each_other() -> None:
    script, _ = held()
    script.run([*LONG[:50], *ramp(9, 1)])
    script.run([*LONG[:70], *ramp(9, 2)])
    assert len(script.cache.sequences.lines) == 3
    lines = script.cache.fork_active(4)
    assert {each.number for each in lines} == {0, 1, 2, 3}
    assert set(lines) == set(script.cache.sequences.lines)
    script.check()


@pytest.mark.parametrize("forward", [False, True])
def test_what_is_copied_over_another_is_all_of_it(forward: bool) -> None:
    script, line = held(memory=Memory(forward=forward))
    script.cache.checkpoint()
    other = script.cache.fork_active(2)[1]
    script.cache.append([7], other)
    script.memory.decode([7], 100, other.number)
    line.moved_from = 60
    script.cache.copy(line, other)
    assert script.memory.tokens(other.number) == LONG == other.ids.tolist()
    assert (other.grid, other.checkpoints, other.keepable) == (line.grid, line.checkpoints, False)
    script.check()


def test_a_copy_is_what_was_there() -> None:
    script, line = held()
    parked = script.cache.sequences.park(line)
    assert parked and parked.packed == pack_ids(LONG)
    script.cache.sequences.remove(line)
    assert script.memory.used() == 0
    back = script.cache.sequences.bring_back(parked)
    assert back and back.ids.tolist() == LONG == script.memory.tokens(back.number)
    assert back.grid == 96


@pytest.mark.parametrize("change", ["private", "moved_from", "lost", "no state"])
def test_what_is_not_to_be_kept_or_not_sound_is_not_copied(change: str) -> None:
    script, line = held()
    if change == "lost":
        script.memory.lose(line.number, 3)
    elif change == "no state":
        script.memory.saves = False
    else:
        setattr(line, change, 5)
    assert script.cache.sequences.park(line) is None
    assert script.parking.size == 0


def test_a_copy_that_llama_cpp_refuses_is_forgotten() -> None:
    script, line = held()
    parked = script.cache.sequences.park(line)
    assert parked
    script.memory.restores = False
    assert script.cache.sequences.bring_back(parked) is None
    assert (script.parking.size, script.memory.used(), script.cache.sequences.lines) == (0, 0, [])


def test_a_copy_that_needs_more_cells_gets_them() -> None:
    script, line = held()
    parked = script.cache.sequences.park(line)
    assert parked
    small = Script(Memory(cells=64))
    small.parking.put(parked)
    back = small.cache.sequences.bring_back(parked)
    assert back and small.memory.tokens(back.number) == LONG
    assert small.memory.cells == 128


def test_the_shared_beginning_is_copied_without_a_trace() -> None:
    script, line = held()
    line.shared = 40
    parked = script.cache.sequences.park_beginning(line)
    assert parked and parked.shared and parked.packed == pack_ids(LONG[:40])
    assert (parked.grid, script.memory.used(), script.memory.tokens(line.number)) == (32, 100, LONG)
    assert script.cache.sequences.park_beginning(line) is parked
    script.check()


def test_what_another_branch_of_the_chat_holds_is_not_copied() -> None:
    script, line = held()
    fork = script.cache.sequences.fork(line, 90)
    fork.chat = "chat"
    script.cache.sequences.evict(fork)
    assert script.parking.size == 0
    script.cache.sequences.evict(line)
    assert script.parking.size > 0


@pytest.mark.parametrize("field", ["private", "moved_from", "chat"])
def test_what_a_branch_holds_that_is_not_kept_is_copied(field: str) -> None:
    """Nothing would be left of it: that branch goes without a trace, or is another chat's."""
    script, line = held()
    fork = script.cache.sequences.fork(line, 90)
    fork.chat = "chat"
    setattr(fork, field, 5)
    script.cache.sequences.evict(line)
    assert script.parking.holds("chat", pack_ids(LONG))


def test_laying_together_leaves_no_holes() -> None:
    script, _ = held()
    script.run([*LONG[:50], *ramp(60, 1)])
    assert len(script.cache.sequences.lines) == 2 and script.cache.sequences.apart
    script.cache.sequences.lay_together(script.cache.active)
    assert script.memory.is_tidy(script.cache.active.number)
    assert script.cache.sequences.lines == [script.cache.active]
    assert not script.cache.sequences.apart
    script.check()


def test_closing_a_gap_moves_up_what_stands_behind_it() -> None:
    script, line = held()
    script.cache.sequences.close_gap(line, 20, 50)
    assert line.ids.tolist() == LONG[:20] + LONG[50:] == script.memory.tokens(line.number)
    assert (line.moved_from, line.grid, line.turning) == (20, 16, True)
    assert not line.keepable


def test_a_second_gap_counts_from_the_first_that_moved() -> None:
    script, line = held()
    script.cache.sequences.close_gap(line, 20, 30)
    script.cache.sequences.close_gap(line, 60, 70)
    assert line.moved_from == 20
    script.cache.sequences.close_gap(line, 10, 20)
    assert line.moved_from == 10


def test_what_stands_before_a_gap_was_not_moved() -> None:
    script, line = held()
    script.cache.sequences.close_gap(line, 20, 50)
    assert script.cache.sequences.fork(line, 20).keepable
    assert not script.cache.sequences.fork(line, 21).keepable
    script.cache.sequences.rewind(line, 20)
    assert line.keepable and not line.turning


@pytest.mark.parametrize("fault", ["refuses", "stubborn"])
def test_a_gap_that_cannot_be_closed_empties(fault: str) -> None:
    script, line = held()
    setattr(script.memory, fault, True)
    script.cache.sequences.close_gap(line, 20, 50)
    assert (line.ids.tolist(), script.memory.used()) == ([], 0)
    assert line.keepable


def test_a_sequence_is_private_to_nobody_else() -> None:
    script, _ = held()
    script.run([*LONG, *ramp(10, 3)], want=Want("", private=True))
    assert script.parking.holds("chat", pack_ids(LONG))
    script.cache.discard()
    assert script.memory.used() == 0
