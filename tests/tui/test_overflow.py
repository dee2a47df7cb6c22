"""Which turns leave a full context: the plan in numbers, what the model is given, and what stays so."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tui.overflowing import N_CTX, Chat, words

from llmchat_engine import Message
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.composing import compose
from llmchat_tui.events import Ended, LeftOut
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import ContextOverflow, Plan, Seen, most_tokens, plan, reserve_of, seen_of

TOKENS = st.integers(1, 400)


@pytest.fixture
def chat(history: History) -> Chat:
    return Chat(history)


def reply(left_out: int = 0, summary: str = "") -> StoredMessage:
    settings = {"left_out": left_out, "summary": summary} if left_out else {}
    return StoredMessage("r", "c", "q", "assistant", "text", "complete", 0.0, settings=settings)


def question() -> StoredMessage:
    return StoredMessage("q", "c", "", "user", "text", "complete", 0.0)


class TestPlan:
    def test_is_none_where_the_reply_has_room(self) -> None:
        assert plan([300, 300], 44, 744, n_ctx=1000, reserve=256) is None

    def test_leaves_three_quarters_of_what_is_not_reserved(self) -> None:
        """One turn would do for this reply; then the next turn would cut again."""
        found = plan([100, 100, 100, 400], 120, 820, n_ctx=1000, reserve=200, left_out=6)
        assert found == Plan(left_out=12, turns=3, frees=300, needs=320, free=300, n_ctx=1000, prompt=520)
        found = plan([50, 170, 100, 280], 220, 820, n_ctx=1000, reserve=200)
        assert found is not None and (found.turns, found.prompt) == (2, 600)

    def test_the_newest_question_never_leaves(self) -> None:
        found = plan([10, 10], 960, 980, n_ctx=1000, reserve=256)
        assert found is not None and (found.turns, found.left_out, found.prompt, found.fits) == (2, 4, 960, True)

    def test_a_question_that_does_not_fit_alone_is_told_from_one_that_does(self) -> None:
        found = plan([10, 10], 1000, 1020, n_ctx=1000, reserve=256)
        assert found is not None and not found.fits
        found = plan([], 1000, 1000, n_ctx=1000, reserve=256)
        assert found is not None and not found.fits
        assert plan([], 999, 999, n_ctx=1000, reserve=256) is None

    def test_what_comes_in_their_place_takes_room_too(self) -> None:
        turns = [50] * 16
        without = plan(turns, 100, 900, n_ctx=1000, reserve=250)
        with_summary = plan(turns, 100, 900, n_ctx=1000, reserve=250, extra=62)
        assert without is not None and with_summary is not None
        assert (without.turns, with_summary.turns) == (7, 8)

    @given(st.lists(TOKENS, max_size=12), TOKENS, TOKENS, st.integers(64, 2000), st.integers(0, 4000))
    def test_takes_no_turn_too_many_and_none_too_few(
        self, turns: list[int], newest: int, system: int, n_ctx: int, max_tokens: int
    ) -> None:
        total, reserve = system + sum(turns) + newest, reserve_of(max_tokens, n_ctx)
        assert 0 < reserve <= n_ctx // 2
        found = plan(turns, newest, total, n_ctx=n_ctx, reserve=reserve, left_out=4)
        if found is None:
            assert total + reserve <= n_ctx or (not turns and total < n_ctx)
            return
        room = (n_ctx - reserve) * 3 // 4
        assert (found.left_out, found.frees) == (4 + 2 * found.turns, sum(turns[: found.turns]))
        assert found.prompt == total - found.frees >= newest
        assert found.prompt <= room or found.turns == len(turns)
        assert found.turns == 0 or total - sum(turns[: found.turns - 1]) > room
        assert found.turns > 0 or not found.fits


class TestSeen:
    def test_the_newest_reply_that_saw_less_decides(self) -> None:
        path = [question(), reply(), question(), reply(2, "old"), question(), reply(4, "new"), question(), reply()]
        assert seen_of(path) == Seen(4, "new")
        assert seen_of(path[:4]) == Seen(2, "old")
        assert seen_of(path[:2]) == seen_of([]) == Seen()

    def test_another_reply_to_the_same_question_sees_no_more(self) -> None:
        path = [question(), reply(), question(), reply(2, "old"), question(), reply()]
        assert seen_of(path, Seen(4, "newer")) == Seen(4, "newer")
        assert seen_of(path, Seen(2, "same")) == Seen(2, "old")

    def test_only_whole_turns_that_are_there_are_left_out(self) -> None:
        path = [question(), reply(), question(), reply(3)]
        assert seen_of(path) == Seen(2, "")
        assert seen_of([question(), reply(2**40, "all")]) == Seen(2, "all")
        assert seen_of([question(), reply(1, "half a turn")]) == Seen()


def test_no_count_is_higher_than_the_guess() -> None:
    ours = Message("assistant", "long text", (1, 2), FAKE_MODEL.key)
    foreign = Message("assistant", "long text", (1, 2), "another")
    assert most_tokens([ours, foreign, Message("user", "é\udcff")], FAKE_MODEL.key) == 2 + 9 + 3


def test_what_is_left_out_is_not_composed() -> None:
    path = [question(), reply(), question(), reply()]
    composed = compose("s", path, "new", left_out=2)
    assert [message.text for message in composed] == ["s", "text", "text", "new"]
    with_summary = compose("s", path, "new", left_out=4, summary="Towers.")
    assert [message.text for message in with_summary] == [
        "s\n\nSummary of the earlier conversation:\nTowers.",
        "new",
    ]
    assert compose("", path, "new", left_out=4, summary="Towers.")[0].role == "system"


def test_the_words_name_the_counts_and_the_ways() -> None:
    error = ContextOverflow(Plan(8, 2, 1020, 312, 180, 2048, 700))
    assert error.exit_code == 4
    assert "312" in error.why and "180" in error.why
    assert "--overflow drop" in error.hint and "2 oldest turns" in error.hint and "1,020" in error.hint


class TestDrop:
    def test_a_short_chat_is_not_counted(self, chat: Chat) -> None:
        for number in range(5):
            chat.ask(f"question {number}")
        assert chat.engine.measured == 0

    def test_whole_oldest_turns_leave_and_the_user_is_told(self, chat: Chat) -> None:
        chat.fill()
        events = chat.ask(words(60), system="be brief")
        (left_out,) = [event for event in events if isinstance(event, LeftOut)]
        request = chat.engine.requests[-1]
        path = chat.path()
        assert left_out.messages == left_out.left_out > 0 and left_out.left_out % 2 == 0 and not left_out.summary
        assert [message.text for message in request.messages] == [
            "be brief",
            *(message.text for message in path[left_out.left_out : -1]),
        ]
        assert request.shift
        assert chat.engine.measure(request).total <= N_CTX * 3 // 4
        assert left_out.tokens == sum(len(m.text.split()) + 1 for m in path[: left_out.left_out])
        assert (path[-1].left_out, path[-1].summary) == (left_out.left_out, "")

    def test_what_left_stays_left_and_the_prompt_grows_behind_it(self, chat: Chat) -> None:
        """Ten turns that overflow: each prompt begins with the one before but where a cut was told."""
        cuts, asked = 0, 0
        while cuts < 10:
            events = chat.ask(f"{asked} {words(39)}")
            asked += 1
            cuts += any(isinstance(event, LeftOut) for event in events)
        told = [message.left_out for message in chat.path() if message.role == "assistant"]
        assert told == sorted(told)
        requests = chat.engine.requests
        for (before, after), (was, now) in zip(pairwise(requests), pairwise(told), strict=True):
            if was == now:
                assert after.messages[: len(before.messages)] == before.messages
            else:
                assert after.shift and after.messages[0].role == "user"
            assert chat.engine.measure(after).total < N_CTX
            assert after.messages[-1].text.split()[0] == str(requests.index(after))
        # Without the quarter that is freed beyond need, all but the first few turns would cut.
        assert asked > 3 * cuts

    def test_a_turn_that_crashed_stays_where_it_was(self, chat: Chat) -> None:
        chat.fill()
        chat.crash(words(60))
        failed = chat.path()[-1]
        assert failed.status == "failed" and failed.left_out > 0
        events = chat.ask("again")
        assert not [event for event in events if isinstance(event, LeftOut)]
        assert chat.path()[-1].left_out == failed.left_out

    def test_a_turn_that_is_killed_stays_where_it_was(self, chat: Chat) -> None:
        """What the model sees is on disk before it is asked."""
        chat.fill()
        events = chat.begin(words(60))
        left_out = next(event for event in events if isinstance(event, LeftOut))
        next(events)
        streaming = chat.history.messages(chat.conversation_id)[-1]
        assert (streaming.status, streaming.left_out) == ("streaming", left_out.left_out)
        events.close()

    def test_a_smaller_context_takes_only_what_it_holds(self, chat: Chat) -> None:
        chat.fill()
        chat.narrow(300)
        chat.ask("and now?")
        assert chat.engine.measure(chat.engine.requests[-1]).total <= 150

    def test_the_model_is_told_to_be_loaded_once(self, chat: Chat) -> None:
        chat.fill()
        kinds = [type(event).__name__ for event in chat.ask(words(60))]
        assert kinds[:5] == ["Started", "Loading", "Loaded", "LeftOut", "Prefill"]
        assert isinstance(chat.last, Ended) and chat.last.model == chat.engine.model

    def test_a_reply_without_a_word_is_counted_as_none(self, chat: Chat) -> None:
        chat.fill()
        chat.crash("crashes at once", after=0)
        events = chat.ask(words(60))
        (left_out,) = [event for event in events if isinstance(event, LeftOut)]
        assert chat.engine.requests[-1].messages[0] == Message("user", chat.path()[left_out.left_out].text)


@pytest.mark.parametrize("max_tokens", [None, 16, 500])
def test_the_longest_reply_has_room(chat: Chat, max_tokens: int | None) -> None:
    chat.fill()
    chat.ask(words(60), max_tokens=max_tokens)
    room = N_CTX - chat.engine.measure(chat.engine.requests[-1]).total
    assert room >= (max_tokens or 256)
