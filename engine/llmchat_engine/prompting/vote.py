"""Self-consistency (Wang et al. 2022, arXiv:2203.11171): several chains of thought, and the answer that most reach.

Runs on any `Engine`: the chains are drawn side by side from one prefill. How the vote is run is polling.py's, which
answer counts for which ballot.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
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
    """Cancelled is one that was stopped because the vote was decided, or by the user: it does not count."""
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
        """The winner so far and its votes of the chains that were not stopped, as in `7/9 → 42`; empty before that."""
        if not self.tally:
            return ""
        answer, votes = self.tally[0]
        return f"{votes}/{sum(chain.reason != 'cancelled' for chain in self.chains)} → {answer}"


def vote(
    engine: Engine,
    request: Request,
    count: int,
    *,
    stops_early: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event | Polled, None, None]:
    """Yields the events of a vote of `count` chains: `Polled` as they end, the winner as one reply, and `Finished`.

    The tokens of the chains are not among them: behind the last `Polled` the reasoning of the winner comes as one
    thought, and its answer. Chains at temperature 0 would all be the same: 0, and a temperature that is left open,
    become 0.7, as in the paper. A chain that came to no answer is asked for it in a short second pass, where that can
    change the outcome. With a schema or a grammar, chains that reason do so freely, and the second pass of each is
    held to it; where nothing asks for reasons the chains themselves are held to it. `cancel` stops the whole vote,
    which ends with the winner so far.

    Args:
        engine: who answers.
        request: what is asked, the trigger or the examples of a chain of thought in it.
        count: so many chains; a model has so many sequences at most.
        stops_early: whether chains that cannot change the outcome are stopped.
        clock: tells seconds.

    Raises:
        EngineError: see `Engine.generate`.
    """
    from llmchat_engine.prompting.polling import Poll  # with its regular expressions 6 ms, for those who vote

    return Poll(engine, request, count, stops_early=stops_early, clock=clock).events()
