"""RemoteEngine over a real `llama_cpp.server`, and the same conversation through it and through a model here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.engine.conftest import close_places, open_places
from tests.engine.real_server import RealServer, missing, smollm_file
from tests.engine.remote_rig import said
from tests.engine.rig import end_of, until
from tests.engine.sameness import CLOSE

from llmchat_engine import ContextFull, RemoteUnreachable, RequestInvalid
from llmchat_engine.client import LocalEngine
from llmchat_engine.events import Finished, Loaded, Scored, Token
from llmchat_engine.remote import RemoteEngine
from llmchat_engine.types import Message, ModelSpec, RemoteSpec, Request, Sampling

pytestmark = pytest.mark.real_model
GREEDY = Sampling(temperature=0.0, max_tokens=40, repeat_penalty=1.0)
QUESTIONS = ("What is the capital of France?", "And of Italy? One word.", "Which of the two is older?")


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    """One server for all tests of this file."""
    if why := missing():
        pytest.skip(why)
    model = smollm_file()
    assert model is not None
    with RealServer(model) as server:
        engine = RemoteEngine(RemoteSpec(server.url, timeout=60.0), {})
        try:
            end_of(engine.generate(Request((Message("user", "Hi"),), Sampling(max_tokens=1))))
        except RemoteUnreachable:
            if until(lambda: server.is_dead, 2.0):
                pytest.skip(f"this build of llama.cpp does not run here by itself: {server.is_dead}")
            raise
        yield server
        assert server.child.poll() is None, f"the server ended by {server.is_dead or 'itself'}: {server.log()}"


@pytest.fixture
def engine(server: RealServer) -> Iterator[RemoteEngine]:
    """An engine of that server."""
    engine = RemoteEngine(RemoteSpec(server.url, n_ctx=1024, timeout=60.0), {})
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def local(verdicts: Path) -> Iterator[LocalEngine]:
    """The same model, here."""
    model = smollm_file()
    assert model is not None
    places = open_places(verdicts)
    engine = LocalEngine(ModelSpec(model, n_ctx=1024, threads=1), places, keepalive=0.0)
    yield engine
    engine.close()
    close_places(places)


def ask(engine: RemoteEngine, text: str, sampling: Sampling = GREEDY, **more: object) -> Finished:
    request = Request((Message("user", text),), sampling, **more)  # type: ignore[arg-type]
    return end_of(engine.generate(request))


def test_it_answers(engine: RemoteEngine) -> None:
    assert "Paris" in ask(engine, "The Eiffel Tower is in Paris.\n\nWhere is the tower?").text
    [loaded] = [event for event in engine.load() if isinstance(event, Loaded)]
    assert loaded.model.name.startswith("SmolLM2")
    assert loaded.model.build == "llama_cpp.server"


def test_a_stop_word_and_a_limit(engine: RemoteEngine) -> None:
    whole = ask(engine, "What is a prime number?").text
    word = whole.split()[2]
    assert (
        ask(engine, "What is a prime number?", Sampling(temperature=0.0, repeat_penalty=1.0, stop=(word,))).text
        == (whole.partition(word)[0])
    )
    short = ask(engine, "What is a prime number?", Sampling(temperature=0.0, max_tokens=3))
    assert (short.reason, short.reply_tokens) == ("max_tokens", 3)


def test_a_seed_gives_the_same_again(engine: RemoteEngine) -> None:
    drawn = [ask(engine, "Tell me a story.", Sampling(temperature=1.0, seed=7, max_tokens=12)).text for _ in range(3)]
    assert drawn[1] == drawn[2]  # the first one read its prompt in one go, the others take it from the server's memory


def test_several_answers(engine: RemoteEngine) -> None:
    last = list(
        engine.generate(Request((Message("user", "Hi"),), Sampling(temperature=1.0, seed=1, max_tokens=5), answers=3))
    )[-1]
    assert isinstance(last, Finished)
    assert len(last.answers) == 3
    assert all(answer.text for answer in last.answers)


def test_probabilities(engine: RemoteEngine) -> None:
    request = Request((Message("user", "Hi"),), GREEDY, logprobs=3)
    tokens = [event for event in engine.generate(request) if isinstance(event, Token)]
    told = [token for event in tokens for token in event.logprobs]
    assert "".join(token.text for token in told) == said(tokens)
    assert all(token.logprob <= 0 and token.rank == 1 and len(token.top) == 3 for token in told)
    assert all(one.logprob >= other.logprob for token in told for one, other in pairwise(token.top))


def test_a_schema_is_followed(engine: RemoteEngine) -> None:
    schema = '{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}'
    assert isinstance(json.loads(ask(engine, "Ann is 42 years old.", schema=schema).text)["age"], int)


def test_a_grammar_is_followed(engine: RemoteEngine) -> None:
    assert ask(engine, "Is water wet?", grammar='root ::= "yes" | "no"').text in ("yes", "no")


def test_raw_text_is_completed(engine: RemoteEngine) -> None:
    assert ask(engine, "The capital of France is", raw=True).text.lstrip().startswith("Paris")


def test_a_stop_in_the_middle_leaves_the_server_free(engine: RemoteEngine) -> None:
    request = Request((Message("user", "Count from one to a thousand."),), Sampling(temperature=0.0))
    for event in engine.generate(request):
        if isinstance(event, Token):
            engine.cancel(request.id)
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert event.text
    assert ask(engine, "Hi").text  # it serves one request at a time: this one waits for no other


def test_a_prompt_that_does_not_fit(engine: RemoteEngine) -> None:
    with pytest.raises(ContextFull):
        ask(engine, "word " * 3000)


def test_what_it_cannot(engine: RemoteEngine) -> None:
    with pytest.raises(RequestInvalid):
        list(engine.generate(Request((Message("user", "Hi"), Message("assistant", "Hel")), GREEDY)))


def test_it_counts(engine: RemoteEngine, local: LocalEngine) -> None:
    request = Request((Message("system", "Be brief."), Message("user", "What is a prime number?")))
    counted, exact = engine.measure(request), local.measure(request)
    assert not counted.exact
    assert abs(counted.total - exact.total) <= 10
    assert engine.tokenize("Hello world") == local.tokenize("Hello world")


def gaps(local: LocalEngine, request: Request, text: str) -> list[float]:
    """Leads the model here along a text; returns how much less likely each of its tokens is than the likeliest."""
    [scored] = [event for event in local.score(replace(request, logprobs=1), (text,)) if isinstance(event, Scored)]
    return [token.top[0].logprob - token.logprob for token in scored.scores[0].tokens]


def test_a_conversation_is_the_same_through_a_server_and_here(engine: RemoteEngine, local: LocalEngine) -> None:
    path: tuple[Message, ...] = (Message("system", "You answer in one short sentence."),)
    for text in QUESTIONS:
        path = (*path, Message("user", text))
        request = Request(path, GREEDY)
        here, there = end_of(local.generate(request)), end_of(engine.generate(Request(path, GREEDY)))
        # Batches differ in the last bits: each token of the server is the likeliest here, or nearly so.
        assert here.text
        assert there.text == here.text or max(gaps(local, request, there.text)) < CLOSE, (here.text, there.text)
        path = (*path, Message("assistant", here.text))
