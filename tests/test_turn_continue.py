"""Replies that have a beginning, and what a request says of its chat: what the engine is given, what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmchat_engine import EngineDied, Message, Sampling, Token
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.events import Ended, Started, TurnEvent
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.turn import Turn, run


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "chats.db") as history:
        yield history


def ended(events: list[TurnEvent]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def first_reply(history: History, text: str = "One two.") -> StoredMessage:
    end = ended(list(run(Turn("Count", system="Be brief."), FakeEngine([Script(text)]), history)))
    return history.path(end.begun.reply_id)[-1]


def on_from(reply: StoredMessage, text: str | None = None) -> Turn:
    """Returns the turn that continues a first reply, or one that begins with other words."""
    ids = (reply.token_ids, reply.model_key) if text is None else ((), "")
    prefill = reply.text if text is None else text
    return Turn("Count", (), reply.conversation_id, reply.parent_id, prefill=prefill, prefill_ids=ids[0],
                prefill_key=ids[1])  # fmt: skip


class TestContinue:
    def test_the_engine_goes_on_behind_the_reply(self, history: History) -> None:
        first = first_reply(history)
        engine = FakeEngine([Script(" Three four.")])
        events = list(run(on_from(first), engine, history))
        assert engine.requests[0].messages == (
            Message("user", "Count"),
            Message("assistant", "One two.", first.token_ids, FAKE_MODEL.key),
        )
        assert [event.text for event in events if isinstance(event, Token)] == ["One two.", " Three", " four."]
        assert next(event for event in events if isinstance(event, Token)) == Token("One two.", 0)

    def test_what_is_kept_is_the_whole_reply_beside_the_old_one(self, history: History) -> None:
        first = first_reply(history)
        end = ended(list(run(on_from(first), FakeEngine([Script(" Three four.")]), history)))
        second = history.path(end.begun.reply_id)[-1]
        assert (second.text, second.status) == ("One two. Three four.", "complete")
        assert second.token_ids == (*first.token_ids, 0, 1)
        assert second.stats["reply_tokens"] == 2
        assert (end.finished.text, end.finished.token_ids) == (second.text, second.token_ids)
        assert history.siblings(first.id) == [first.id, second.id]
        assert history.path(first.id)[-1] == first

    def test_another_beginning_has_no_ids(self, history: History) -> None:
        first = first_reply(history)
        engine = FakeEngine([Script(" three.")])
        end = ended(list(run(on_from(first, "Uno, two,"), engine, history)))
        assert engine.requests[0].messages[-1] == Message("assistant", "Uno, two,")
        second = history.path(end.begun.reply_id)[-1]
        assert (second.text, second.token_ids) == ("Uno, two, three.", ())

    def test_the_ids_of_another_model_are_not_mixed_with_new_ones(self, history: History) -> None:
        first = first_reply(history)
        engine = FakeEngine([Script(" Three.")], model=replace(FAKE_MODEL, key="a" * 64))
        end = ended(list(run(on_from(first), engine, history)))
        assert history.path(end.begun.reply_id)[-1].token_ids == ()

    def test_nothing_new_leaves_the_ids_as_they_were(self, history: History) -> None:
        first = first_reply(history)
        end = ended(list(run(on_from(first), FakeEngine([Script("")]), history)))
        second = history.path(end.begun.reply_id)[-1]
        assert (second.text, second.token_ids) == (first.text, first.token_ids)

    def test_a_later_turn_gives_the_whole_reply_back(self, history: History) -> None:
        first = first_reply(history)
        end = ended(list(run(on_from(first), FakeEngine([Script(" Three.")]), history)))
        engine = FakeEngine()
        list(run(Turn("And?", history.path(end.begun.reply_id), first.conversation_id), engine, history))
        assert engine.requests[0].messages[1] == Message("assistant", "One two. Three.", (0, 1, 0), FAKE_MODEL.key)


class TestBeginning:
    def test_is_on_disk_before_the_engine_is_asked(self, history: History) -> None:
        events = run(Turn("Count", prefill="Sure:"), FakeEngine([Script(" one")]), history)
        started = next(events)
        assert isinstance(started, Started)
        reply = history.path(started.begun.reply_id)[-1]
        assert (reply.text, reply.status) == ("Sure:", "streaming")
        events.close()
        assert history.path(reply.id)[-1].text == "Sure:"

    def test_stands_in_front_of_the_first_reply(self, history: History) -> None:
        engine = FakeEngine([Script(" one")])
        events = list(run(Turn("Count", prefill="Sure:"), engine, history))
        assert history.path(ended(events).begun.reply_id)[-1].text == "Sure: one"
        assert engine.requests[0].messages[-1] == Message("assistant", "Sure:")
        kinds = [type(event).__name__ for event in events]
        assert kinds == ["Started", "Loading", "Loaded", "Prefill", "Token", "Token", "Ended"]

    def test_is_told_where_nothing_else_comes(self, history: History) -> None:
        events = list(run(Turn("Count", prefill="Sure:"), FakeEngine([Script("")]), history))
        assert [event.text for event in events if isinstance(event, Token)] == ["Sure:"]

    def test_stays_after_a_crash(self, history: History) -> None:
        turn = Turn("Count", prefill="Sure:")
        with pytest.raises(EngineDied):
            list(run(turn, FakeEngine([Script(" one two", crash_after=1)]), history))
        (chat,) = history.conversations()
        assert history.path(chat.leaf_id)[-1].text == "Sure: one"

    def test_takes_no_place_of_the_longest_reply(self, history: History) -> None:
        turn = Turn("Count", prefill="Sure:", sampling=Sampling(max_tokens=1))
        end = ended(list(run(turn, FakeEngine([Script(" one two")]), history)))
        assert history.path(end.begun.reply_id)[-1].text == "Sure: one"


class TestRequest:
    def test_names_its_chat_and_when_it_began(self, history: History) -> None:
        engine = FakeEngine()
        first = ended(list(run(Turn("hi", system="Be brief."), engine, history)))
        path, chat = history.path(first.begun.reply_id), history.conversation(first.begun.conversation_id)
        list(run(Turn("more", path, chat.id, system="Be brief."), engine, history))
        for request in engine.requests:
            assert (request.chat, request.now) == (chat.id, chat.created_at)
            assert (request.store, request.shared, request.shift) == (True, 1, False)

    def test_of_a_private_turn_names_none(self, history: History) -> None:
        engine = FakeEngine()
        list(run(Turn("hi", private=True), engine, history))
        (request,) = engine.requests
        assert (request.chat, request.store, request.shared) == ("", False, 0)

    def test_may_be_kept_off_the_disk(self, history: History) -> None:
        engine = FakeEngine()
        list(run(Turn("hi", store=False), engine, history))
        assert engine.requests[0].chat and not engine.requests[0].store
