"""The engine's speed as its consumer sees it, for a comparison with other programs: prefill and decode of one question.

Knows requests and clocks; no processes, no report. Every request is private, so nothing of one is in the cache for the
next one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from llmchat_engine import Engine, Finished, Message, Request, Sampling, Token
from llmchat_tui.cli.bench_clock import prose
from llmchat_tui.errors import UserError

STORY = "Write a very long story about the keeper of a lighthouse. Do not stop."
"""A question whose answer goes on: of SmolLM2's, every second one is longer than 1,500 tokens."""
_SEEDS = range(1, 9)
_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.0)
_LETTERS_PER_TOKEN = 8
"""More than any prose has on average, so that a slice of this length is always too long and is cut."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One generation on the consumer's clock."""

    prompt_tokens: int
    tokens: int
    """Tokens of the reply that have text: the end-of-generation token is none."""
    to_first: float
    """Seconds from asking to the first text."""
    first_to_last: float
    """Seconds from the first text to the last."""
    overhead_ms: float = 0.0
    """Milliseconds a token outside llama_decode, in the host."""
    complete: bool = True
    """False where the model stopped before the number of tokens it was asked for."""

    @property
    def decode_rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / self.first_to_last if self.first_to_last > 0 else 0.0

    @property
    def prefill_rate(self) -> float:
        """Prompt tokens a second until the first text."""
        return self.prompt_tokens / self.to_first if self.to_first > 0 else 0.0


def prompt_of(engine: Engine, tokens: int, number: int) -> str:
    """Returns a question of this many tokens, the chat template's included.

    Args:
        engine: Who counts.
        tokens: How long the whole prompt shall be. Reached to within two tokens.
        number: Which text; the same number gives the same one.
    """
    text = prose(number, tokens * _LETTERS_PER_TOKEN)
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(engine.render(_request(text[:middle], 1, 1)).token_ids) <= tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def measure(engine: Engine, question: str, tokens: int, seed: int) -> Reply:
    """Asks, and returns how long it took.

    Raises:
        EngineError: the engine failed.
    """
    began = first = last = time.perf_counter()
    seen = False
    for event in engine.generate(_request(question, tokens, seed)):
        if isinstance(event, (Token, Finished)):
            now = time.perf_counter()
            if not seen:
                first = last = now
            if isinstance(event, Token):
                last, seen = now, True
        if isinstance(event, Finished):
            return _reply(event, began, first, last)
    raise UserError("the engine did not finish", "its last event is missing", "llmchat doctor")


def find_seed(engine: Engine, question: str, tokens: int) -> int:
    """Returns a seed with which the model writes this many tokens, or else most: the same seed writes them again."""
    lengths = {}
    for seed in _SEEDS:
        reply = measure(engine, question, tokens, seed)
        if reply.complete:
            return seed
        lengths[seed] = reply.tokens
    return max(lengths, key=lambda seed: lengths[seed])


def _request(question: str, tokens: int, seed: int) -> Request:
    return Request((Message("user", question),), replace(_SAMPLING, max_tokens=tokens, seed=seed), private=True)


def _reply(finished: Finished, began: float, first: float, last: float) -> Reply:
    steps = max(1, finished.reply_tokens - 1)
    return Reply(
        prompt_tokens=finished.prompt_tokens,
        tokens=finished.reply_tokens - (finished.reason == "eog"),
        to_first=first - began,
        first_to_last=last - first,
        overhead_ms=1000 * finished.decode_seconds / steps - finished.decode_ms,
        complete=finished.reason == "max_tokens",
    )
