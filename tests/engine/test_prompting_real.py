"""Chains of thought and votes on SmolLM2: the second pass comes from the cache, the ids are exact, a stop stops."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
from tests.engine.test_real_model import smollm as smollm

from llmchat_engine.client import LocalEngine
from llmchat_engine.engine import Engine
from llmchat_engine.events import Event, Finished, Token
from llmchat_engine.prompting.chain_of_thought import asked, reason
from llmchat_engine.prompting.few_shot import TEXT_STOP, Shot, as_messages, as_text, open_question
from llmchat_engine.prompting.second_pass import THEREFORE
from llmchat_engine.prompting.vote import Polled, vote
from llmchat_engine.types import Message, Request, Sampling, new_request_id

pytestmark = pytest.mark.real_model

QUESTION = "Tom has 3 boxes with 4 apples each. How many apples are there?"
SHOTS = (
    Shot("Ann has 2 bags with 5 pens each. How many pens are there?", "10", "2 bags times 5 pens is 10 pens."),
    Shot("Bob has 7 cats and gives 3 away. How many cats are left?", "4", "7 minus 3 is 4."),
)
GREEDY = Sampling(temperature=0.0, max_tokens=24)
ZERO_SHOT = Request((Message("user", asked(QUESTION, "zero-shot")),), GREEDY)
FEW_SHOT = Request((*as_messages(SHOTS, str, reasoned=True), Message("user", QUESTION)), GREEDY)
TEXT = Request(
    (Message("user", as_text(SHOTS, str, reasoned=True) + open_question(QUESTION)),),
    replace(GREEDY, stop=TEXT_STOP),
    raw=True,
)


@dataclass(slots=True)
class Watched:
    """An engine whose passes are written down."""

    engine: LocalEngine
    passes: list[Finished] = field(default_factory=list)
    tokenize: Callable[[str], tuple[int, ...]] = field(init=False)
    cancel: Callable[..., None] = field(init=False)
    forget: Callable[[str], None] = field(init=False)

    def __post_init__(self) -> None:
        self.tokenize, self.cancel, self.forget = self.engine.tokenize, self.engine.cancel, self.engine.forget

    def generate(self, request: Request) -> Generator[Event, None, None]:
        with closing(self.engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Finished):
                    self.passes.append(event)
                yield event


def engine_of(watched: Watched) -> Engine:
    return watched  # type: ignore[return-value]  # what asks nothing else of it


def anew(request: Request, chat: str = "") -> Request:
    return replace(request, id=new_request_id(), chat=chat)


@pytest.mark.parametrize(
    ("asked_for", "where"),
    [(ZERO_SHOT, "chat"), (ZERO_SHOT, ""), (ZERO_SHOT, "private"), (FEW_SHOT, "chat"), (TEXT, "chat")],
    ids=["zero-shot", "no chat", "private", "few-shot", "text"],
)
def test_the_second_pass_reads_the_bridge_and_nothing_else(smollm: LocalEngine, asked_for: Request, where: str) -> None:
    watched = Watched(smollm)
    request = replace(anew(asked_for, "a chat" if where == "chat" else ""), private=where == "private")
    *_, last = reason(engine_of(watched), request)
    first, second = watched.passes
    assert isinstance(last, Finished)
    assert second.prefilled_tokens <= len(smollm.tokenize(THEREFORE)) + 1
    assert last.text
    assert "\n" not in last.text
    assert last.thought == first.text
    assert last.token_ids[: len(first.token_ids) - (first.reason == "eog")] == first.token_ids[: last.thought_tokens]


def test_the_ids_of_a_reply_are_those_of_its_thought_and_its_answer(smollm: LocalEngine) -> None:
    *_, loaded = smollm.load()
    *_, last = reason(smollm, anew(FEW_SHOT))
    assert isinstance(last, Finished)
    whole = Message("assistant", f"{last.thought}\nAnswer: {last.text}", last.token_ids, loaded.model.key)  # type: ignore[union-attr]
    rendered = smollm.render(Request((*FEW_SHOT.messages, whole))).token_ids
    retold = smollm.render(Request((*FEW_SHOT.messages, replace(whole, token_ids=())))).token_ids
    assert rendered == retold


def test_a_chain_that_wins_has_its_own_ids(smollm: LocalEngine) -> None:
    drawn = anew(replace(FEW_SHOT, sampling=Sampling(seed=3, max_tokens=24)), "a vote")
    events = [*vote(smollm, drawn, 4, stops_early=False)]
    last, polls = events[-1], [event for event in events if isinstance(event, Polled)]
    assert isinstance(last, Finished)
    assert len(polls[-1].chains) == 4
    assert sum(votes for _, votes in polls[-1].tally) == sum(bool(chain.key) for chain in polls[-1].chains)
    assert last.text == polls[-1].tally[0][0]
    assert last.token_ids[last.thought_tokens :] == smollm.tokenize(f" {last.text}")


def test_chains_that_say_the_same_are_stopped_when_most_have(smollm: LocalEngine) -> None:
    # All but greedy: a vote of one opinion is decided when more than half of the chains have ended.
    same = anew(replace(FEW_SHOT, sampling=Sampling(temperature=0.01, seed=1, max_tokens=24)), "of one mind")
    *_, last = events = [*vote(smollm, same, 5)]
    polls = [event for event in events if isinstance(event, Polled)]
    assert isinstance(last, Finished)
    assert polls[-1].tally[0][1] >= 3
    assert polls[-1].outcome.endswith(last.text)


@pytest.mark.parametrize("number", [1, 2])
def test_a_stop_in_either_pass_ends_the_reply(smollm: LocalEngine, number: int) -> None:
    request, seen = anew(ZERO_SHOT, "stopped"), set[bool]()
    *_, last = _stopped(smollm, request, number == 1, seen)
    assert isinstance(last, Finished)
    assert last.reason == "cancelled" or (number == 2 and last.text)  # an answer may be over before it hears


def _stopped(engine: LocalEngine, request: Request, thinks: bool, seen: set[bool]) -> Generator[Event, None, None]:
    for event in reason(engine, request):
        if isinstance(event, Token) and event.thought == thinks and thinks not in seen:
            seen.add(thinks)
            engine.cancel(request.id)
        yield event


def test_answer_now_ends_the_reasoning_and_the_answer_comes(smollm: LocalEngine) -> None:
    request = anew(replace(ZERO_SHOT, sampling=Sampling(temperature=0.0, max_tokens=200)), "now")
    events: list[Event] = []
    for event in reason(smollm, request):
        events.append(event)
        if sum(isinstance(event, Token) for event in events) == 3:
            smollm.conclude(request.id)
    thought = "".join(event.text for event in events if isinstance(event, Token) and event.thought)
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.text and end.reason in ("eog", "max_tokens") and 0 < end.thought_tokens < 60
    assert end.thought == thought and not thought.endswith(end.text)


def test_answer_now_ends_every_chain_of_a_vote(smollm: LocalEngine) -> None:
    request = anew(replace(ZERO_SHOT, sampling=Sampling(temperature=0.7, seed=1, max_tokens=200)), "now")
    polled: list[Polled] = []
    for event in vote(smollm, request, 3):
        if isinstance(event, Token | Polled) and not polled:
            smollm.conclude(request.id)
        if isinstance(event, Polled):
            polled.append(event)
    assert [chain.reason for chain in polled[-1].chains].count("concluded") >= 2
    assert all(chain.tokens < 150 for chain in polled[-1].chains) and polled[-1].outcome
