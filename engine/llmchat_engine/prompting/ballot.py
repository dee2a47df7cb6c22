"""The count of a vote: which answer each chain came to, what counts as the same answer, whether it is decided.

Runs nothing; answers go in as chains end, and the standing comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from llmchat_engine.answers import Answer
from llmchat_engine.prompting.answers_key import Kind, canonical, key_of, kind_of
from llmchat_engine.prompting.answers_text import Place, alone, last, marked
from llmchat_engine.prompting.chain_of_thought import reasons
from llmchat_engine.prompting.vote import Chain

Source = Literal["chain", "whole", "pass"]
"""Where answers stand: somewhere in the chain, the whole of it, or in a second pass behind it."""


@dataclass(slots=True)
class Ended:
    """A chain that has ended."""

    number: int
    answer: Answer
    place: Place | None
    """Where its answer stands, where a mark or its shortness tells."""
    taken: str | None = None
    """What a second pass took from it; empty where that found nothing, None before."""
    read: dict[tuple[Kind, str | None], Chain] = field(default_factory=dict)
    """What was read in it, by what answers are and what was taken: read at every look, 64 chains cost 3 s."""

    @property
    def counts(self) -> bool:
        """Whether it came to its end."""
        return self.answer.reason != "cancelled"


@dataclass(frozen=True, slots=True)
class Standing:
    """One answer and who gave it."""

    key: str
    first: Chain
    votes: int


class Ballot:
    """The chains of one vote."""

    def __init__(self, total: int, source: Source, *, is_json: bool = False) -> None:
        """Has no chain yet.

        Args:
            total: so many chains are drawn.
            source: where their answers stand.
            is_json: whether answers are JSON values, scalars too; else what they are is seen from all of them.
        """
        self.total, self._source, self._is_json = total, source, is_json
        self.ended: dict[int, Ended] = {}
        self.stopped: set[int] = set()
        """The chains that were stopped because they could not change the outcome."""

    def put(self, number: int, answer: Answer) -> None:
        """Takes a chain that has ended."""
        place = None
        if self._source == "chain":
            place = marked(answer.text) or alone(answer.text)
        elif self._source == "whole" and answer.complete and (text := answer.text.strip()):
            start = answer.text.index(text)
            place = Place(start, start + len(text), start)
        self.ended[number] = Ended(number, answer, place)

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Those that have ended."""
        kind = self._kind
        return tuple(self._chain(ended, kind) for _, ended in sorted(self.ended.items()))

    @property
    def standings(self) -> tuple[Standing, ...]:
        """The answers, the one with most votes first; of equal ones the earlier chain's."""
        given: dict[str, list[Chain]] = {}
        for chain in self.chains:
            if chain.key:
                given.setdefault(chain.key, []).append(chain)
        standings = [Standing(key, chains[0], len(chains)) for key, chains in given.items()]
        return tuple(sorted(standings, key=lambda one: -one.votes))

    @property
    def running(self) -> list[int]:
        """The chains that have not ended and were not stopped."""
        return [number for number in range(self.total) if number not in self.ended and number not in self.stopped]

    @property
    def silent(self) -> list[int]:
        """The chains that ended without an answer, and can be asked for one."""
        if self._source == "whole":
            return []
        kind = self._kind
        return [
            ended.number for ended in self._counted() if ended.taken is None and not self._chain(ended, kind).answer
        ]

    @property
    def is_decided(self) -> bool:
        """Whether no chain that is still to answer can catch up with the leader; a tie would be the earlier chain's."""
        votes = [standing.votes for standing in self.standings[:2]]
        still = len(self.running) + len(self.silent)
        return not still or (bool(votes) and votes[0] > sum(votes[1:]) + still)

    def place(self, number: int) -> Place | None:
        """Returns where the answer of a chain stands in its text; None where a second pass gave it."""
        return self._place(self.ended[number], self._kind)

    def _counted(self) -> Iterator[Ended]:
        return (ended for _, ended in sorted(self.ended.items()) if ended.counts)

    @property
    def _kind(self) -> Kind:
        """What the answers are, as far as they are known."""
        if self._is_json:
            return "json"
        known = [ended.taken or _text_at(ended) for ended in self._counted()]
        return kind_of(answer for answer in known if answer)

    def _place(self, ended: Ended, kind: Kind) -> Place | None:
        if ended.taken:
            return None
        if ended.place is None and self._source == "chain" and ended.answer.reason in ("eog", "stop"):
            return last(ended.answer.text, kind)  # the last number of a chain that was cut off is one on the way
        return ended.place

    def _found(self, ended: Ended, kind: Kind) -> tuple[str, Place | None]:
        """Returns the answer of a chain and where it stands."""
        place = self._place(ended, kind)
        answer = ended.answer.text[place.start : place.end] if place else ended.taken or ""
        return ("" if self._is_json and not canonical(answer) else answer), place

    def _chain(self, ended: Ended, kind: Kind) -> Chain:
        if (known := ended.read.get((kind, ended.taken))) is None:
            known = ended.read[kind, ended.taken] = self._read(ended, kind)
        return known

    def _read(self, ended: Ended, kind: Kind) -> Chain:
        said = ended.answer
        answer, place = self._found(ended, kind) if ended.counts else ("", None)
        thought = reasons(said.thought, said.text[: place.reasons].rstrip() if place else said.text)
        key = key_of(answer, kind) if answer else ""
        return Chain(ended.number, thought, answer, key, said.reason, said.tokens)


def _text_at(ended: Ended) -> str:
    return ended.answer.text[ended.place.start : ended.place.end] if ended.place else ""
