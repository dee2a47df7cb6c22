"""Peeking, pieces and scores by ids through a host: what they cost the cache, and how they end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.engine.conftest import StartEngine
from tests.engine.rig import GREEDY, end_of, question
from tests.engine.tiny_gguf import BYTE_0, IM_END, IM_START

from llmchat_engine.client import LocalEngine
from llmchat_engine.errors import ContextFull, RequestInvalid
from llmchat_engine.events import Finished, Peeked, Scored
from llmchat_engine.types import Message, Request, Sampling

DRAWN = Sampling(temperature=0.9, seed=4, max_tokens=12)


def peeked(engine: LocalEngine, request: Request, count: int = 4) -> Peeked:
    *_, last = engine.peek(request, count)
    assert isinstance(last, Peeked)
    return last


def scored(engine: LocalEngine, request: Request, *texts: Sequence[int]) -> Scored:
    *_, last = engine.score(request, texts)
    assert isinstance(last, Scored)
    return last


def test_the_likeliest_token_is_the_one_that_comes(engine: LocalEngine) -> None:
    request = question("what comes next?", max_tokens=1)
    finished = end_of(engine.generate(request))
    told = peeked(engine, replace(request, id="again"))
    assert told.prompt_tokens == finished.prompt_tokens
    assert told.cached_tokens == told.prompt_tokens - 1
    assert told.stages[0].top[0].id == finished.token_ids[0]
    assert [stage.name for stage in told.stages] == ["softmax", "greedy"]


def test_what_a_filter_leaves_adds_up_to_one(engine: LocalEngine) -> None:
    told = peeked(engine, question("what comes next?", seed=3), 40)
    for stage in told.stages[1:]:
        assert abs(math.fsum(math.exp(one.logprob) for one in stage.top) - 1) < 1e-9 or stage.kept > 40


def test_a_peek_cancelled_before_it_began_tells_nothing(engine: LocalEngine) -> None:
    request = question("hello")
    engine.cancel(request.id)
    assert end_of(event for event in engine.peek(request, 3) if not isinstance(event, Peeked)).reason == "cancelled"


def test_a_peek_between_two_turns_costs_the_second_nothing(start: StartEngine) -> None:
    engine = start()
    first = Request((Message("user", "count"),), DRAWN, chat="one")
    reply = end_of(engine.generate(first))
    *_, loaded = engine.load()
    said = Message("assistant", reply.text, reply.token_ids, loaded.model.key)  # type: ignore[union-attr]
    told = peeked(engine, Request(first.messages, DRAWN, chat="one"))
    assert told.cached_tokens == told.prompt_tokens - 1
    score = scored(engine, Request(first.messages, chat="one", logprobs=5), reply.token_ids)
    assert score.cached_tokens == score.prompt_tokens - 1
    tokens = score.scores[0].tokens
    assert [token.id for token in tokens] == list(reply.token_ids)
    assert all(len(token.top) == 5 for token in tokens)
    assert tokens[0].top[0].id == told.stages[0].top[0].id
    begun = Message("assistant", reply.text, reply.token_ids[:6], loaded.model.key)  # type: ignore[union-attr]
    inside = peeked(engine, Request((*first.messages, begun), DRAWN, chat="one"))
    assert (inside.prompt_tokens, inside.cached_tokens) == (reply.prompt_tokens + 6, reply.prompt_tokens + 5)
    path = (*first.messages, said, Message("user", "go on"))
    second = end_of(engine.generate(Request(path, replace(DRAWN, seed=None), chat="one")))
    assert second.cached_tokens >= reply.prompt_tokens + reply.reply_tokens - 1


def test_a_private_peek_leaves_nothing(start: StartEngine) -> None:
    engine, request = start(), question("a secret " * 40)
    assert peeked(engine, replace(request, private=True)).cached_tokens == 0
    assert peeked(engine, replace(request, private=True, id="again")).cached_tokens == 0


def test_what_cannot_be_used_is_refused_and_the_host_goes_on(engine: LocalEngine) -> None:
    with pytest.raises(RequestInvalid, match="top_p 2 is out of range"):
        peeked(engine, Request((Message("user", "hi"),), Sampling(top_p=2.0)))
    with pytest.raises(RequestInvalid, match="cannot be told"):
        peeked(engine, question("hi"), 100_000)
    with pytest.raises(ContextFull):
        peeked(engine, question("word " * 3000))
    with pytest.raises(RequestInvalid, match="not the model's"):
        scored(engine, question("hi"), [512])
    assert isinstance(
        end_of(engine.generate(Request((Message("user", "hi"),), replace(GREEDY, max_tokens=1)))), Finished
    )


def test_pieces_have_their_bytes_and_special_tokens_a_name(engine: LocalEngine) -> None:
    pieces = engine.pieces("<|im_start|>\U0001f44d<|im_end|>", special=True)
    assert (pieces[0].id, pieces[0].text, pieces[0].data, pieces[0].special) == (IM_START, "<|im_start|>", b"", True)
    assert pieces[-1].id == IM_END
    emoji = [piece for piece in pieces if piece.id in range(BYTE_0, BYTE_0 + 256)]
    assert b"".join(piece.data for piece in emoji) == "\U0001f44d".encode()
    assert {piece.text for piece in emoji} == {"\ufffd"}


def test_pieces_are_the_ids_of_tokenize(engine: LocalEngine) -> None:
    text = "the same text, twice; the same text " * 20
    assert tuple(piece.id for piece in engine.pieces(text)) == engine.tokenize(text)
    assert engine.pieces("") == ()
