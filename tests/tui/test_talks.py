"""The open chats and their turns, each in its thread: what is told, what is on disk, what is handed back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.talk_stage import LONG, PATIENCE, Gated, Stage, gated, wait_until

from llmchat_engine import EngineDied, Sampling, Token
from llmchat_engine.testing import Script
from llmchat_tui.errors import UserError
from llmchat_tui.events import Ended, Started
from llmchat_tui.history import History
from llmchat_tui.talk import Failed, News


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    assert made.talks.close(PATIENCE)


def test_a_turn_is_told_settled_and_on_disk(stage: Stage) -> None:
    engine = gated("Hello there.")
    stage.engines.append(engine)
    talk = stage.talks.begin("Be brief.", {"temperature": 0.25})
    stage.talks.ask(talk, "Hi")
    assert stage.talks.running() == [talk] and talk.conversation_id == ""
    seen, queued = stage.take_until(Ended)
    assert (type(seen[0].event), type(seen[-1].event), queued) == (Started, Ended, "")
    assert {news.key for news in seen} == {talk.key}
    question, reply = stage.stored(talk)
    assert (question.text, reply.text, reply.status) == ("Hi", "Hello there.", "complete")
    assert (talk.leaf_id, talk.running) == (reply.id, None)
    assert stage.history.conversation(talk.conversation_id).sampling == {"temperature": 0.25}
    assert stage.history.conversation(talk.conversation_id).system == "Be brief."
    assert engine.closed == 1


def test_the_next_question_follows_with_the_whole_path(stage: Stage) -> None:
    talk = stage.asked("one")
    engine = gated("two it is")
    stage.asked("two", talk=talk, engine=engine)
    assert [message.text for message in engine.requests[0].messages] == ["one", "answer to one", "two"]
    assert [message.parent_id == "" for message in stage.stored(talk)] == [True, False, False, False]


def test_again_puts_another_reply_beside_the_first(stage: Stage) -> None:
    talk = stage.asked("one")
    question, first = stage.stored(talk)
    stage.engines.append(gated("another"))
    stage.talks.again(talk, question)
    stage.take_until(Ended)
    *_, second = stage.stored(talk)
    assert (second.parent_id, second.text) == (first.parent_id, "another")
    assert talk.leaf_id == second.id and len(stage.stored(talk)) == 3


def test_an_edit_puts_another_question_beside_the_first(stage: Stage) -> None:
    talk = stage.asked("one")
    stage.asked("two", talk=talk)
    second = stage.stored(talk)[2]
    engine = gated("better")
    stage.engines.append(engine)
    stage.talks.edit(talk, second, "two, better")
    stage.take_until(Ended)
    edited = stage.stored(talk)[4]
    assert (edited.text, edited.parent_id) == ("two, better", second.parent_id)
    assert [message.text for message in engine.requests[0].messages] == ["one", "answer to one", "two, better"]


def test_the_first_question_can_be_edited(stage: Stage) -> None:
    talk = stage.asked("one")
    stage.engines.append(gated("fine"))
    stage.talks.edit(talk, stage.stored(talk)[0], "one, better")
    stage.take_until(Ended)
    assert [message.parent_id for message in stage.stored(talk) if message.role == "user"] == ["", ""]
    assert len(stage.history.conversations()) == 1


def test_one_turn_at_a_time_in_a_chat(stage: Stage) -> None:
    stage.engines += [gated("a", begins=False), gated("b")]
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    engine = talk.running and talk.running.engine
    with pytest.raises(RuntimeError, match="a turn runs"):
        stage.talks.ask(talk, "two")
    assert isinstance(engine, Gated)
    engine.may_begin.set()
    stage.take_until(Ended)


def test_two_chats_run_at_once_and_keep_apart(stage: Stage) -> None:
    first, second = stage.talks.begin(), stage.talks.begin()
    slow, quick = gated(LONG, begins=False), gated("quick")
    stage.engines += [slow, quick]
    stage.talks.ask(first, "slow?")
    stage.talks.ask(second, "quick?")
    seen, _ = stage.take_until(Ended)
    assert {news.key for news in seen} == {second.key}
    assert stage.talks.running() == [first]
    slow.may_begin.set()
    seen, _ = stage.take_until(Ended)
    assert {news.key for news in seen} == {first.key}
    assert [[m.text for m in stage.stored(talk)] for talk in (first, second)] == [["slow?", LONG], ["quick?", "quick"]]


@pytest.mark.parametrize(
    ("script", "end", "goes_out"),
    [
        (Script("fine"), Ended, True),
        (Script(LONG), Ended, True),
        (Script("a b c", crash_after=1), Failed, False),
        (Script(error=EngineDied("it died")), Failed, False),
    ],
    ids=["complete", "long", "crash", "refused"],
)
def test_a_queued_message_goes_out_only_after_a_whole_reply(
    stage: Stage, script: Script, end: type, goes_out: bool
) -> None:
    engine = gated(script, begins=False)
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    talk.queued = "two"
    engine.may_begin.set()
    _, queued = stage.take_until(end)
    assert (queued, talk.queued) == (("two", "") if goes_out else ("", "two"))


def test_a_stop_keeps_the_queued_message_and_what_came(stage: Stage) -> None:
    stage.engines.append(gated(Script(LONG, hang_after=3)))
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    talk.queued = "two"
    stage.take_until(Started)
    while stage.take()[0].event.__class__.__name__ != "Waiting":
        pass
    stage.talks.stop(talk)
    seen, queued = stage.take_until(Ended)
    assert isinstance(seen[-1].event, Ended) and seen[-1].event.finished.reason == "cancelled"
    assert (queued, talk.queued) == ("", "two")
    assert (stage.stored(talk)[1].status, stage.stored(talk)[1].text) == ("stopped", "word0 word1 word2")


def test_a_stop_before_the_thread_has_begun_is_heard(stage: Stage) -> None:
    engine = gated(LONG, begins=False)
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "one")
    stage.talks.stop(talk)
    wait_until(lambda: bool(engine.cancelled))
    engine.may_begin.set()
    seen, _ = stage.take_until(Ended)
    assert isinstance(seen[0].event, Started)
    assert (stage.stored(talk)[0].text, stage.stored(talk)[1].status) == ("one", "stopped")


def test_a_stop_of_a_chat_that_rests_does_nothing(stage: Stage) -> None:
    stage.talks.stop(stage.asked("one"))
    assert stage.news.empty()


def test_news_of_a_chat_that_was_left_or_rests_change_nothing(stage: Stage) -> None:
    talk = stage.asked("one")
    before = (talk.leaf_id, talk.conversation_id)
    assert stage.talks.settle(News("nobody", Failed(UserError("x"), None))) == ""
    assert stage.talks.settle(News(talk.key, Failed(UserError("x"), None))) == ""
    assert (talk.leaf_id, talk.conversation_id) == before


def test_a_chat_is_open_once_and_left_only_when_it_rests(stage: Stage) -> None:
    talk = stage.asked("one")
    conversation = stage.history.conversation(talk.conversation_id)
    assert stage.talks.open(conversation) is talk
    stage.talks.leave(talk)
    assert stage.talks.get(talk.key) is None
    again = stage.talks.open(conversation)
    assert again is not talk
    assert (again.title, again.leaf_id) == (conversation.title, conversation.leaf_id)
    engine = gated("a", begins=False)
    stage.engines.append(engine)
    stage.talks.ask(again, "two")
    stage.talks.leave(again)
    assert stage.talks.of_conversation(conversation.id) is again
    engine.may_begin.set()
    stage.take_until(Ended)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({}, Sampling(temperature=0.5, top_k=7, stop=("x",))),
        ({"temperature": 0.0}, Sampling(temperature=0.0, top_k=7, stop=("x",))),
        ({"stop": ["a", "b"]}, Sampling(temperature=0.5, top_k=7, stop=("a", "b"))),
        ({"stop": []}, Sampling(temperature=0.5, top_k=7)),
        ({"top_k": None, "colour": "red"}, Sampling(temperature=0.5, stop=("x",))),
    ],
    ids=repr,
)
def test_a_chats_own_sampling_goes_over_the_settings(stage: Stage, own: dict[str, Any], wanted: Sampling) -> None:
    stage.settings = Sampling(temperature=0.5, top_k=7, stop=("x",))
    assert stage.talks.sampling_of(stage.talks.begin(sampling=own)) == wanted


def test_the_request_carries_the_chats_sampling_and_system(stage: Stage) -> None:
    engine = gated("fine")
    talk = stage.talks.begin("Be brief.", {"temperature": 0.25})
    stage.asked("one", talk=talk, engine=engine)
    (request,) = engine.requests
    assert request.sampling.temperature == 0.25
    assert [(message.role, message.text) for message in request.messages] == [("system", "Be brief."), ("user", "one")]


def test_a_history_in_memory_works_too(tmp_path: Path) -> None:
    with History.in_memory() as history:
        stage = Stage(history)
        talk = stage.asked("one")
        assert [message.text for message in stage.stored(talk)] == ["one", "answer to one"]


def test_a_thought_is_closed_and_the_reply_goes_on(stage: Stage) -> None:
    thought = " ".join(f"word{number}" for number in range(4000))
    engine = gated(Script("It is round.", thought=thought), speed=2000)
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.conclude(talk)  # nothing runs yet
    stage.talks.ask(talk, "what is it?")
    stage.take_until(Token)
    assert talk.running and talk.running.thinks
    stage.talks.conclude(talk)
    stage.take_until(Ended)
    assert engine.concluded == {engine.requests[0].id}
    assert stage.stored(talk)[-1].text == "It is round." and stage.stored(talk)[-1].thought_tokens < 4000
