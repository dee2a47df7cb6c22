"""How likely a reply was is asked as it was asked itself: the same path, its own ids, nothing holds it to a form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.tui.scored import ScoringEngine, pieces
from tests.tui.talk_stage import PATIENCE, Gated, Stage, gated

from llmchat_engine import Message, Sampling
from llmchat_engine.prompting.few_shot import Shot
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.events import Ended
from llmchat_tui.growing import Beginning
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.recipe import Recipe
from llmchat_tui.talk import Talk
from llmchat_tui.token_scoring import ALTERNATIVES, TokenScoring, progress_of
from llmchat_tui.token_view import ScoredReply

ANSWER = "answer to one"


@pytest.fixture
def stage(history: History) -> Iterator[Stage]:
    made = Stage(history)
    yield made
    assert made.talks.close(PATIENCE)


def newest(stage: Stage, talk: Talk) -> StoredMessage:
    return stage.history.path(talk.leaf_id)[-1]


def scored_by(stage: Stage, talk: Talk, reply: StoredMessage, engine: ScoringEngine) -> tuple[ScoredReply, list[str]]:
    """Scores a reply; returns it and what was told on the way."""
    engine.may_end.set()
    told = [progress_of(event) for event in TokenScoring(engine).run(stage.talks.turn_of(talk, reply), reply, 5.0)]
    (found,) = (one for one in told if isinstance(one, ScoredReply))
    return found, [one for one in told if isinstance(one, str) and one]


def test_it_is_asked_behind_the_path_by_its_own_ids(stage: Stage) -> None:
    talk = stage.talks.begin("Be brief.")
    for question in ("one", "two", "three"):
        stage.asked(question, talk=talk)
    reply = stage.history.path(talk.leaf_id)[3]
    engine = ScoringEngine(parts=pieces("answer to two"))
    found, told = scored_by(stage, talk, reply, engine)
    ((request, continuations),) = engine.scored
    first = stage.history.path(talk.leaf_id)[1]
    assert request.messages == (
        Message("system", "Be brief."),
        Message("user", "one"),
        Message("assistant", first.text, first.token_ids, FAKE_MODEL.key),
        Message("user", "two"),
    )
    assert continuations == (reply.token_ids,)
    assert (request.logprobs, request.chat, request.now) == (ALTERNATIVES, talk.conversation_id, 5.0)
    assert found.is_own and found.model == FAKE_MODEL
    assert "".join(token.text for token in found.tokens) == "answer to two"
    assert told == ["loading the model 50%", "reading 512 of 2,314 tokens, 256 were known"]


def test_it_is_asked_as_the_reply_was_whatever_the_chat_says_now(stage: Stage) -> None:
    shots = (Shot("2+2", "4"),)
    talk = stage.talks.begin(
        "Be brief.", recipe=Recipe(wrapper="Sum: $input", shots=shots, schema='{"type": "string"}')
    )
    stage.asked("one", talk=talk)
    talk.system, talk.recipe = "Be long.", Recipe(wrapper="Q: $input")
    engine = ScoringEngine(parts=pieces(ANSWER))
    scored_by(stage, talk, newest(stage, talk), engine)
    request = engine.scored[0][0]
    texts = [message.text for message in request.messages]
    assert texts == ["Be brief.", "Sum: 2+2", "4", "Sum: one"]
    assert (request.schema, request.grammar, request.answers, request.shared) == ("", "", 1, 3)


def test_what_the_reply_did_not_see_is_not_read(stage: Stage) -> None:
    talk = stage.talks.begin()
    for question in ("one", "two"):
        stage.asked(question, talk=talk)
    reply = newest(stage, talk)
    seen = replace(reply, settings=reply.settings | {"left_out": 2, "summary": "numbers"})
    engine = ScoringEngine(parts=pieces(ANSWER))
    scored_by(stage, talk, seen, engine)
    texts = [message.text for message in engine.scored[0][0].messages]
    assert texts == ["Summary of the earlier conversation:\nnumbers", "two"]


@pytest.mark.parametrize("changes", [{"model_key": "another"}, {"token_ids": ()}])
def test_a_reply_of_another_model_or_without_ids_is_read_again(stage: Stage, changes: dict[str, object]) -> None:
    talk = stage.asked("one")
    reply = newest(stage, talk)
    for name, value in changes.items():
        object.__setattr__(reply, name, value)
    engine = ScoringEngine(parts=pieces(ANSWER))
    found, _ = scored_by(stage, talk, reply, engine)
    assert engine.scored[0][1] == (ANSWER,) and not found.is_own


def test_marks_are_known_by_the_vocabulary(stage: Stage) -> None:
    talk = stage.asked("one")
    engine = ScoringEngine(parts=["answer", " to", " one", "<|im_end|>"])
    found, _ = scored_by(stage, talk, newest(stage, talk), engine)
    assert found.marks == {3} and found.tokens[3].is_mark and found.tokens[3].shown == "<|im_end|>"


def test_a_cancelled_one_ends_without_the_reply(stage: Stage) -> None:
    talk = stage.asked("one")
    reply, engine = newest(stage, talk), ScoringEngine(parts=pieces(ANSWER))
    scoring = TokenScoring(engine)
    events = scoring.run(stage.talks.turn_of(talk, reply), reply, 0.0)
    next(events)
    scoring.cancel()
    assert not any(isinstance(event, ScoredReply) for event in events)


class TestABranchAtAToken:
    def branched(self, stage: Stage, talk: Talk, reply: StoredMessage, begins: Beginning) -> Gated:
        engine = gated(" and on")
        stage.engines.append(engine)
        stage.talks.branch_at_token(talk, reply, begins)
        stage.take_until(Ended)
        return engine

    def test_is_a_reply_beside_the_old_one_that_begins_with_its_tokens(self, stage: Stage) -> None:
        talk = stage.talks.begin("Be brief.")
        stage.settings = Sampling(temperature=0.3)
        stage.asked("one", talk=talk)
        reply = newest(stage, talk)
        talk.system = "Be long."
        engine = self.branched(stage, talk, reply, Beginning("answer maybe", (0, 901), FAKE_MODEL.key))
        (request,) = engine.requests
        assert request.messages == (
            Message("system", "Be brief."),
            Message("user", "one"),
            Message("assistant", "answer maybe", (0, 901), FAKE_MODEL.key),
        )
        longer = newest(stage, talk)
        assert (longer.text, longer.token_ids) == ("answer maybe and on", (0, 901, 0, 1))
        assert stage.history.siblings(reply.id) == [reply.id, longer.id]

    def test_inside_a_thought_has_the_model_think_on(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        begins = Beginning("", (0, 901), FAKE_MODEL.key, "Let maybe", 2)
        engine = self.branched(stage, talk, reply, begins)
        assert engine.requests[0].messages[-1] == Message("assistant", "", (0, 901), FAKE_MODEL.key, 2)
        longer = newest(stage, talk)
        assert (longer.text, longer.thought, longer.thought_tokens) == (" and on", "Let maybe", 2)
        assert longer.token_ids == (0, 901, 0, 1)

    def test_in_an_answer_is_held_to_no_schema_for_that_would_begin_anew(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        held = replace(reply, settings=reply.settings | {"recipe": {"schema": '{"type": "object"}'}})
        engine = self.branched(stage, talk, held, Beginning('{"a', (0, 901), FAKE_MODEL.key))
        assert engine.requests[0].schema == ""
        engine = self.branched(stage, talk, held, Beginning("", (0, 901), FAKE_MODEL.key, "Let", 2))
        assert engine.requests[0].schema == '{"type": "object"}'

    def test_takes_no_vote_and_begins_no_other_chain(self, stage: Stage) -> None:
        talk = stage.asked("one")
        reply = newest(stage, talk)
        recipe = {"cot": "zero-shot", "votes": 3}
        voted = replace(reply, settings=reply.settings | {"recipe": recipe})
        engine = self.branched(stage, talk, voted, Beginning("", (0, 901), FAKE_MODEL.key, "Let maybe", 2))
        assert [request.answers for request in engine.requests] == [1]
