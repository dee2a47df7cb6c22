"""Self-consistency (Wang et al. 2022, arXiv:2203.11171): several chains of thought, and the answer that most reach.

Runs on any `Engine`: the chains are drawn side by side from one prefill.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from llmchat_engine.answers import StopReason
from llmchat_engine.engine import Engine
from llmchat_engine.events import Event
from llmchat_engine.types import Request


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain of thought that has ended."""

    number: int
    thought: str
    answer: str
    """As it was written; empty where none was found."""
    key: str
    """The answer as it is counted: numbers, choices, JSON and texts in one normal form; empty where none was found."""
    reason: StopReason
    tokens: int


@dataclass(frozen=True, slots=True)
class Polled:
    """How the vote stands; the last one, before `Finished`, is its outcome."""

    chains: tuple[Chain, ...]
    """Those that have ended, in the order of their numbers."""
    tally: tuple[tuple[str, int], ...]
    """(answer as it was first written, votes), the one with most votes first; of equal ones the earlier chain's."""
    total: int
    """So many chains were asked for."""
    tokens: int = 0
    """That all chains have so far."""
    decided: bool = False
    """Whether the chains that are still to end cannot change the outcome; they are stopped."""

    @property
    def outcome(self) -> str:
        """The winner so far and its votes of the chains that ended, as in `7/9 → 42`; empty before the first."""
        if not self.tally:
            return ""
        answer, votes = self.tally[0]
        return f"{votes}/{len(self.chains)} → {answer}"


def vote(engine: Engine, request: Request, count: int) -> Generator[Event | Polled, None, None]:
    """Yields the events of a vote of `count` chains: `Polled` as they end, the winner as one reply, and `Finished`."""
    del count
    with closing(engine.generate(request)) as events:
        yield from events
