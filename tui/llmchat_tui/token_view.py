"""A reply token by token: which part of the text each one is, how likely it was, and what a branch from it begins with.

Values and pure functions. Knows no screen and asks no engine; token_scoring.py does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmchat_engine import ModelInfo
from llmchat_engine.answers import Candidate, Score, TokenLogprob
from llmchat_tui.growing import Beginning
from llmchat_tui.history import StoredMessage
from llmchat_tui.token_spans import HALF, spans_of

STEPS = (0.9, 0.6, 0.3, 0.1)
"""Probabilities down to which a token belongs to a step; the last step is below all of them."""
UNLIKELY = 0.3


@dataclass(frozen=True, slots=True)
class ShownToken:
    """One token of a reply."""

    told: TokenLogprob
    text: str
    """What it adds to the text; empty where it is a part of a character, or stands outside the text as a mark does."""
    end: int
    """So long is the text, or the thought, behind it; -1 inside a character."""
    is_thought: bool = False

    @property
    def is_mark(self) -> bool:
        """Whether it opens, closes or ends something, and is no text."""
        return not self.text and self.end >= 0

    @property
    def shown(self) -> str:
        """What stands for it on the screen: the text, or the name of a mark."""
        return self.text or (self.told.text if self.is_mark else "")

    @property
    def is_unlikely(self) -> bool:
        """Whether another one was likelier, or it was one of many."""
        return self.told.rank > 1 or probability(self.told) < UNLIKELY


@dataclass(frozen=True, slots=True)
class ScoredReply:
    """A reply, and how likely a model found each of its tokens."""

    reply: StoredMessage
    model: ModelInfo
    score: Score
    tokens: tuple[ShownToken, ...]
    is_own: bool
    """Whether these are the tokens that this model wrote; else the text was read again."""
    marks: frozenset[int] = frozenset()
    """Ids among the alternatives that are no text."""

    @property
    def summary(self) -> str:
        """The whole reply in numbers."""
        count, told = len(self.tokens), [probability(token.told) for token in self.tokens]
        mean = sum(told) / count if count else 0.0
        tokens = f"{count:,} token{'s' * (count != 1)}"
        return f"{tokens} · mean probability {mean:.2f} · perplexity {self.score.perplexity:,.2f}"

    @property
    def origin(self) -> str:
        """Where the tokens come from, if they are not those that were written."""
        if self.is_own:
            return ""
        if self.reply.model_key == self.model.key:
            return "those are not known: the text was read again"
        writer = self.reply.settings.get("model", "")
        return f"{writer if isinstance(writer, str) and writer else 'another model'} wrote this, it was read again"


def probability(told: TokenLogprob | Candidate) -> float:
    """Returns how likely a token was, from 0 to 1."""
    return math.exp(told.logprob)


def step_of(told: TokenLogprob | Candidate) -> int:
    """Returns how likely a token was as one of five steps, 0 for the likeliest."""
    found = probability(told)
    return sum(found < least for least in STEPS)


def facts_of(told: TokenLogprob) -> str:
    """Returns how likely a token was, in words."""
    entropy = told.entropy / math.log(2)
    return f"p {in_digits(probability(told))} · rank {told.rank:,} · entropy {entropy:.1f} bits"


def in_digits(share: float) -> str:
    """Returns a probability in two digits, a small one too."""
    return f"{share:.2f}" if share >= 0.01 or share == 0 else f"{share:.0e}"


def choices_of(told: TokenLogprob) -> tuple[Candidate, ...]:
    """Returns what could have come: the likeliest, and the token that came where it is none of them."""
    own = Candidate(told.id, told.text, told.logprob)
    return told.top if any(other.id == told.id for other in told.top) else (*told.top, own)


def shown_tokens(told: Sequence[TokenLogprob], reply: StoredMessage, thought_tokens: int) -> tuple[ShownToken, ...]:
    """Returns the tokens of a reply with the text that each one adds.

    Args:
        told: all of them.
        reply: the reply.
        thought_tokens: so many of them, from the first on, are its thought.
    """
    parts = ((told[:thought_tokens], reply.thought, True), (told[thought_tokens:], reply.text, False))
    return tuple(
        ShownToken(token, text[span.start : span.end], -1 if span.is_open else span.end, is_thought)
        for tokens, text, is_thought in parts
        for token, span in zip(tokens, spans_of([token.text for token in tokens], text), strict=True)
    )


def refusal(scored: ScoredReply, at: int, choice: Candidate) -> str:
    """Returns why no branch can begin with a choice at a place; empty where one can."""
    if not scored.is_own:
        return f"a branch needs the tokens as they were written; {scored.origin}"
    if choice.id in scored.marks and choice.id not in _thought_marks(scored):
        return "with this token the reply ends; there is nothing to go on from"
    if HALF in choice.text or (at and scored.tokens[at - 1].end < 0):
        return "this token is only a part of a character; go one further"
    return ""


def beginning(scored: ScoredReply, at: int, choice: Candidate) -> Beginning:
    """Returns what a branch begins with: the tokens before a place, as they were, and another one in its place.

    Args:
        scored: the reply.
        at: the number of the token.
        choice: what takes its place; `refusal` has passed it.
    """
    reply, tokens = scored.reply, scored.tokens
    ids = (*(token.told.id for token in tokens[:at]), choice.id)
    before = tokens[at - 1].end if at and tokens[at - 1].is_thought == tokens[at].is_thought else 0
    new = "" if choice.id in scored.marks else choice.text
    key = scored.model.key
    if tokens[at].is_thought and _is_reasoning(scored):
        return Beginning(reply.thought[:before] + new, ids, key)
    if tokens[at].is_thought:
        return Beginning("", ids, key, reply.thought[:before] + new, len(ids))
    thought_tokens = sum(token.is_thought for token in tokens)
    return Beginning(reply.text[:before] + new, ids, key, reply.thought, thought_tokens, reply.thought_seconds)


def _is_reasoning(scored: ScoredReply) -> bool:
    """Returns whether the thought is an ordinary model's chain of thought: nothing would close it but its answer."""
    recipe = scored.reply.settings.get("recipe")
    is_asked_for = isinstance(recipe, dict) and bool(recipe.get("cot") or recipe.get("votes"))
    return is_asked_for and not any(token.is_thought and token.told.id in scored.marks for token in scored.tokens)


def _thought_marks(scored: ScoredReply) -> frozenset[int]:
    """Returns the ids that open and close the thought of a reply."""
    return frozenset(token.told.id for token in scored.tokens if token.is_thought and token.is_mark)
