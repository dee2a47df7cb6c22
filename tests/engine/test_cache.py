"""What of a prompt is computed already, on a scripted memory: branches, other chats, private, exact."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.engine.cache_memory import Memory, Script, ramp

from llmchat_engine.events import Restored
from llmchat_engine.host.cache import BRANCH_TOKENS, Want
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


def test_a_longer_prompt_keeps_everything(script: Script) -> None:
    assert script.run([*TOLD, 1, 2]).cached == len(TOLD)


def test_another_prompt_begins_empty_and_alone(script: Script) -> None:
    assert script.run(ramp(50, 5)).cached == 0
    assert script.memory.used() == 50
    assert script.parking.holds("chat", pack_ids(TOLD))


def test_asking_again_keeps_the_old_branch_and_computes_one_token(script: Script) -> None:
    assert script.run(PROMPT, ramp(70, 3)).cached == len(PROMPT) - 1
    assert len(script.cache.sequences.lines) == 2
    before = script.memory.decoded
    assert script.run([*TOLD, 7]).cached == len(TOLD)
    assert script.memory.decoded == before + 1
    script.check()


def test_an_edited_question_keeps_what_is_before_it(script: Script) -> None:
    assert script.run(SYSTEM + ramp(30, 4), REPLY).cached == len(SYSTEM)
    assert script.run([*TOLD, 7]).cached == len(TOLD)
    script.check()


def test_a_prompt_without_a_reply_is_no_branch(script: Script) -> None:
    for _ in range(3):
        assert script.run([*TOLD, 7, 8]).cached >= len(TOLD)
    assert len(script.cache.sequences.lines) == 1


def test_branches_beyond_the_budget_leave_the_context() -> None:
    script = Script(Memory(n_ctx=8192, cells=8192))
    script.run(PROMPT, ramp(BRANCH_TOKENS + 10, 1))
    taken = script.run(PROMPT, ramp(5, 2))
    assert taken.cached == len(PROMPT) - 1
    assert len(script.cache.sequences.lines) == 1
    assert script.run(PROMPT + ramp(BRANCH_TOKENS + 9, 1) + [7]).restored


def test_another_chat_has_the_context_for_itself(script: Script) -> None:
    taken = script.run(SYSTEM + ramp(20, 5), ramp(10, 6), OTHER)
    assert taken.cached == len(SYSTEM)
    assert {line.chat for line in script.cache.sequences.lines} == {"other"}
    assert script.memory.used() == len(SYSTEM) + 29
    back = script.run([*TOLD, 7])
    assert isinstance(back.restored, Restored)
    assert (back.cached, back.restored.tokens, back.restored.origin) == (len(TOLD), len(TOLD), "memory")
    script.check()


def test_a_copy_that_spares_little_is_not_fetched(script: Script) -> None:
    script.run(TOLD[:-20] + ramp(100, 5), want=OTHER)
    taken = script.run([*TOLD, 7])
    assert (taken.restored, taken.cached) == (None, len(TOLD) - 20)


def test_a_chat_that_goes_on_from_another_leaves_it_its_copy(script: Script) -> None:
    assert script.run([*TOLD, 1, 2], want=OTHER).cached == len(TOLD)
    assert script.parking.holds("chat", pack_ids(TOLD))


def test_one_offs_are_not_branches_of_each_other() -> None:
    script = Script(Memory())
    for number in range(4):
        script.run(SYSTEM + ramp(80, number), ramp(5), Want())
        script.check()
    assert script.memory.used() == len(SYSTEM) + 84


def test_exact_keeps_whole_chunks_on_the_grid_alone() -> None:
    script, ids = Script(Memory()), ramp(110)
    script.run(ids)
    assert script.cache.active.grid == 96
    assert script.run([*ids, 11, 12], want=EXACT).cached == 96
    assert script.run([*ids[:70], 99, 98, 97], want=EXACT).cached == 64


def test_a_chunk_off_the_grid_is_never_exact() -> None:
    script = Script(Memory())
    script.run(ramp(3))
    script.run(ramp(90))
    assert script.cache.active.grid == 0
    assert script.run(ramp(91), want=EXACT).cached == 0


def test_exact_has_the_cells_of_an_empty_context(script: Script) -> None:
    script.run(PROMPT, ramp(70, 3))
    script.run(SYSTEM + ramp(30, 4), ramp(70, 3))
    tidy = []
    script.memory.watch = lambda sequence: tidy.append(script.memory.is_tidy(sequence))
    script.run([*PROMPT, 1, 2], ramp(5), EXACT)
    assert all(tidy)
    assert script.parking.holds("chat", pack_ids(TOLD))


def test_what_was_computed_between_other_branches_is_not_exact(script: Script) -> None:
    long = PROMPT[:64] + ramp(100, 4)
    script.run(long)
    assert script.cache.active.grid == 64
    assert script.run([*long, 1], want=EXACT).cached == 64


@pytest.mark.parametrize("way", ["stays", "parked"])
def test_exact_takes_a_beginning_that_it_shares_with_another_exact_request(way: str) -> None:
    begins = ramp(75)
    script, want = Script(Memory()), replace(EXACT, shared=len(begins))
    script.run([*begins, *ramp(20, 5)], ramp(5), replace(want, chat="one"))
    if way == "parked":
        script.cache.sequences.park_beginning(script.cache.active)
        script.cache.sequences.leave_only(None)
    assert script.run([*begins, *ramp(20, 6)], ramp(5), replace(want, chat="two")).cached == len(begins)
    assert script.run([*begins, 7, 8], want=replace(want, chat="three", shared=0)).cached <= 64


@pytest.mark.parametrize(
    ("shared", "steps"), [(0, [0, 16, 32, 48, 49]), (20, [0, 16, 32, 48, 49]), (40, [0, 16, 32, 40, 49])]
)
def test_exact_ends_a_chunk_where_a_beginning_ends_that_is_worth_it(shared: int, steps: list[int]) -> None:
    """Whatever the cache holds: a request that shares something else computes other bits, and takes nothing of it."""
    for memory in (Memory(), Memory(forward=True)):
        script = Script(memory)
        sizes: list[int] = []
        script.memory.on_decode = sizes.append
        script.run(ramp(50), want=Want("chat", exact=True, shared=shared))
        assert sizes == steps


def test_a_memory_that_only_goes_forward_is_extended_or_goes_to_a_checkpoint() -> None:
    script = Script(Memory(forward=True))
    script.run(PROMPT, REPLY, Want("chat", shared=40))
    assert script.run([*TOLD, 7]).cached == len(TOLD)
    assert script.run(PROMPT, REPLY).cached == len(PROMPT) - 1
    assert script.run(SYSTEM + ramp(30, 4)).cached == 40
    assert script.run(ramp(30, 5)).cached == 0
    assert script.run([*TOLD, 7]).restored
    assert len(script.cache.sequences.lines) == 1


def test_a_private_chat_leaves_nothing(script: Script) -> None:
    script.run([*TOLD, *ramp(90, 5)], ramp(5), Want("", private=True))
    assert script.parking.holds("chat", pack_ids(TOLD))
    script.cache.discard()
    assert script.memory.used() == 0
    assert script.run([*TOLD, 7]).restored


def test_a_private_request_that_never_ran_takes_nothing_along(script: Script) -> None:
    script.cache.discard()
    assert script.run([*TOLD, 7]).cached == len(TOLD)


def test_a_forgotten_chat_is_not_in_the_context(script: Script) -> None:
    script.run(PROMPT, ramp(70, 3))
    script.cache.forget("other")
    assert len(script.cache.sequences.lines) == 2
    script.cache.forget("chat")
    assert script.memory.used() == 0
    assert script.run([*TOLD, 7]).cached == 0


def answered(script: Script, count: int, length: int) -> list[list[int]]:
    """Has the prompt answered several times; returns the paths that the chat may go on from."""
    script.run(PROMPT, (), CHAT)
    lines = script.cache.fork_active(count)
    for at in range(length):
        assert script.extend(lines, [1_000 * number + at for number in range(count)])
    script.cache.join(lines)
    return [line.ids.tolist() for line in lines]


def test_of_answers_to_choose_from_one_alone_is_copied_when_the_chat_leaves(script: Script) -> None:
    paths = answered(script, 4, 90)
    script.run(ramp(50, 5), (), OTHER)
    assert [bool(script.parking.holds("chat", pack_ids(path))) for path in paths] == [True, False, False, False]
    assert script.run([*paths[2], 7], (), CHAT).cached == len(PROMPT)
    script.check()


def test_answers_to_choose_from_stay_until_one_is_chosen(script: Script) -> None:
    paths = answered(script, 4, BRANCH_TOKENS // 2)
    script.cache.trim()  # as idle time does
    assert script.run([*paths[3], 7], (), CHAT).cached == len(paths[3])
    assert script.cache.sequences.tokens() - len(paths[3]) <= BRANCH_TOKENS + 1
    assert script.run([*paths[3], 7, 8], (), CHAT).cached == len(paths[3]) + 1
    script.check()
