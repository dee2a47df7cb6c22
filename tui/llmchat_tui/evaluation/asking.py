"""One question of a set, asked in one way: the request as a chat would make it, and what came of it.

Walks the way of a real turn (composing, reason, vote, generate), but knows no history: nothing is recorded in a chat.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from llmchat_engine import Engine, Event, Finished, Request, Sampling, Thinking
from llmchat_engine.events import Scored
from llmchat_engine.prompting.chain_of_thought import reason
from llmchat_engine.prompting.few_shot import TEXT_STOP
from llmchat_engine.prompting.polling import TEMPERATURE
from llmchat_engine.prompting.vote import Polled, vote
from llmchat_tui.composing import compose, examples
from llmchat_tui.evaluation.items import LETTERS, Item
from llmchat_tui.evaluation.ways import Way
from llmchat_tui.growing import packed_vote
from llmchat_tui.recipe import Recipe

MAX_TOKENS = 512
"""The longest reply: GSM8K's longest worked answer has 400."""
_DATE = 1_735_732_800.0
"""Noon of 1 January 2025, for templates that print the date: the same questions are the same prompts next year."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is the same for all questions of a run."""

    system: str = ""
    sampling: Sampling = Sampling()
    """What was asked for; what it leaves open a template decides; else it is greedy but for votes, with a bound."""
    seed: int = 0
    """Of what is drawn: votes, and whatever has a temperature."""
    raw: bool = False
    """Complete text without a chat template (base models)."""
    think: Thinking = "auto"
    held: bool = True
    """Whether the grammar holds replies to the schema of their item, as `ask --schema` does."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one question."""

    text: str
    """The answer alone; of options that were compared the letter of the likeliest."""
    thought: str = ""
    reason: str = "eog"
    prompt_tokens: int = 0
    cached_tokens: int = 0
    reply_tokens: int = 0
    """All that were generated or scored, of all chains."""
    seconds: float = 0.0
    votes: Mapping[str, Any] | None = None
    scores: tuple[float, ...] = ()
    """Of the options, in their order."""


def request_of(item: Item, way: Way, recipe: Recipe, manner: Manner) -> Request:
    """Returns the request that asks a question."""
    schema = item.schema if manner.held and item.schema else recipe.schema
    system = manner.system or (way.template.system if way.template else "")
    # Options that are compared are not listed: each is a reply to the bare question.
    question = recipe.wrapped(item.question) if way.likelihood else recipe.asks(item.asked)
    return Request(
        compose(system, (), question, recipe=recipe, raw=manner.raw),
        sampling_of(way, recipe, manner),
        raw=manner.raw,
        shared=int(bool(system)) + len(examples(recipe, manner.raw)),
        now=_DATE,
        schema=schema,
        grammar="" if schema else recipe.grammar,
        think=recipe.think if recipe.think != "auto" else manner.think,
        think_budget=recipe.think_budget,
    )


def sampling_of(way: Way, recipe: Recipe, manner: Manner) -> Sampling:
    """Returns how a way's replies are drawn.

    Only what is drawn has a seed: with one, the engine uses whole chunks of the cache alone, and the worked examples
    of a greedy run would be read anew for each question.
    """
    template = way.template.sampling if way.template else {}
    given = {name: value for name, value in asdict(manner.sampling).items() if value not in (None, ())}
    values = {**_as_tuples(template), **given}
    greedy = TEMPERATURE if recipe.votes else 0.0
    sampling = replace(Sampling(temperature=greedy, max_tokens=MAX_TOKENS), **values)
    stop = (*sampling.stop, *TEXT_STOP) if manner.raw and recipe.shots else sampling.stop
    return replace(sampling, stop=stop, seed=manner.seed if sampling.temperature else None)


def ask(engine: Engine, item: Item, way: Way, recipe: Recipe, request: Request) -> Reply | None:
    """Asks one question and returns what came of it; None where it was cancelled.

    Raises:
        EngineError: it failed.
    """
    began = time.perf_counter()
    reply = _compared(engine, item, way, request) if way.likelihood else _said(engine, recipe, request)
    return None if reply is None else replace(reply, seconds=time.perf_counter() - began)


def _said(engine: Engine, recipe: Recipe, request: Request) -> Reply | None:
    finished: Finished | None = None
    polled: Polled | None = None
    with closing(_events(engine, recipe, request)) as events:
        for event in events:
            if isinstance(event, Polled):
                polled = event
            elif isinstance(event, Finished):
                finished = event
    if finished is None or finished.reason == "cancelled":
        return None
    return Reply(
        finished.text,
        finished.thought,
        finished.reason,
        finished.prompt_tokens,
        finished.cached_tokens,
        max(finished.reply_tokens, polled.tokens if polled else 0),
        votes=packed_vote(polled) if polled else None,
    )


def _events(engine: Engine, recipe: Recipe, request: Request) -> Generator[Event | Polled, None, None]:
    if recipe.votes:
        return vote(engine, request, recipe.votes)
    return reason(engine, request) if recipe.cot != "off" else engine.generate(request)


def _compared(engine: Engine, item: Item, way: Way, request: Request) -> Reply | None:
    """Asks how likely each option is as the reply."""
    space = " " if request.raw else ""  # behind `Output:`; a chat template ends with a line break
    options = [space + text for text in item.choices]
    with closing(engine.score(request, options)) as events:
        scored = next((event for event in events if isinstance(event, Scored)), None)
    if scored is None:
        return None
    # By byte and not by token: a token of one model is three of another, and rows of models are compared.
    divisors = [len(text.encode()) if way.likelihood == "mean" else 1 for text in item.choices]
    scores = tuple(score.logprob / by for score, by in zip(scored.scores, divisors, strict=True))
    best = max(range(len(scores)), key=scores.__getitem__)
    tokens = sum(score.count for score in scored.scores)
    return Reply(LETTERS[best], "", "scored", scored.prompt_tokens, scored.cached_tokens, tokens, scores=scores)


def _as_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values from a file as `Sampling` has them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
