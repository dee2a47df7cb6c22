"""The engine's speed as its consumer sees it: prefill and decode through an `Engine`, on a host of its own.

Knows requests and clocks; no processes, no report. Every request is private, so nothing of one is in the cache for the
next one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine import Engine, Finished, Loaded, Message, ModelInfo, ModelSpec, Request, Sampling, Token
from llmchat_engine.client import LocalEngine
from llmchat_engine.launch import Places
from llmchat_tui.errors import UserError

STORY = "Write a very long story about the keeper of a lighthouse. Do not stop."
"""A question whose answer goes on: of SmolLM2's, every second one is longer than 1,500 tokens."""
_SEEDS = range(1, 9)
_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.0)
_LETTERS_PER_TOKEN = 8
"""More than any prose has on average, so that a slice of this length is always too long and is cut."""
_CHAPTER = 13_001
"""Letters between the beginnings of two prompts: their first words differ, and nothing of one is found in another."""


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


@contextlib.contextmanager
def private_engine(spec: ModelSpec, state: Path) -> Iterator[LocalEngine]:
    """Yields an engine with a host that nobody else can join, and waits until that host has gone.

    Args:
        spec: The model.
        state: Where the verdict about this CPU is kept: it is not found out again for each run.
    """
    with short_directory() as home:
        engine = LocalEngine(spec, Places(home / "run", home / "logs", state), keepalive=0)
        engine.prepare()
        host = engine.pid
        try:
            yield engine
        finally:
            engine.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(host, 0)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Yields a temporary directory with a name so short that a socket fits into it on every system."""
    parent = "/tmp" if os.path.isdir("/tmp") else None  # noqa: S108 - mkdtemp makes it, for this user alone
    with tempfile.TemporaryDirectory(prefix="llmb-", dir=parent, ignore_cleanup_errors=True) as home:
        yield Path(home)


def load(engine: Engine) -> ModelInfo:
    """Loads the model and returns what it is.

    Raises:
        EngineError: it cannot be loaded.
    """
    for event in engine.load():
        if isinstance(event, Loaded):
            return event.model
    raise UserError("the model did not load", "the engine ended without an answer", "llmchat doctor")


def prose(number: int, letters: int) -> str:
    """Returns English text that every Python carries; another one for each number."""
    from pydoc_data.topics import topics

    book = "\n\n".join(str(text) for text in topics.values())
    start = number * _CHAPTER % max(1, len(book) - letters)
    return book[start : start + letters].strip()


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
    from dataclasses import replace

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
