"""How much of a prompt a sequence can give, at any length, at checkpoints, on the grid."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmchat_engine.host.lines import MOST_CHECKPOINTS, Line, Parked, add_checkpoint, usable
from llmchat_engine.kvstore import Checkpoint
from llmchat_engine.kvstore.values import pack_ids

IDS = st.lists(st.integers(0, 2), max_size=20)


def line(ids: list[int], grid: int = 0) -> Line:
    return Line(0, ids=array("i", ids), grid=grid)


def use(ids: list[int], prompt: list[int], points: list[int] | None = None, *, grid: int = 0, chunk: int = 0) -> int:
    return usable(line(ids, grid), points, pack_ids(prompt), chunk=chunk)


def test_a_longer_prompt_takes_all() -> None:
    assert use([1, 2, 3], [1, 2, 3, 4, 5]) == 3


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    assert use([1, 2, 3], [1, 2, 3]) == 2
    assert use([1, 2, 3], [1]) == 0


def test_another_prompt_takes_nothing() -> None:
    assert use([1, 2, 3], [9, 2, 3]) == 0
    assert use([], [1]) == 0


@pytest.mark.parametrize(
    ("prompt", "length"), [([1, 2, 3, 4, 5, 6], 5), ([1, 2, 3, 4, 9, 9], 4), ([1, 2, 3, 9], 2), ([1, 9], 0)]
)
def test_what_cannot_be_cut_is_used_whole_or_to_a_checkpoint(prompt: list[int], length: int) -> None:
    assert use([1, 2, 3, 4, 5], prompt, [2, 4]) == length


def test_on_the_grid_whole_chunks_count_alone() -> None:
    ids = list(range(11))
    assert use(ids, [*ids, 11, 12], grid=8, chunk=4) == 8
    assert use(ids, [*ids[:7], 99, 98, 97], grid=8, chunk=4) == 4
    assert use(ids, [*ids, 11], grid=0, chunk=4) == 0


def test_on_the_grid_no_checkpoint_counts() -> None:
    ids = list(range(8))
    assert use(ids, [*ids, 9], [3, 6], grid=8, chunk=4) == 8
    assert use(ids, [*ids[:7], 99], [4, 6], grid=8, chunk=4) == 0


@pytest.mark.parametrize(
    ("grid", "cut", "wanted", "length"),
    [
        (6, 6, 6, 6),  # both end a chunk where the shared beginning ends
        (10, 6, 6, 10),
        (10, 6, 0, 4),  # behind the cut the chunks lie elsewhere
        (8, 0, 6, 4),
        (10, 6, 5, 4),
        (4, 0, 6, 4),
        (8, 0, 8, 8),  # a beginning of whole chunks cuts nothing
    ],
)
def test_on_the_grid_a_shared_beginning_counts_whole(grid: int, cut: int, wanted: int, length: int) -> None:
    held = Line(0, ids=array("i", range(11)), grid=grid, cut=cut)
    assert usable(held, None, pack_ids([*range(11), 99]), chunk=4, cut=wanted) == length
    held.shorten(7, 4)
    assert (held.grid, held.cut) == ((6, 6) if cut else (4, 0))


@settings(max_examples=200, deadline=None)
@given(IDS, st.lists(st.integers(0, 2), min_size=1, max_size=20), st.none() | st.lists(st.integers(0, 20)))
def test_what_is_used_is_a_true_beginning_that_can_be_had(
    ids: list[int], prompt: list[int], points: list[int] | None
) -> None:
    length = use(ids, prompt, points)
    assert 0 <= length < len(prompt)
    assert ids[:length] == prompt[:length]
    assert points is None or length in (0, len(ids), *points)


def test_of_too_many_checkpoints_the_second_oldest_goes() -> None:
    held = line(list(range(100)))
    for length in range(1, MOST_CHECKPOINTS + 3):
        add_checkpoint(held, Checkpoint(length, b""))
    assert [point.length for point in held.checkpoints] == [1, *range(4, MOST_CHECKPOINTS + 3)]


def test_a_checkpoint_takes_the_place_of_those_at_and_behind_it() -> None:
    held = line(list(range(100)))
    for length in (10, 20, 30, 20):
        add_checkpoint(held, Checkpoint(length, b""))
    assert [point.length for point in held.checkpoints] == [10, 20]


@pytest.mark.parametrize(("field", "value"), [("private", True), ("moved_from", 0), ("moved_from", 3)])
def test_what_is_private_or_was_moved_is_not_kept(field: str, value: object) -> None:
    held = line([1, 2, 3, 4])
    assert held.keepable
    setattr(held, field, value)
    assert not held.keepable


def test_a_parked_sequence_weighs_what_its_states_do() -> None:
    points = (Checkpoint(1, b"abc"), Checkpoint(2, memoryview(b"de")))
    parked = Parked("chat", pack_ids([1, 2]), 0, memoryview(b"0123456789"), points)
    assert (parked.tokens, parked.size) == (2, 15)
