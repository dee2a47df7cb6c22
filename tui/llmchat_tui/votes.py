"""How a vote of several chains of thought goes or went, in words and read from disk. Knows no screen and no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_tui.sanitize import sanitize_line

_LONGEST_ANSWER = 60
"""Characters of an answer in a line; the whole of it stands in the reply."""


def poll_of(settings: Mapping[str, Any]) -> Polled | None:
    """Returns how the vote of a reply went; None where there was none, or a file says what cannot be one."""
    try:
        votes = msgspec.convert(settings.get("votes"), _Kept)
    except msgspec.ValidationError:
        return None
    return Polled(votes.chains, votes.tally, votes.total, sum(chain.tokens for chain in votes.chains))


def progress_of(polled: Polled) -> str:
    """Returns how far a vote is, as in `3 of 8 chains · 2/3 → 42 · 310 tokens`."""
    tokens = f"{polled.tokens:,} tokens" if polled.tokens else ""
    parts = (f"{len(polled.chains)} of {polled.total} chains", outcome_of(polled), tokens)
    return " · ".join(part for part in parts if part)


def ended_vote(polled: Polled | None) -> str:
    """Returns how a vote ended, as in `7/9 → 42 · 9 of 16 chains`; empty where there was none."""
    if polled is None:
        return ""
    count = f"{len(polled.chains)} of {polled.total} chains" if len(polled.chains) < polled.total else ""
    return " · ".join(part for part in (outcome_of(polled) or "no chain found an answer", count) if part)


def outcome_of(polled: Polled) -> str:
    """Returns who wins, as in `7/9 → 42`, on one line; empty where no chain has an answer."""
    shown = sanitize_line(polled.outcome)
    return shown if len(shown) <= _LONGEST_ANSWER else f"{shown[:_LONGEST_ANSWER]}…"


def counts_for_winner(chain: Chain, polled: Polled) -> bool:
    """Returns whether a chain reached the answer that won; one that was stopped does not count."""
    return bool(chain.key) and chain.key == winning_key(polled) and chain.reason != "cancelled"


def winning_key(polled: Polled) -> str:
    """Returns the normal form of the answer that won; empty where none did."""
    winner = polled.tally[0][0] if polled.tally else None
    return next((chain.key for chain in polled.chains if chain.key and chain.answer == winner), "")


class _Kept(msgspec.Struct, frozen=True):
    """A vote as a reply's settings have it."""

    tally: tuple[tuple[str, int], ...]
    total: int
    chains: tuple[Chain, ...]
