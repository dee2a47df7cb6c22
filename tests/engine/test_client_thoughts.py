"""Thoughts through a real host: told over the wire, closed by an order from another thread, gone with the next turn."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.thinkers import WHERE, in_order, thinker_path

from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Event, Finished, Loaded, Queued, Token
from llmchat_engine.prompting.chain_of_thought import asked, reason
from llmchat_engine.prompting.vote import vote
from llmchat_engine.types import Message, Request, Sampling

NO_END = ("#6=-inf", "#4=-inf", "#2=-inf")
"""Neither the mark that closes a thought nor an end of generation is ever drawn."""


@pytest.fixture
def r1(start: StartEngine, models: Path) -> LocalEngine:
    return start(thinker_path("r1", models), keepalive=0.0)


def lasting(**more: object) -> Request:
    return Request((WHERE,), Sampling(temperature=0.0, max_tokens=900, logit_bias=NO_END), chat="a", **more)  # type: ignore[arg-type]


def test_a_model_that_thinks_says_so(r1: LocalEngine) -> None:
    (loaded,) = (event for event in r1.load() if isinstance(event, Loaded))
    assert loaded.model.thinks


def test_answer_now(r1: LocalEngine) -> None:
    request, answered = lasting(), 0
    seen: list[Event] = []
    for event in r1.generate(request):
        seen.append(event)
        if isinstance(event, Token):
            if event.thought:
                r1.conclude(request.id)
            answered += event.count * (not event.thought)
            if answered > 5:
                r1.cancel(request.id)
    finished = in_order(seen)
    closing = r1.render(Request((Message("assistant", "\n"),), raw=True)).token_ids
    assert 0 < finished.thought_tokens < 900
    assert finished.text
    assert finished.token_ids[finished.thought_tokens - 4 : finished.thought_tokens] == (*closing, 6, *closing * 2)


def test_answer_now_before_anything_was_sent(r1: LocalEngine) -> None:
    """Nothing else closes these thoughts: without the order there is no text."""
    request = lasting()
    r1.prepare()
    r1.conclude(request.id)
    assert in_order([*r1.generate(request)]).text
    assert not in_order([*r1.generate(request)]).text, "it was for that run alone"


def test_answer_now_for_one_of_several(r1: LocalEngine) -> None:
    request = lasting(answers=2)
    r1.prepare()
    r1.conclude(request.id, 1)
    first, second = in_order([*r1.generate(request)]).answers
    assert not first.text
    assert second.text


def test_answer_now_while_another_request_is_served(r1: LocalEngine, start: StartEngine, models: Path) -> None:
    other = start(thinker_path("r1", models), keepalive=0.0)
    long, queued = lasting(), lasting()
    with closing(r1.generate(long)) as events:
        next(event for event in events if isinstance(event, Token))
        seen: list[Event] = []
        for event in other.generate(queued):
            seen.append(event)
            if isinstance(event, Queued):
                other.conclude(queued.id, 0)
                assert other.tokenize("x"), "the host has read what came before"
                events.close()
    assert in_order(seen).thought == ""
    assert any(isinstance(event, Queued) for event in seen)


def test_a_thought_that_was_cut_off_is_closed_before_the_second_pass_answers(r1: LocalEngine) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=20, logit_bias=NO_END[:1])
    question = replace(WHERE, text=asked(WHERE.text, "zero-shot"))
    request = Request((question,), sampling, chat="a", grammar='root ::= "4" [0-9]')
    *events, finished = reason(r1, request)
    assert isinstance(finished, Finished)
    thought = [event.text for event in events if isinstance(event, Token) and event.thought]
    assert "".join(thought) == finished.thought
    assert len(finished.text) == 2
    assert finished.complete
    assert 2 <= len(finished.token_ids) - finished.thought_tokens <= 3, "two digits and an end"
    *_, last = vote(r1, request, 2)
    assert isinstance(last, Finished)
    assert len(last.text) == 2
    assert 2 <= len(last.token_ids) - last.thought_tokens <= 3


def test_two_turns(r1: LocalEngine) -> None:
    request = lasting(think_budget=300)
    finished = in_order([*r1.generate(request)])
    assert 300 <= finished.thought_tokens <= 310
    key = next(event.model.key for event in r1.load() if isinstance(event, Loaded))
    reply = Message("assistant", finished.text, finished.token_ids, key, finished.thought_tokens)
    path = (WHERE, reply, Message("user", "And then?"))
    turn = Request(path, Sampling(temperature=0.0, max_tokens=3), chat="a", think="off")
    before = r1.measure(turn)
    assert before.total < finished.prompt_tokens + 900 - 300 + 60
    last = in_order([*r1.generate(turn)])
    assert last.cached_tokens >= before.before + before.messages[0]
    assert last.thought == ""
