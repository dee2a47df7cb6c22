"""A turn with several answers: a row for each, ends one by one, and nothing lost whatever ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llmchat_engine import Answered, EngineDied, Sampling, Token, Waiting
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.drafts import Drafts
from llmchat_tui.errors import StorageUnwritable
from llmchat_tui.events import Ended, Started, TurnEvent
from llmchat_tui.growing import CHECKPOINT_INTERVAL
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.history.values import ReplyEnd
from llmchat_tui.turn import Turn, run

COLOURS = (Script("Red."), Script("A deep blue."), Script("Green it is."))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "chats.db"


@pytest.fixture
def history(database: Path) -> Iterator[History]:
    with History.open(database) as history:
        yield history


def replies_of(history: History) -> list[StoredMessage]:
    newest = history.latest()
    return [message for message in history.messages(newest.id) if message.role == "assistant"] if newest else []


def ended_of(events: list[TurnEvent]) -> Ended:
    *_, last = events
    assert isinstance(last, Ended)
    return last


def test_each_answer_is_a_reply_to_the_question_and_the_chat_goes_on_with_the_first(history: History) -> None:
    turn = Turn("A colour?", answers=3, sampling=Sampling(seed=7))
    last = ended_of(list(run(turn, FakeEngine(COLOURS), history)))
    first, second, third = replies_of(history)
    assert [reply.text for reply in (first, second, third)] == ["Red.", "A deep blue.", "Green it is."]
    assert {reply.status for reply in (first, second, third)} == {"complete"}
    assert last.begun.reply_ids == (first.id, second.id, third.id)
    assert history.siblings(second.id) == [first.id, second.id, third.id]
    assert (third.token_ids, third.settings["sampling"]["seed"]) == ((0, 1, 2), 7)
    assert [reply.stats["reply_tokens"] for reply in (first, second, third)] == [1, 3, 3]
    newest = history.latest()
    assert newest is not None
    assert newest.leaf_id == first.id


def test_the_engine_is_asked_once_for_all(history: History) -> None:
    engine = FakeEngine(COLOURS)
    list(run(Turn("A colour?", answers=3, beams=0, length_penalty=0.5), engine, history))
    (request,) = engine.requests
    assert (request.answers, request.beams, request.length_penalty) == (3, 0, 0.5)


def test_a_question_that_was_answered_gets_more_answers(history: History) -> None:
    last = ended_of(list(run(Turn("A colour?"), FakeEngine(COLOURS), history)))
    begun = last.begun
    again = Turn("A colour?", conversation_id=begun.conversation_id, question_id=begun.question_id, answers=2)
    more = ended_of(list(run(again, FakeEngine(COLOURS[1:]), history)))
    assert history.siblings(begun.reply_id) == [begun.reply_id, *more.begun.reply_ids]
    assert history.conversation(begun.conversation_id).leaf_id == more.begun.reply_id


def test_all_begin_with_the_prefill(history: History) -> None:
    events = list(run(Turn("A colour?", answers=2, prefill="It is"), FakeEngine([Script(" red"), Script()]), history))
    assert next(event.text for event in events if isinstance(event, Token) and event.answer == 1) == "It is"
    assert [reply.text for reply in replies_of(history)] == ["It is red", "It isHello there."]
    told = [event.answer.text for event in events if isinstance(event, Answered)]
    assert sorted(told) == ["It is red", "It isHello there."]
    assert [answer.text for answer in ended_of(events).finished.answers] == ["It is red", "It isHello there."]


def test_one_that_has_ended_is_on_disk_before_the_others_end(history: History, database: Path) -> None:
    engine = FakeEngine([Script("one two three", hang_after=2), Script("done")])
    events = run(Turn("hi", answers=2), engine, history)
    with closing(events):
        while not isinstance(next(events), Answered):
            pass
        with History.open(database) as other:
            slow, quick = replies_of(other)
        assert (quick.text, quick.status, quick.token_ids) == ("done", "complete", (0,))
        assert slow.status == "streaming"
    assert [(reply.text, reply.status) for reply in replies_of(history)] == [
        ("one two", "stopped"),
        ("done", "complete"),
    ]


def test_all_are_saved_while_they_grow(history: History, database: Path) -> None:
    engine = FakeEngine([Script("one two", hang_after=1), Script("uno dos", hang_after=1)])
    events = run(Turn("hi", answers=2), engine, history)
    with closing(events):
        deadline = time.monotonic() + 2 * CHECKPOINT_INTERVAL
        while time.monotonic() < deadline:
            next(events)
        with History.open(database) as other:
            assert [reply.text for reply in replies_of(other)] == ["one", "uno"]


def test_one_is_stopped_and_the_others_go_on(history: History) -> None:
    engine = FakeEngine([Script("one two three"), Script("uno dos", hang_after=1)])
    turn = Turn("hi", answers=2)
    seen = []
    for event in run(turn, engine, history):
        seen.append(event)
        if isinstance(event, Waiting):
            engine.cancel(turn.request_id, 1)
    assert [(reply.text, reply.status) for reply in replies_of(history)] == [
        ("one two three", "complete"),
        ("uno", "stopped"),
    ]
    assert ended_of(seen).finished.reason == "eog"


def test_a_crash_costs_only_what_was_not_said(history: History) -> None:
    engine = FakeEngine([Script("one two three", crash_after=2), Script("done")])
    with pytest.raises(EngineDied):
        list(run(Turn("hi", answers=2), engine, history))
    broken, whole = replies_of(history)
    assert (broken.text, broken.status, broken.error) == (
        "one two",
        "failed",
        "the engine stopped (SIGSEGV) — scripted",
    )
    assert (whole.text, whole.status, whole.error) == ("done", "complete", "")


def test_nothing_is_left_of_answers_that_never_began(history: History) -> None:
    engine = FakeEngine(COLOURS)
    turn = Turn("hi", answers=3)
    events = run(turn, engine, history)
    engine.cancel(turn.request_id)
    last = ended_of(list(events))
    (only,) = replies_of(history)
    assert (only.id, only.status, last.begun.others) == (last.begun.reply_id, "stopped", ("", ""))


def test_nothing_is_left_of_answers_that_could_not_begin(history: History) -> None:
    broken = Script(error=EngineDied("the engine stopped", "", ""))
    with pytest.raises(EngineDied):
        list(run(Turn("hi", answers=3), FakeEngine([broken]), history))
    (only,) = replies_of(history)
    assert (only.text, only.status) == ("", "failed")


class FullOnce(History):
    """A disk that is full for the first end of a reply."""

    refused = 0

    def finish(self, reply_id: str, end: ReplyEnd) -> None:
        if not self.refused:
            self.refused = 1
            raise StorageUnwritable("no space", "", "")
        super().finish(reply_id, end)


def test_a_disk_that_was_full_for_a_moment_costs_nothing(database: Path) -> None:
    with FullOnce.open(database) as history:
        list(run(Turn("A colour?", answers=3), FakeEngine(COLOURS), history))
        assert history.refused == 1
        assert [reply.status for reply in replies_of(history)] == ["complete"] * 3


def test_drafts_tell_what_came_of_each(history: History) -> None:
    drafts = Drafts(2)
    events = list(run(Turn("hi", answers=2), FakeEngine(COLOURS), history))
    for event in events:
        drafts.take(event)
    assert [(draft.text, draft.state, draft.tokens) for draft in drafts.each] == [
        ("Red.", "complete", 1),
        ("A deep blue.", "complete", 3),
    ]
    assert (drafts.growing, drafts.reply_ids) == ([], ended_of(events).begun.reply_ids)


def test_what_is_told_can_be_told_of_the_chosen_one_alone(history: History) -> None:
    drafts = Drafts(2)
    told = []
    for event in run(Turn("hi", answers=2), FakeEngine(COLOURS), history):
        drafts.take(event)
        drafts.chosen = int(isinstance(event, Started)) or drafts.chosen
        told.append(drafts.as_chosen(event))
    assert "".join(event.text for event in told if isinstance(event, Token)) == "A deep blue."
    last = told[-1]
    assert isinstance(last, Ended)
    assert (last.finished.text, last.begun.reply_id) == ("A deep blue.", drafts.reply_ids[1])


def test_each_tells_who_wrote_it(history: History) -> None:
    """Without the model's key its ids are not taken as they are, and the next turn reads the reply again."""
    ended_of(list(run(Turn("hi", answers=3), FakeEngine([Script("a b"), Script("c d"), Script("e f")]), history)))
    told = [(reply.model_key, reply.settings["model"], reply.token_ids) for reply in replies_of(history)]
    assert told == [(FAKE_MODEL.key, FAKE_MODEL.name, (0, 1))] * 3
