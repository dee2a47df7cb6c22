"""Beam search over rows of logits: which hypotheses go on, in which sequences, and when the best ones are certain.

Knows ids, log-probabilities and numbers of sequences; no context, no text. Whoever decodes asks for a plan, does what
it says and brings a row of logits for each hypothesis:

    search = BeamSearch(4, ends, max_tokens)      the prompt is in sequence 0, its last row is readable
    plan = search.step([row])
    while plan:
        copy plan.copies, decode plan.tokens into plan.sequences
        plan = search.step(rows)                  one row per token, in that order
    search.best()
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmchat_engine.host.logprobs import likeliest, log_total, logprob

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

Ends = Callable[[tuple[int, ...], int], bool]
"""Whether a hypothesis of these ids ends with this next one: an end-of-generation token, or a stop word completed."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to go on from the prompt."""

    ids: tuple[int, ...] = ()
    logprob: float = 0.0
    """Sum over its tokens."""
    ended: bool = False
    """False for one that goes on, or was cut at the limit."""
    sequence: int = 0
    """Where its tokens but the last are, while it is live."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be decoded next: one token of each live hypothesis."""

    tokens: tuple[int, ...]
    sequences: tuple[int, ...]
    """Where each goes. A hypothesis goes on in its parent's sequence, the parent's other children get one of theirs."""
    copies: tuple[tuple[int, int], ...]
    """(source, target) to do before: the target is emptied, then holds all of the source. No target is a source."""
    dead: tuple[int, ...]
    """Sequences of hypotheses that are given up and not copied into: to be emptied."""


@dataclass(frozen=True, slots=True)
class _Next:
    """A live hypothesis and a token behind it."""

    parent: int
    token: int
    logprob: float

    @property
    def order(self) -> tuple[float, int, int]:
        """The likeliest first; of equal ones that of the better parent, then the lower id."""
        return -self.logprob, self.parent, self.token


