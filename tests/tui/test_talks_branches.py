"""The branches of an open chat: replies that go on, questions behind an earlier reply, and a context that is full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.tui.overflowing import N_CTX, words
from tests.tui.talk_stage import LONG, PATIENCE, Gated, Stage, gated

from llmchat_engine import Message
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.errors import NotFound
from llmchat_tui.events import Ended, LeftOut
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import ContextOverflow, Overflow
from llmchat_tui.recipe import Recipe
from llmchat_tui.talk import Failed, Talk
from llmchat_tui.talks import Talks


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    assert made.talks.close(PATIENCE)


def narrow(*texts: str) -> Gated:
    """Returns an engine whose context is soon full."""
    made = gated(*texts)
    made.model = replace(FAKE_MODEL, n_ctx=N_CTX)
    return made


def full(stage: Stage) -> Talk:
    """Returns a chat that has no room for another long question."""
    talk = stage.talks.begin()
    for _ in range(4):
        stage.asked(words(200), talk=talk, engine=narrow("fine"))
    return talk


def refused(stage: Stage) -> ContextOverflow:
    """Waits for the turn to be refused, with nothing recorded."""
    seen, _ = stage.take_until(Failed)
    event = seen[-1].event
    assert isinstance(event, Failed) and event.begun is None and isinstance(event.error, ContextOverflow)
    return event.error


def newest(stage: Stage, talk: Talk) -> StoredMessage:
    return stage.history.path(talk.leaf_id)[-1]


class TestContinue:
    def test_goes_on_beside_the_old_reply(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        engine = gated(" and more")
        stage.engines.append(engine)
        stage.talks.continue_reply(talk, reply)
        assert talk.running and talk.running.question == ""
        stage.take_until(Ended)
        longer = newest(stage, talk)
        assert (longer.text, longer.parent_id) == ("answer to one and more", reply.parent_id)
        assert stage.history.siblings(reply.id) == [reply.id, longer.id]
        # The id that ended the reply would stand in the middle of the longer one.
        ids = reply.token_ids[:-1]
        assert engine.requests[0].messages == (
            Message("user", "one"),
            Message("assistant", reply.text, ids, FAKE_MODEL.key),
        )
        assert longer.token_ids == (*ids, 0, 1)

    def test_of_a_reply_that_was_stopped_loses_no_token(self, stage: Stage) -> None:
        stage.settings = replace(stage.settings, max_tokens=2)
        talk = stage.asked("one")
        reply = newest(stage, talk)
        engine = gated(" one")
        stage.engines.append(engine)
        stage.talks.continue_reply(talk, reply, reply.text)
        stage.take_until(Ended)
        assert engine.requests[0].messages[-1] == Message("assistant", "answer to", (0, 1), FAKE_MODEL.key)

    def test_goes_on_from_other_words(self, stage: Stage) -> None:
        talk = stage.asked("one")
        stage.asked("two", talk=talk)
        reply = stage.history.path(talk.leaf_id)[1]
        engine = gated(" it is")
        stage.engines.append(engine)
        stage.talks.continue_reply(talk, reply, "My word,")
        stage.take_until(Ended)
        assert engine.requests[0].messages == (Message("user", "one"), Message("assistant", "My word,"))
        assert [m.text for m in stage.history.path(talk.leaf_id)] == ["one", "My word, it is"]

    def test_sees_what_the_reply_saw(self, stage: Stage) -> None:
        talk = full(stage)
        stage.asked_with(talk, words(200), "drop", narrow("fine"))
        reply = newest(stage, talk)
        assert reply.left_out > 0
        stage.engines.append(engine := narrow(" and more"))
        stage.talks.continue_reply(talk, reply)
        seen, _ = stage.take_until(Ended)
        assert not [news for news in seen if isinstance(news.event, LeftOut)]
        assert newest(stage, talk).left_out == reply.left_out
        assert engine.requests[0].shift

    def test_is_asked_as_the_reply_was_and_not_as_the_chat_asks_now(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        talk.recipe = Recipe("sums", (Shot("2+2", "4"),), "Sum: $input", cot="zero-shot", votes=3)
        engine = gated(" and more")
        stage.engines.append(engine)
        stage.talks.continue_reply(talk, reply)
        stage.take_until(Ended)
        assert [message.text for message in engine.requests[0].messages] == ["one", "answer to one"]
        longer = newest(stage, talk)
        assert not longer.sent and "recipe" not in longer.settings

    def test_waits_for_no_turn_that_runs(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        stage.engines.append(gated(LONG, begins=False))
        stage.talks.ask(talk, "two")
        engine = talk.running and talk.running.engine
        with pytest.raises(RuntimeError, match="a turn runs"):
            stage.talks.continue_reply(talk, reply)
        with pytest.raises(RuntimeError, match="a turn runs"):
            stage.talks.branch(talk, reply.id)
        assert isinstance(engine, Gated)
        engine.may_begin.set()
        stage.take_until(Ended)


class TestBranch:
    def test_the_next_question_follows_it_now_and_later(self, stage: Stage) -> None:
        talk = stage.asked("one")
        first = talk.leaf_id
        stage.asked("two", talk=talk)
        stage.talks.branch(talk, first)
        assert stage.history.conversation(talk.conversation_id).leaf_id == talk.leaf_id == first
        engine = gated("three it is")
        stage.asked("three", talk=talk, engine=engine)
        assert [m.text for m in engine.requests[0].messages] == ["one", "answer to one", "three"]
        assert stage.history.conversation(talk.conversation_id).leaf_id == talk.leaf_id != first

    def test_behind_no_message_of_the_chat_changes_nothing(self, stage: Stage) -> None:
        talk, other = stage.asked("one"), stage.asked("another")
        before = talk.leaf_id
        with pytest.raises(NotFound):
            stage.talks.branch(talk, other.leaf_id)
        assert talk.leaf_id == before


class TestOverflow:
    def test_the_user_is_asked_and_the_chat_stays(self, stage: Stage) -> None:
        talk = full(stage)
        leaf_id, messages = talk.leaf_id, stage.stored(talk)
        stage.engines.append(narrow("never"))
        stage.talks.ask(talk, words(200))
        assert talk.running and talk.running.question == words(200)
        assert refused(stage).plan.turns > 0
        assert talk.running is None
        assert (talk.leaf_id, stage.stored(talk)) == (leaf_id, messages)

    @pytest.mark.parametrize("way", ["drop", "summarize"])
    def test_it_goes_on_as_the_user_says(self, stage: Stage, way: Overflow) -> None:
        talk = full(stage)
        stage.engines.append(narrow("never"))
        stage.talks.ask(talk, words(200))
        error = refused(stage)
        stage.asked_with(talk, words(200), way, narrow("a summary", "fine"))
        reply = newest(stage, talk)
        assert reply.left_out >= error.plan.left_out
        assert reply.summary == ("a summary" if way == "summarize" else "")

    def test_another_answer_is_not_asked_about_again(self, stage: Stage) -> None:
        talk = full(stage)
        stage.asked_with(talk, words(200), "summarize", narrow("a summary", "fine"))
        question, reply = stage.history.path(talk.leaf_id)[-2:]
        engine = narrow("also fine")
        stage.engines.append(engine)
        stage.talks.again(talk, question)
        stage.take_until(Ended)
        another = newest(stage, talk)
        assert (another.left_out, another.summary, another.text) == (reply.left_out, "a summary", "also fine")
        assert len(engine.requests) == 1

    def test_the_branch_before_the_cut_sees_everything(self, stage: Stage) -> None:
        talk = full(stage)
        before = talk.leaf_id
        stage.asked_with(talk, words(200), "drop", narrow("fine"))
        stage.talks.branch(talk, before)
        engine = narrow("fine")
        stage.asked("short", talk=talk, engine=engine)
        assert len(engine.requests[0].messages) == 9 and newest(stage, talk).left_out == 0

    def test_the_settings_are_asked_for_each_turn(self, history: History) -> None:
        way: Overflow = "drop"
        stage = Stage(history)
        stage.talks = Talks(
            history, lambda: stage.engines.pop(0), lambda: stage.settings, stage.news.put,
            overflow=lambda: way, store=lambda: False,
        )  # fmt: skip
        talk = full(stage)
        engine = narrow("fine")
        stage.asked(words(200), talk=talk, engine=engine)
        assert newest(stage, talk).left_out > 0 and not engine.requests[0].store
        way = "ask"
        stage.engines.append(narrow("never"))
        stage.talks.ask(talk, words(600))
        refused(stage)
        assert stage.talks.close(PATIENCE)
