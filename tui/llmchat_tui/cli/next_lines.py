"""What could come next, as lines and as JSON: the model's own probabilities, then each filter. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmchat_tui.gauge import bar
from llmchat_tui.piece_text import bits, cell, columns_of, painted, percent, visible
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.answers import Candidate
    from llmchat_engine.events import Filter, Peeked

_HEAD, _DIM = "1", "2"
_BAR = 24
_WIDEST = 24
_FEW = 5
"""Removed tokens that a line names; --json has all."""


def lines(peeked: Peeked, model: str, columns: int, *, color: bool) -> Iterator[str]:
    """Yields what there is to tell.

    Args:
        peeked: of the engine.
        model: its name.
        columns: of the terminal.
        color: whether there are colours.
    """
    first, *filters = peeked.stages
    width = _piece_width(peeked.stages)
    tokens = f"{peeked.prompt_tokens:,} token{'s' * (peeked.prompt_tokens != 1)}"
    yield painted(f"{sanitize_line(model)} · {tokens} · entropy {bits(peeked.entropy):.2f} bits", _HEAD, on=color)
    yield ""
    yield painted(f"{first.name}: {first.kept:,} tokens", _HEAD, on=color)
    yield from _bars(first, width)
    before = first
    for stage in filters:
        yield ""
        yield painted(sanitize_line(f"{stage.name}: {_left(stage, before)}"), _HEAD, on=color)
        for line in _row("takes", stage.removed[:_FEW], columns):
            yield painted(line, _DIM, on=color)
        if stage is filters[-1]:
            yield from _bars(stage, width)
        elif stage.top != before.top:
            yield from _row("leaves", stage.top, columns)
        before = stage


def as_facts(peeked: Peeked) -> dict[str, Any]:
    """Returns every number as JSON."""
    return {
        "prompt_tokens": peeked.prompt_tokens,
        "cached_tokens": peeked.cached_tokens,
        "seconds": round(peeked.seconds, 4),
        "entropy_bits": bits(peeked.entropy),
        "stages": [
            {
                "name": stage.name,
                "kept": stage.kept,
                "lost": stage.lost,
                "top": [candidate_facts(one) for one in stage.top],
                "removed": [candidate_facts(one) for one in stage.removed],
            }
            for stage in peeked.stages
        ],
    }


def candidate_facts(one: Candidate) -> dict[str, Any]:
    """Returns one token as JSON."""
    return {"id": one.id, "text": one.text, "probability": math.exp(one.logprob), "logprob": one.logprob}


def _left(stage: Filter, before: Filter) -> str:
    if stage.kept == before.kept:
        return f"all {stage.kept:,} left"
    return f"{stage.kept:,} of {before.kept:,} left, it takes {percent(stage.lost)}"


def _bars(stage: Filter, width: int) -> Iterator[str]:
    for one in stage.top:
        share = math.exp(one.logprob)
        yield f"  {cell(visible(one.text), width)}  {percent(share):>8}  {bar(share, _BAR)}"


def _row(word: str, candidates: Sequence[Candidate], columns: int) -> Iterator[str]:
    """Yields tokens and their probabilities side by side, on as many lines as they need; none for none."""
    line, at = f"  {word:<6}", 8
    for one in candidates:
        entry = f"  {visible(one.text)} {percent(math.exp(one.logprob))}"
        if at + columns_of(entry) > columns and at > 8:
            yield line
            line, at = " " * 8, 8
        line, at = line + entry, at + columns_of(entry)
    if candidates:
        yield line


def _piece_width(stages: Sequence[Filter]) -> int:
    shown = (columns_of(visible(one.text)) for stage in (stages[0], stages[-1]) for one in stage.top)
    return min(_WIDEST, max(shown, default=0))