class BeamSearch:
    """One search: the `width` likeliest hypotheses of each length, by the sum of their log-probabilities.

    An ending ranked among the first `width` of its step is finished and kept beside the live ones, which stay `width`.
    What is finished is ranked by its sum divided by length to the power of the penalty, the end token counted too; an
    earlier one goes before an equal one. At the limit what is live is finished as it stands.

    Attributes:
        live: what goes on, the likeliest first; a row of logits for each is expected by `step`.
    """

    def __init__(
        self, width: int, ends: Ends, max_tokens: int, *, length_penalty: float = 1.0, results: int = 1
    ) -> None:
        """Begins with nothing behind the prompt, which is in sequence 0.

        Args:
            width: hypotheses; so many sequences are used, from 0 on.
            ends: whether a token ends a hypothesis.
            max_tokens: the length at which a hypothesis is cut.
            length_penalty: from 0, which ranks by the sum alone, to 10; 1 is the mean.
            results: how many of the best must be certain before the search ends; at most `width`.

        Raises:
            ValueError: a number is out of its range.
        """
        if not (1 <= results <= width and max_tokens >= 1 and 0 <= length_penalty <= 10):
            raise ValueError(f"width {width}, results {results}, max_tokens {max_tokens}, penalty {length_penalty}")
        self.live: tuple[Hypothesis, ...] = (Hypothesis(),)
        self._width, self._ends, self._limit = width, ends, max_tokens
        self._penalty, self._results = length_penalty, results
        self._finished: list[Hypothesis] = []

    def step(self, rows: Sequence[Row]) -> Plan | None:
        """Takes the logits behind each live hypothesis; returns what to decode next, None where the search is over.

        Raises:
            GenerationFailed: the model gave numbers that are none.
        """
        parents = self.live
        going, ended = self._chosen(rows)
        self._finish(_child(parents[new.parent], new, ended=True) for new in ended)
        self.live = tuple(_child(parents[new.parent], new) for new in going)
        if self._is_over():
            self._finish(self.live)
            self.live = ()
            return None
        plan = _plan(parents, going, self._width)
        moved = zip(self.live, plan.sequences, strict=True)
        self.live = tuple(Hypothesis(child.ids, child.logprob, False, sequence) for child, sequence in moved)
        return plan

    @property
    def prefix(self) -> tuple[int, ...]:
        """The ids that every hypothesis shares that can still be the best: they stand, and may be shown."""
        leader = self._finished[0] if self._finished else None
        able = [one for one in self.live if leader is None or self._at_most(one) > self.score(leader)]
        contenders = [one.ids for one in (*self._finished[:1], *able)]
        return _shared(contenders) if contenders else ()

    def best(self) -> tuple[Hypothesis, ...]:
        """Returns the best hypotheses so far, the best first; what was stopped counts as it stands."""
        return tuple(self._ranked((*self._finished, *self.live))[: self._results])

    def score(self, hypothesis: Hypothesis) -> float:
        """Returns what hypotheses are ranked by."""
        return hypothesis.logprob / math.pow(len(hypothesis.ids) or 1, self._penalty)

    def _at_most(self, live: Hypothesis) -> float:
        """Returns the score that a hypothesis would have if all its tokens to come were certain."""
        return live.logprob / math.pow(self._limit, self._penalty)

    def _ranked(self, found: Sequence[Hypothesis]) -> list[Hypothesis]:
        return sorted(found, key=self.score, reverse=True)  # stable: the earlier of equal ones stays first

    def _finish(self, more: Iterator[Hypothesis] | Sequence[Hypothesis]) -> None:
        self._finished = self._ranked([*self._finished, *more])[: self._results]

    def _is_over(self) -> bool:
        if not self.live or len(self.live[0].ids) >= self._limit:
            return True
        if len(self._finished) < self._results:
            return False
        return all(self._at_most(one) <= self.score(self._finished[-1]) for one in self.live)

    def _chosen(self, rows: Sequence[Row]) -> tuple[list[_Next], list[_Next]]:
        """Returns the tokens that go on, and those that end a hypothesis."""
        count = 2 * self._width
        while True:
            going: list[_Next] = []
            ended: list[_Next] = []
            # No more than `count`: behind them, the next one of a row that is used up could be missing.
            for rank, new in enumerate(itertools.islice(self._by_likelihood(rows, count), count)):
                if not self._ends(self.live[new.parent].ids, new.token):
                    going.append(new)
                elif rank < self._width:
                    ended.append(new)
                if len(going) == self._width:
                    return going, ended
            if count >= len(rows[0]) * len(rows):
                return going, ended
            count *= 2

    def _by_likelihood(self, rows: Sequence[Row], count: int) -> Iterator[_Next]:
        found = (self._behind(parent, row, count) for parent, row in enumerate(rows))
        return heapq.merge(*found, key=lambda new: new.order)

    def _behind(self, parent: int, row: Row, count: int) -> list[_Next]:
        total, before = log_total(row), self.live[parent].logprob
        new = [_Next(parent, token, before + logprob(row, token, total)) for token in likeliest(row, count)]
        return sorted(new, key=lambda new: new.order)  # sums of unequal logits can be equal


def _child(parent: Hypothesis, new: _Next, *, ended: bool = False) -> Hypothesis:
    return Hypothesis((*parent.ids, new.token), new.logprob, ended, parent.sequence)


def _shared(found: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first, last = min(found), max(found)  # what these share, those between them have too
    differ = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differ, len(first))]


def _plan(parents: Sequence[Hypothesis], going: Sequence[_Next], width: int) -> Plan:
    """Returns where each child goes: the first of a parent stays, the others take sequences that nobody needs."""
    alive = {parents[new.parent].sequence for new in going}
    free = [sequence for sequence in range(width) if sequence not in alive]
    places: list[int] = []
    copies: list[tuple[int, int]] = []
    for new in going:
        place = parents[new.parent].sequence
        if place in places:
            copies.append((place, free.pop(0)))
            place = copies[-1][1]
        places.append(place)
    held = {parent.sequence for parent in parents}
    dead = tuple(place for place in free if place in held)
    return Plan(tuple(new.token for new in going), tuple(places), tuple(copies), dead)
