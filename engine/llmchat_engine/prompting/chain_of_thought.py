"""Chain of thought (Wei et al. 2022, arXiv:2201.11903; zero-shot: Kojima et al. 2022, arXiv:2205.11916).

Runs on any `Engine`: the model reasons first, then a short second pass takes the answer from the same prefix.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from llmchat_engine.engine import Engine
from llmchat_engine.events import Event, Finished, Loaded, Token, nothing_generated
from llmchat_engine.types import Request

if TYPE_CHECKING:
    from llmchat_engine.prompting.second_pass import SecondPass

Cot = Literal["off", "zero-shot", "few-shot"]
"""Answer at once; reason step by step first; reason as the examples do."""
TRIGGER = "Let's think step by step."
GAP = "\n\n"
"""Between what a model thought by itself and what it says behind that: neither text has the blanks between them."""


def asked(question: str, cot: Cot) -> str:
    """Returns a question as it is sent."""
    return f"{question}\n\n{TRIGGER}" if cot == "zero-shot" else question


def reasons(thought: str, said: str) -> str:
    """Returns all that comes before an answer: what a model thought by itself, and what it said behind that."""
    return GAP.join(filter(None, (thought, said)))


def reason(engine: Engine, request: Request) -> Generator[Event, None, None]:
    """Yields the events of one reply: its reasoning as thought, then the answer that a second pass takes from it.

    Where the examples of the request show `few_shot.ANSWER` before an answer, the reasoning ends where the model writes
    it, and the answer is what it writes behind it. A schema or grammar holds the answer alone. A model that thinks by
    itself has its thought as the reasoning and its text as the answer, without a second pass, unless examples or a
    schema say how the answer is to come. Both passes have the request's id, and what cancels it stops either.

    Args:
        engine: who answers.
        request: what is asked, the trigger or the examples in it.

    Raises:
        EngineError: see `Engine.generate`; that the reasoning left no room for an answer is no error.
    """
    from llmchat_engine.prompting.second_pass import MARK, SecondPass, is_held, kept_between, shows_mark

    marks = shows_mark(request)
    with kept_between(engine, replace(request, answers=1)) as kept:
        stop = (*kept.sampling.stop, MARK) if marks else kept.sampling.stop
        free = replace(kept, sampling=replace(kept.sampling, stop=stop), schema="", grammar="", concludes=True)
        reasoning = _Reasoning(may_answer=not (marks or is_held(kept)))
        yield from reasoning.events(engine, free)
        first = replace(reasoning.end, sampling=replace(reasoning.end.sampling, stop=request.sampling.stop))
        if reasoning.has_answered:
            yield first
        elif first.reason == "cancelled":
            yield _only_thought(first)
        else:
            second = SecondPass(engine, kept, reasoning.model_key, first, wrote_mark=marks and first.reason == "stop")
            yield from second.events()
            yield _merged(first, second) if second.had_room else _only_thought(first, second.is_complete)


class _Reasoning:
    """The first pass."""

    def __init__(self, *, may_answer: bool) -> None:
        self.model_key, self._thinks, self._may_answer = "", False, may_answer
        self._gap = ""
        """What comes before the next text: something once the model has thought by itself."""
        self.end = nothing_generated(Request(()))

    @property
    def has_answered(self) -> bool:
        """Whether the model thinks by itself, and what it said behind that is the answer."""
        return self._may_answer and (self._thinks or bool(self.end.thought))

    def events(self, engine: Engine, request: Request) -> Generator[Event, None, None]:
        """Yields what the model writes as thought, but for the answer of one that thinks by itself."""
        with closing(engine.generate(request)) as events:
            for event in events:
                if isinstance(event, Finished):
                    self.end = event
                    continue
                if isinstance(event, Loaded):
                    self.model_key = event.model.key
                elif isinstance(event, Token):
                    self._thinks = self._thinks or event.thought
                    event = event if self.has_answered else self._as_thought(event)
                yield event

    def _as_thought(self, token: Token) -> Token:
        """Returns what is part of the reasoning as that."""
        if token.thought:
            self._gap = self._gap or (GAP if token.text else "")
            return token
        gap, self._gap = (self._gap, "") if token.text else ("", self._gap)
        return replace(token, text=gap + token.text, thought=True)


def _only_thought(first: Finished, complete: bool = True) -> Finished:
    """Returns the end of a reply that never came to its answer."""
    ids = first.token_ids[:-1] if first.reason == "eog" else first.token_ids
    return replace(
        first,
        text="",
        token_ids=ids,
        thought=reasons(first.thought, first.text),
        thought_tokens=len(ids),
        thought_seconds=first.decode_seconds,
        complete=complete,
    )


def _merged(first: Finished, second: SecondPass) -> Finished:
    """Returns the end of both passes as that of one reply."""
    end = second.end
    known = first.logprob is not None and end.logprob is not None
    return replace(
        second.added_to(first),
        reason=end.reason,
        text=end.text.strip(),
        token_ids=second.token_ids,
        thought=reasons(first.thought, first.text),
        thought_tokens=second.thought_tokens,
        thought_seconds=first.decode_seconds + end.time_to_first_token,
        complete=second.is_complete,
        logprob=(first.logprob or 0.0) + (end.logprob or 0.0) if known else None,
    )
