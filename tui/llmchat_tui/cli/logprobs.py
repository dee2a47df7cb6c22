"""How likely each token of an answer was: the lines of `ask --logprobs`, and the same as JSON. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from llmchat_tui.gauge import bar
from llmchat_tui.piece_text import bits, cell, painted, percent, visible

if TYPE_CHECKING:
    from llmchat_engine.answers import Candidate, TokenLogprob

_PIECE, _BAR = 16, 10
_COLORS = ((0.9, "32"), (0.3, ""), (0.1, "33"), (0.0, "31"))
"""From which probability on a token has which colour."""


def logprob_lines(tokens: Sequence[TokenLogprob], color: bool = False) -> Iterator[str]:
    """Yields a line for each token: the piece, how likely it was, its rank, the entropy, the alternatives.

    Args:
        tokens: of an answer.
        color: whether there are colours.
    """
    for token in tokens:
        share = math.exp(token.logprob)
        piece = painted(cell(visible(token.text), _PIECE), _color(share), on=color and bool(_color(share)))
        others = "  ".join(_told(other) for other in token.top if _differ(other, token))
        numbers = f"{percent(share):>8}  {bar(share, _BAR)}  #{token.rank:<6,}  {_openness(token)}"
        yield f"{piece}  {numbers}  {others}".rstrip()


def as_json(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Returns the tokens as JSON objects; the entropy in bits."""
    return [
        {
            "id": token.id,
            "text": token.text,
            "logprob": token.logprob,
            "probability": math.exp(token.logprob),
            "rank": token.rank,
            "entropy_bits": None if math.isnan(token.entropy) else bits(token.entropy),
            "top": [
                {"id": other.id, "text": other.text, "logprob": other.logprob, "probability": math.exp(other.logprob)}
                for other in token.top
            ],
        }
        for token in tokens
    ]


def _differ(one: Candidate, other: TokenLogprob) -> bool:
    """Returns whether two are other tokens; some servers tell no ids, and each of theirs is the same."""
    return (one.id, one.text) != (other.id, other.text)


def _openness(token: TokenLogprob) -> str:
    """Returns the entropy in words; blanks where a server does not tell it."""
    return " " * 10 if math.isnan(token.entropy) else f"{bits(token.entropy):>5.2f} bits"


def _told(other: Candidate) -> str:
    return f"{visible(other.text)} {percent(math.exp(other.logprob))}"


def _color(share: float) -> str:
    return next(color for least, color in _COLORS if share >= least)
