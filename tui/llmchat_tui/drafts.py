"""Several replies to one question as a turn tells of them: what came of each, and which one the chat goes on with.

What a front end paints from; the text that is kept is growing.py's. Knows no screen, no engine and no database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Literal

from llmchat_engine import Answered, Finished, Token
from llmchat_tui.events import Ended, Started, TurnEvent

FEWEST, MOST, USUAL = 2, 16, 3
"""Drafts that can be asked for, and as many as come where no number is said."""

State = Literal["growing", "complete", "stopped", "failed"]


@dataclass(slots=True)
class Draft:
    """What came of one reply so far."""

    number: int
    """From 0 on."""
    text: str = ""
    thought: str = ""
    """What was thought before it."""
    thought_tokens: int = 0
    tokens: int = 0
    """Of both."""
    state: State = "growing"
    reason: str = ""
    """Why it ended, where the engine ended it."""
    seconds: float = 0.0
    """Between its first token and its last."""
    _began: float = 0.0

    def take(self, event: Token) -> None:
        """Takes the next piece."""
        now = time.monotonic()
        self._began = self._began or now
        self.seconds = now - self._began
        self.tokens += event.count
        if event.thought:
            self.thought += event.text
            self.thought_tokens += event.count
        else:
            self.text += event.text

    def end(self, state: State, reason: str = "") -> None:
        """Takes its end; does nothing a second time."""
        if self.state == "growing":
            self.state, self.reason = state, reason

    @property
    def thinks(self) -> bool:
        """Whether it grows, and no word of its text has come behind a thought."""
        return self.state == "growing" and bool(self.thought_tokens) and not self.text

    @property
    def is_empty(self) -> bool:
        """Whether it ended before it had a word: then nothing is kept of it."""
        return self.state in ("stopped", "failed") and not (self.text or self.thought)


@dataclass(slots=True)
class Drafts:
    """All of them, by number."""

    count: int
    each: list[Draft] = field(init=False)
    reply_ids: tuple[str, ...] = ()
    """Where they are kept; none before the question is."""
    chosen: int = 0
    """The one that the chat goes on with."""

    def __post_init__(self) -> None:
        """Begins without a word."""
        self.each = [Draft(number) for number in range(self.count)]

    @property
    def growing(self) -> list[Draft]:
        """Those that have not ended."""
        return [draft for draft in self.each if draft.state == "growing"]

    @property
    def think(self) -> bool:
        """Whether one of them thinks."""
        return any(draft.thinks for draft in self.each)

    def take(self, event: TurnEvent) -> None:
        """Takes what concerns them."""
        if isinstance(event, Started):
            self.reply_ids = event.begun.reply_ids
        elif isinstance(event, Token):
            self.each[event.answer].take(event)
        elif isinstance(event, Answered):
            self._end(event.index, event.answer.text, event.answer.reason)
        elif isinstance(event, Ended):
            for draft in self.each:
                part = part_of(event.finished, draft.number)
                self._end(draft.number, part.text, part.reason)

    def fail(self) -> None:
        """Ends those that have not ended."""
        for draft in self.each:
            draft.end("failed")

    def as_chosen(self, event: TurnEvent) -> TurnEvent | None:
        """Returns an event as it is about the chosen one alone; None where it is about another."""
        if isinstance(event, Token):
            return event if event.answer == self.chosen else None
        if isinstance(event, Ended) and self.reply_ids:
            begun = replace(event.begun, reply_id=self.reply_ids[self.chosen])
            return replace(event, begun=begun, finished=part_of(event.finished, self.chosen))
        return event

    def _end(self, number: int, text: str, reason: str) -> None:
        draft = self.each[number]
        if draft.state == "growing":
            draft.text = text
        draft.end("stopped" if reason == "cancelled" else "complete", reason)


def part_of(finished: Finished, number: int) -> Finished:
    """Returns how one of several answers ended, as if it were the only one; its counts of the prompt are of all."""
    if not finished.answers:  # stopped before it ran
        return replace(finished, text="", token_ids=()) if number else finished
    answer = finished.answers[number]
    return replace(
        finished,
        reason=answer.reason,
        text=answer.text,
        token_ids=answer.token_ids,
        reply_tokens=answer.tokens,
        sampling=finished.sampling if answer.seed is None else replace(finished.sampling, seed=answer.seed),
        complete=answer.complete,
        thought=answer.thought,
        thought_tokens=answer.thought_tokens,
        answers=(),
    )
