"""A vote as it runs: chains from one prefill, stopped where they cannot change the outcome, and the winner as a reply.

Runs on any `Engine`; what counts as the same answer is ballot.py's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

from llmchat_engine.answers import Answer
from llmchat_engine.engine import Engine
from llmchat_engine.events import Answered, Event, Finished, Loaded, Notice, Token, Waiting, nothing_generated
from llmchat_engine.prompting.answers_text import last_line
from llmchat_engine.prompting.ballot import Ballot, Source
from llmchat_engine.prompting.chain_of_thought import TRIGGER, reasons
from llmchat_engine.prompting.second_pass import SecondPass, exact_ids, is_held, kept_between, shows_mark
from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_engine.types import Request, Sampling

TEMPERATURE = 0.7
"""Of chains, where none above 0 was asked for (Wang et al. 2022)."""
INTERVAL = 1.0
"""Seconds between two tidings while no chain ends."""
_RAISED = f"at temperature 0 every chain is the same: they are drawn at {TEMPERATURE}"
_NO_ANSWER = "no chain came to an answer that can be counted"


class Poll:
    """One vote."""

    def __init__(
        self, engine: Engine, request: Request, count: int, *, stops_early: bool, clock: Callable[[], float]
    ) -> None:
        """Asks nothing yet; see `vote.vote`."""
        self._engine, self._asked, self._stops_early, self._clock = engine, request, stops_early, clock
        self._source: Source = "chain" if not is_held(request) else "pass" if _reasons(request) else "whole"
        self._ballot = Ballot(count, self._source, is_json=bool(request.schema))
        self._tokens: Counter[int] = Counter()
        self._passes: dict[int, SecondPass] = {}
        self._told_at, self._model_key = clock(), ""
        self._end, self._was_cancelled = nothing_generated(request), False

    def events(self) -> Generator[Event | Polled, None, None]:
        """Yields the events of the vote."""
        if self._asked.sampling.temperature == 0:
            yield Notice(_RAISED)
        with kept_between(self._engine, self._asked) as kept:
            yield from self._draw(self._chains(kept))
            yield from self._take_missing(kept)
        yield from self._conclude()

    def _chains(self, kept: Request) -> Request:
        """Returns the request that all chains come from."""
        held = self._source == "whole"
        return replace(
            kept,
            answers=self._ballot.total,
            sampling=_drawn(kept.sampling),
            concludes=not held,
            schema=kept.schema if held else "",
            grammar=kept.grammar if held else "",
        )

    def _draw(self, request: Request) -> Generator[Event | Polled, None, None]:
        """Draws the chains."""
        with closing(self._engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Loaded):
                    self._model_key = event.model.key
                if isinstance(event, Finished):
                    self._end = event
                elif isinstance(event, Answered):
                    yield self._ended(event.index, event.answer)
                elif isinstance(event, Token):
                    self._tokens[event.answer] += event.count
                else:
                    yield event
                if isinstance(event, (Token, Waiting)) and self._clock() - self._told_at >= INTERVAL:
                    yield self._polled()
        if not self._ballot.ended and self._end.reply_tokens:  # of one chain no `Answered` tells
            yield self._ended(0, _answer(self._end))
        self._was_cancelled = not self._ballot.ended

    def _ended(self, number: int, answer: Answer) -> Polled:
        """Takes a chain that has ended; stops the others where they cannot change the outcome."""
        ballot = self._ballot
        self._tokens[number] = answer.tokens
        ballot.put(number, answer)
        if self._stops_early and not self._is_cancelled and ballot.running and ballot.is_decided:
            for other in ballot.running:
                ballot.stopped.add(other)
                self._engine.cancel(self._asked.id, other)
        return self._polled()

    def _take_missing(self, kept: Request) -> Generator[Event | Polled, None, None]:
        """Asks the chains that came to no answer for one, as long as that can change the outcome."""
        ballot = self._ballot
        while not self._is_cancelled and ballot.silent and not ballot.is_decided:
            number = ballot.silent[0]
            ended = ballot.ended[number]
            second = SecondPass(self._engine, kept, self._model_key, ended.answer)
            with closing(second.events()) as events:
                for event in events:
                    if not isinstance(event, Token):
                        yield event
            self._end = second.added_to(self._end)
            self._tokens[number] += second.end.reply_tokens
            if second.had_room and second.end.reason == "cancelled":
                self._was_cancelled = True
            else:
                self._passes[number] = second
                ended.taken = second.end.text.strip() if second.had_room else ""
            yield self._polled()

    def _conclude(self) -> Generator[Event | Polled, None, None]:
        """Yields the winner as a reply."""
        standings = self._ballot.standings
        if standings:
            finished = self._won(standings[0].first)
        elif self._is_cancelled:
            finished = replace(self._end, reason="cancelled", text="", token_ids=(), thought="", thought_tokens=0)
        else:
            yield Notice(_NO_ANSWER)
            finished = self._undecided()
        if self._is_cancelled:
            finished = replace(finished, reason="cancelled")
        if finished.thought:
            yield Token(finished.thought, 0, thought=True)
        if finished.text:
            yield Token(finished.text, 0)
        yield replace(finished, answers=(), sampling=replace(finished.sampling, stop=self._asked.sampling.stop))

    @property
    def _is_cancelled(self) -> bool:
        """Whether somebody else has stopped a chain, or a second pass: that is the end of the vote."""
        ended, stopped = self._ballot.ended, self._ballot.stopped
        return self._was_cancelled or any(not one.counts and number not in stopped for number, one in ended.items())

    def _polled(self) -> Polled:
        self._told_at, ballot = self._clock(), self._ballot
        tally = tuple((standing.first.answer, standing.votes) for standing in ballot.standings)
        return Polled(ballot.chains, tally, ballot.total, self._tokens.total(), bool(ballot.stopped))

    def _won(self, chain: Chain) -> Finished:
        """Returns the end of the vote with the chain that won."""
        ended, second = self._ballot.ended[chain.number], self._passes.get(chain.number)
        end = replace(self._end, thought=chain.thought, text=chain.answer, thought_seconds=self._end.decode_seconds)
        if second and ended.taken:
            ids, thought, last = second.token_ids, second.thought_tokens, second.end
            return replace(
                end,
                reason=last.reason,
                token_ids=ids,
                thought_tokens=thought,
                complete=second.is_complete,
                logprob=last.logprob,
            )
        ids, thought = self._ids(chain.number)
        said = ended.answer
        return replace(
            end,
            reason=said.reason,
            token_ids=ids,
            thought_tokens=thought,
            complete=said.complete,
            logprob=said.logprob,
        )

    def _ids(self, number: int) -> tuple[tuple[int, ...], int]:
        """Returns the ids of a chain up to the end of its answer, and how many stand before that.

        There are none where a token reaches over the edge: the text before the answer and the answer, tokenised on
        their own, have to give the ids that were generated.
        """
        answer, place = self._ballot.ended[number].answer, self._ballot.place(number)
        if place is None or not answer.token_ids:
            return (), 0
        if answer.text.strip() == answer.text[place.start : place.end]:
            return answer.token_ids, answer.thought_tokens
        start = len(answer.text[: place.start].rstrip(" "))
        before = self._engine.tokenize(answer.text[:start]) if start else ()
        told = self._engine.tokenize(answer.text[start : place.end])
        ids, thought = exact_ids(answer), answer.thought_tokens
        is_same = ids[thought : thought + len(before) + len(told)] == (*before, *told)
        return ((*ids[:thought], *before, *told), thought + len(before)) if is_same else ((), 0)

    def _undecided(self) -> Finished:
        """Returns the end of a vote without an answer: the last line of the first chain, and that it is incomplete."""
        said = self._ballot.ended[min(self._ballot.ended)].answer
        text = last_line(said.text)
        before = said.text[: said.text.rfind(text)].rstrip() if text else ""
        return replace(
            self._end,
            reason=said.reason,
            text=text,
            thought=reasons(said.thought, before),
            token_ids=(),
            thought_tokens=0,
            complete=not is_held(self._asked),
        )


def _drawn(sampling: Sampling) -> Sampling:
    """Returns a sampling whose chains differ."""
    return sampling if sampling.temperature else replace(sampling, temperature=TEMPERATURE)


def _reasons(request: Request) -> bool:
    """Returns whether a request asks for reasons before the answer."""
    return shows_mark(request) or any(TRIGGER in message.text for message in request.messages[-1:])


def _answer(end: Finished) -> Answer:
    """Returns the one answer of a generation."""
    return Answer(
        end.reason,
        end.text,
        end.token_ids,
        end.reply_tokens,
        seed=end.sampling.seed,
        logprob=end.logprob,
        complete=end.complete,
        thought=end.thought,
        thought_tokens=end.thought_tokens,
    )
