"""Several drafts in an open chat: choosing one while they grow or afterwards, stopping one, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.talk_stage import Gated, Stage, gated, wait_until

from llmchat_engine import Token
from llmchat_engine.testing import Script
from llmchat_tui.drafts import Draft, Drafts
from llmchat_tui.errors import NotFound
from llmchat_tui.events import Ended, Started
from llmchat_tui.history import History
from llmchat_tui.talk import Failed, Talk

COLOURS = ("Red.", "A deep blue.", "Green it is.")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with History.open(tmp_path / "chats.db") as history:
        made = Stage(history)
        yield made
        made.talks.close(10)


def drafts_of(talk: Talk) -> Drafts:
    assert talk.drafts is not None
    return talk.drafts


def asked(stage: Stage, engine: Gated, answers: int = 3) -> Talk:
    """Asks for drafts in a new chat."""
    stage.engines.append(engine)
    talk = stage.talks.begin()
    stage.talks.ask(talk, "A colour?", answers=answers)
    return talk


def texts(stage: Stage, talk: Talk) -> list[tuple[str, str]]:
    return [(message.text, message.status) for message in stage.stored(talk)[1:]]


def test_the_next_question_follows_the_chosen_one(stage: Stage) -> None:
    talk = asked(stage, gated(*COLOURS))
    stage.take_until(Ended)
    first, second, _ = stage.history.siblings(talk.leaf_id)
    assert talk.leaf_id == first
    stage.talks.choose_draft(talk, 1)
    assert (talk.leaf_id, drafts_of(talk).chosen) == (second, 1)
    assert stage.history.conversation(talk.conversation_id).leaf_id == second
    stage.asked("Why?", talk=talk)
    assert [message.text for message in stage.history.path(talk.leaf_id)][:3] == ["A colour?", "A deep blue.", "Why?"]


def test_a_single_reply_has_no_drafts(stage: Stage) -> None:
    talk = asked(stage, gated(*COLOURS))
    stage.take_until(Ended)
    stage.asked("Why?", talk=talk)
    assert talk.drafts is None
    with pytest.raises(RuntimeError, match="no drafts"):
        stage.talks.choose_draft(talk, 0)


def test_choosing_one_that_grows_stops_the_others(stage: Stage) -> None:
    engine = gated(Script("one two", hang_after=1), Script("uno dos", hang_after=1))
    talk = asked(stage, engine, 2)
    while not all(draft.text for draft in drafts_of(talk).each):
        stage.take()
    stage.talks.choose_draft(talk, 1)
    wait_until(lambda: bool(engine.stopped))
    assert {number for _, number in engine.stopped} == {0}
    stage.talks.stop(talk)
    stage.take_until(Ended)
    assert texts(stage, talk) == [("one", "stopped"), ("uno", "stopped")]
    assert stage.history.conversation(talk.conversation_id).leaf_id == drafts_of(talk).reply_ids[1]


def test_one_is_stopped_alone(stage: Stage) -> None:
    talk = asked(stage, gated(Script("one two", hang_after=1), Script("uno dos tres")), 2)
    stage.take_until(Token)
    stage.talks.stop(talk, 0)
    stage.take_until(Ended)
    assert texts(stage, talk) == [("one", "stopped"), ("uno dos tres", "complete")]
    assert [draft.state for draft in drafts_of(talk).each] == ["stopped", "complete"]


def test_an_empty_one_cannot_be_chosen(stage: Stage) -> None:
    talk = asked(stage, gated(Script("one", hang_after=0), Script("uno")), 2)
    stage.take_until(Started)
    stage.talks.stop(talk)
    stage.take_until(Ended)
    assert texts(stage, talk) == [("", "stopped")]
    with pytest.raises(NotFound):
        stage.talks.choose_draft(talk, 1)


def test_a_crash_leaves_what_came_to_choose_from(stage: Stage) -> None:
    talk = asked(stage, gated(Script("one two three", crash_after=2), Script("uno")), 2)
    stage.take_until(Failed)
    assert [(draft.text, draft.state) for draft in drafts_of(talk).each] == [("one two", "failed"), ("uno", "complete")]
    stage.talks.choose_draft(talk, 1)
    assert stage.history.path(talk.leaf_id)[-1].text == "uno"


def test_a_question_gets_drafts_beside_the_answer_it_has(stage: Stage) -> None:
    talk = stage.asked("A colour?")
    before = talk.leaf_id
    stage.engines.append(gated(*COLOURS))
    stage.talks.again(talk, stage.history.path(before)[0], answers=3)
    stage.take_until(Ended)
    assert stage.history.siblings(before) == [before, *drafts_of(talk).reply_ids]
    stage.engines.append(gated(*COLOURS))
    stage.talks.edit(talk, stage.history.path(before)[0], "Another?", answers=2)
    stage.take_until(Ended)
    assert [message.text for message in stage.history.path(talk.leaf_id)] == ["Another?", "Red."]


@pytest.mark.parametrize(
    ("draft", "is_empty"),
    [
        (Draft(0), False),
        (Draft(0, state="complete"), False),
        (Draft(0, state="stopped"), True),
        (Draft(0, "text", state="failed"), False),
    ],
)
def test_what_is_empty(draft: Draft, is_empty: bool) -> None:
    assert draft.is_empty == is_empty
