"""Several answers, beams, probabilities, grammars and scores through the wire, with a real host."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import end_of, question

from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Answered, Event, Finished, Loaded, Notice, Prefill, Scored, Token
from llmchat_engine.types import Message, Request, Sampling

ASKED = question("tell me of the sea", max_tokens=12, seed=5)


def scored(events: Iterable[Event | Scored]) -> Scored:
    *_, last = events
    assert isinstance(last, Scored)
    return last


def end_of_several(events: Iterable[Event]) -> Finished:
    *_, last = events
    assert isinstance(last, Finished)
    return last


def test_several_answers_come_over_the_wire(engine: LocalEngine) -> None:
    events = [*engine.generate(replace(ASKED, answers=3))]
    last = events[-1]
    assert isinstance(last, Finished)
    for index, answer in enumerate(last.answers):
        text = "".join(event.text for event in events if isinstance(event, Token) and event.answer == index)
        assert text == answer.text
        assert Answered(index, answer) in events
    assert len({answer.token_ids for answer in last.answers}) == 3


def test_answers_that_must_be_the_same_are_told(engine: LocalEngine) -> None:
    same = replace(question("tell me", max_tokens=3), answers=2)
    assert any(isinstance(event, Notice) and "temperature 0" in event.text for event in engine.generate(same))
    assert not any(isinstance(event, Notice) for event in engine.generate(replace(ASKED, answers=2, id="drawn")))


def test_an_answer_that_is_stopped_before_anything_was_sent_has_no_word(engine: LocalEngine) -> None:
    asked = replace(ASKED, answers=2)
    engine.prepare()
    engine.cancel(asked.id, 1)
    last = end_of_several(engine.generate(asked))
    assert [(answer.reason == "cancelled", answer.tokens > 0) for answer in last.answers] == [
        (False, True),
        (True, False),
    ]
    again = end_of_several(engine.generate(asked))
    assert "cancelled" not in {answer.reason for answer in again.answers}


def test_with_the_last_answer_the_request_is_stopped_in_its_prefill(start: StartEngine, slow_chat: Path) -> None:
    engine = start(slow_chat)
    asked = replace(question("sea " * 900, max_tokens=5, seed=5), answers=2)
    events, seen = engine.generate(asked), []
    for event in events:
        seen.append(event)
        if isinstance(event, Prefill) and event.done < event.total:
            for answer in range(2):
                engine.cancel(asked.id, answer)
    last = seen[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.reply_tokens) == ("cancelled", 0)
    assert last.cached_tokens + last.prefilled_tokens < last.prompt_tokens


def test_one_answer_is_stopped_and_the_others_go_on(start: StartEngine, slow_chat: Path) -> None:
    engine = start(slow_chat)
    asked = replace(question("tell me of the sea", max_tokens=150, seed=5), answers=3)
    events = engine.generate(asked)
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, Token) and event.answer == 1:
            engine.cancel(asked.id, 1)
    last = seen[-1]
    assert isinstance(last, Finished)
    assert [answer.reason == "cancelled" for answer in last.answers] == [False, True, False]
    assert last.answers[1].tokens < 150


def test_all_answers_are_stopped(start: StartEngine, slow_chat: Path) -> None:
    engine = start(slow_chat)
    asked = replace(question("tell me of the sea", max_tokens=None, seed=5), answers=2)
    for event in (events := engine.generate(asked)):
        if isinstance(event, Token):
            engine.cancel(asked.id)
            break
    *_, last = events
    assert isinstance(last, Finished)
    assert {answer.reason for answer in last.answers} == {"cancelled"}


def test_probabilities_are_told_when_asked_for(engine: LocalEngine) -> None:
    events = [*engine.generate(replace(ASKED, logprobs=4))]
    told = [logprob for event in events if isinstance(event, Token) for logprob in event.logprobs]
    last = events[-1]
    assert isinstance(last, Finished)
    assert [logprob.id for logprob in told] == list(last.token_ids)
    for logprob in told:
        assert logprob.logprob <= logprob.top[0].logprob <= 0
        assert len(logprob.top) == 4
        assert sum(math.exp(candidate.logprob) for candidate in logprob.top) <= 1.000001
        if logprob.rank <= 4:
            assert logprob.top[logprob.rank - 1].id == logprob.id
    assert all(not event.logprobs for event in engine.generate(ASKED) if isinstance(event, Token))


@pytest.mark.parametrize("more", [{"logprobs": 101}, {"logprobs": -1}, {"beams": 17}, {"answers": 0}, {"answers": 17},
                                  {"beams": 2, "answers": 2}, {"beams": 2, "length_penalty": 11.0},
                                  {"beams": 2, "grammar": 'root ::= "a"'}, {"grammar": "root ::= x"}])  # fmt: skip
def test_what_cannot_be_had_is_refused(engine: LocalEngine, more: dict[str, object]) -> None:
    with pytest.raises(RequestInvalid):
        list(engine.generate(replace(ASKED, **more)))  # type: ignore[arg-type]
    assert end_of(engine.generate(replace(ASKED, id="after"))).reply_tokens > 0


def test_one_beam_is_greedy(engine: LocalEngine) -> None:
    greedy = end_of(engine.generate(question("tell me of the sea", max_tokens=12)))
    beam = end_of(engine.generate(replace(ASKED, beams=1)))
    assert (beam.text, beam.token_ids, beam.reason) == (greedy.text, greedy.token_ids, greedy.reason)


def test_beams_find_something_at_least_as_likely(engine: LocalEngine) -> None:
    found = {beams: end_of(engine.generate(replace(ASKED, beams=beams, id=str(beams)))) for beams in (1, 6)}
    mean = {beams: (one.logprob or 0.0) / len(one.token_ids) for beams, one in found.items()}
    assert mean[6] > mean[1]
    told = [
        logprob.logprob
        for event in engine.generate(replace(question("tell me of the sea", max_tokens=12), logprobs=0))
        if isinstance(event, Token)
        for logprob in event.logprobs
    ]
    assert found[1].logprob == pytest.approx(sum(told), abs=1e-3)


def model_key(engine: LocalEngine) -> str:
    *_, loaded = engine.load()
    assert isinstance(loaded, Loaded)
    return loaded.model.key


def test_the_chat_goes_on_behind_beams_from_the_cache(engine: LocalEngine) -> None:
    asked = replace(ASKED, beams=4, chat="beams")
    found = end_of(engine.generate(asked))
    reply = Message("assistant", found.text, found.token_ids, model_key(engine))
    follow = Request((*asked.messages, reply, Message("user", "and then")), Sampling(max_tokens=3), chat="beams")
    assert end_of(engine.generate(follow)).cached_tokens >= found.prompt_tokens + len(found.token_ids) - 1


def test_a_grammar_is_followed(engine: LocalEngine) -> None:
    grammar = 'root ::= ("yes" | "no") "."'
    for seed in range(6):
        asked = replace(question("is it so", max_tokens=40, seed=seed), grammar=grammar)
        finished = end_of(engine.generate(asked))
        assert finished.text in {"yes.", "no."}
        assert finished.complete
    cut = end_of(engine.generate(replace(question("is it so", max_tokens=1, seed=1), grammar="root ::= [a-z]{40}")))
    assert not cut.complete


def test_a_stop_word_leaves_a_reply_short_of_its_grammar(engine: LocalEngine) -> None:
    asked = question("is it so", max_tokens=40, seed=1)
    asked = replace(asked, grammar='root ::= "yes" "."', sampling=replace(asked.sampling, stop=("s.",)))
    cut = end_of(engine.generate(asked))
    assert (cut.text, cut.reason, cut.complete) == ("ye", "stop", False)
    plain = replace(question("is it so", max_tokens=40), sampling=replace(asked.sampling, stop=("e", "a", "o", "i")))
    assert end_of(engine.generate(plain)).complete


def test_a_schema_is_followed(engine: LocalEngine) -> None:
    schema = json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})
    found = end_of(engine.generate(replace(question("is it so", max_tokens=200, seed=3), schema=schema)))
    assert found.complete
    assert json.loads(found.text)["ok"] in (True, False)


def test_several_answers_each_follow_the_grammar(engine: LocalEngine) -> None:
    asked = replace(question("is it so", max_tokens=40, seed=3), grammar='root ::= "yes" | "no"', answers=4)
    *_, last = engine.generate(asked)
    assert isinstance(last, Finished)
    assert {answer.text for answer in last.answers} <= {"yes", "no"}
    assert all(answer.complete for answer in last.answers)


def test_scores_add_up_to_what_generation_told(engine: LocalEngine) -> None:
    events = [*engine.generate(replace(ASKED, logprobs=0))]
    last = events[-1]
    assert isinstance(last, Finished)
    told = [logprob for event in events if isinstance(event, Token) for logprob in event.logprobs]
    texts = ["a", "", last.text]
    score = scored(engine.score(replace(ASKED, logprobs=0, id="score"), texts)).scores
    assert (score[1].logprob, score[1].count) == (0.0, 0)
    if [logprob.id for logprob in score[2].tokens] == [logprob.id for logprob in told[: score[2].count]]:
        assert score[2].logprob == pytest.approx(sum(one.logprob for one in told[: score[2].count]), abs=0.1)
    assert score[2].logprob == pytest.approx(sum(one.logprob for one in score[2].tokens), abs=1e-6)


def test_a_perplexity_is_told_with_progress(engine: LocalEngine) -> None:
    text = "once upon a time there was a sea " * 30
    events = [*engine.perplexity(text, 128)]
    whole = scored(events)
    assert whole.scores[0].count >= len(engine.tokenize(text)) - 1
    assert 1 < whole.scores[0].perplexity < 1e6
    done = [event.done for event in events if isinstance(event, Prefill)]
    assert done == sorted(done)
    assert len(done) > 3


def test_a_scoring_can_be_stopped(start: StartEngine, slow_chat: Path) -> None:
    engine = start(slow_chat)
    events = engine.perplexity("once upon a time " * 2000, 512)
    for event in events:
        if isinstance(event, Prefill):
            break
    events.close()
    assert end_of(engine.generate(question("hello"))).reason != "cancelled"


def test_a_chat_goes_on_from_any_token_with_another_in_its_place(engine: LocalEngine) -> None:
    asked = replace(ASKED, chat="fork", logprobs=3, sampling=replace(ASKED.sampling, max_tokens=10))
    events = [*engine.generate(asked)]
    last = events[-1]
    assert isinstance(last, Finished)
    told = [logprob for event in events if isinstance(event, Token) for logprob in event.logprobs]
    at = 5
    other = next(candidate for candidate in told[at].top if candidate.id != told[at].id)
    ids = (*last.token_ids[:at], other.id)
    text = "".join(one.text for one in told[:at]) + other.text
    begun = Message("assistant", text, ids, model_key(engine))
    forked = end_of(engine.generate(replace(asked, messages=(*asked.messages, begun), id="forked")))
    assert forked.cached_tokens == last.prompt_tokens + at
    assert forked.prefilled_tokens == 1
