"""One event of an answer as values: what came of which reply, its probabilities, how it ended, what was counted.

Reads JSON in the forms of the OpenAI API, of its older completions and of what servers add to them. Knows no HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from llmchat_engine.answers import Candidate, StopReason, TokenLogprob
from llmchat_engine.errors import RemoteUnreachable

UNKNOWN_ID = -1
"""The id of a token whose server does not tell it."""
_REASONS: dict[str, StopReason] = {
    "stop": "eog",
    "eos": "eog",
    "eos_token": "eog",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
}
"""Whatever else it says has ended the reply by itself too."""
_MOST = 1 << 40
"""Above it nothing was counted: no context has as many tokens, and a database holds no number of any size."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event tells of one reply."""

    index: int
    text: str = ""
    thought: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    reason: StopReason | None = None
    filtered: bool = False
    """Whether the server took away what would have come, because of what it says."""
    has_tools: bool = False
    """Whether it called a tool instead of answering."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the server counted and measured; 0 is not told."""

    prompt: int = 0
    reply: int = 0
    cached: int = 0
    thought: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


class _TopToken(msgspec.Struct):
    token: str = ""
    logprob: float | None = None
    id: int = UNKNOWN_ID


class _TokenSaid(_TopToken):
    top_logprobs: list[_TopToken] | None = None


class _Logprobs(msgspec.Struct):
    """Of the chat, or of the older completions."""

    content: list[_TokenSaid] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    text: Any = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """Of vLLM: the stop word that it met, or the id of a token."""
    logprobs: _Logprobs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _ReplyDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _ReplyDetails | None = None


class _Timings(msgspec.Struct):
    prompt_n: int = 0
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0
    cache_n: int = 0


class Chunk(msgspec.Struct):
    """One event, decoded."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: Any = None

    def pieces(self) -> Iterator[Piece]:
        """Yields what it tells of each reply."""
        for choice in self.choices or ():
            said = choice.delta or choice.message or _Delta()
            yield Piece(
                choice.index,
                _text(choice.text) or _text(said.content),
                _text(said.reasoning_content) or _text(said.reasoning),
                tuple(_logprobs(choice.logprobs)),
                _reason(choice.finish_reason, choice.stop_reason),
                choice.finish_reason == "content_filter",
                bool(said.tool_calls),
            )

    def counts(self) -> Counts | None:
        """Returns what it counted; None where it tells nothing of that."""
        if self.usage is None and self.timings is None:
            return None
        usage, times = self.usage or _Usage(), self.timings or _Timings()
        details, thought = usage.prompt_tokens_details, usage.completion_tokens_details
        return Counts(
            _count(usage.prompt_tokens) or _count(times.prompt_n + times.cache_n),
            _count(usage.completion_tokens) or _count(times.predicted_n),
            _count(details.cached_tokens if details else 0) or _count(times.cache_n),
            _count(thought.reasoning_tokens if thought else 0),
            _seconds(times.prompt_ms),
            _seconds(times.predicted_ms),
        )


def chunk_of(data: bytes) -> Chunk:
    """Returns one event, or a whole answer that came in one.

    Raises:
        RemoteUnreachable: it is nothing that a server of the OpenAI API says.
    """
    try:
        return msgspec.json.decode(data, type=Chunk)
    except msgspec.ValidationError as error:
        raise _not_understood(error) from error
    except msgspec.DecodeError as error:
        return _lax(data, error)


def _lax(data: bytes, error: msgspec.DecodeError) -> Chunk:
    """Returns an event with numbers that JSON does not know: llama-cpp-python writes -Infinity."""
    import json

    try:
        return msgspec.convert(json.loads(data), Chunk)
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise _not_understood(error) from error


def _not_understood(error: Exception) -> RemoteUnreachable:
    return RemoteUnreachable("the server's answer is not understood", str(error), "does the URL end in /v1?")


def _reason(finish: str | None, stop: Any) -> StopReason | None:
    """Returns how a reply ended; a stop word is told apart from the model's own end by vLLM alone."""
    if not finish:
        return None
    return "stop" if finish == "stop" and isinstance(stop, str) else _REASONS.get(finish, "eog")


def _text(value: Any) -> str:
    """Returns a text without halves of characters, which `_lax` lets pass and nothing can write."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _count(value: int | None) -> int:
    return value if value is not None and 0 <= value < _MOST else 0


def _id(token: int) -> int:
    return token if 0 <= token < _MOST else UNKNOWN_ID


def _seconds(milliseconds: float) -> float:
    return milliseconds / 1000 if 0 <= milliseconds < _MOST else 0.0


def _likelihood(logprob: float | None) -> float | None:
    """Returns a logarithm of a probability, at most that of certainty; None where it is none."""
    return None if logprob is None or math.isnan(logprob) else min(0.0, logprob)


def _logprobs(told: _Logprobs | None) -> Iterator[TokenLogprob]:
    if told is None:
        return
    for said in told.content or ():
        yield _token(
            said.id, said.token, said.logprob, ((one.id, one.token, one.logprob) for one in said.top_logprobs or ())
        )
    tokens, probabilities = told.tokens or [], told.token_logprobs or []
    tops = told.top_logprobs or [None] * len(tokens)
    for text, logprob, likely in zip(tokens, probabilities, tops, strict=False):
        yield _token(UNKNOWN_ID, text, logprob, ((UNKNOWN_ID, *pair) for pair in (likely or {}).items()))


def _token(token: int, text: str, told: float | None, top: Iterable[tuple[int, str, float | None]]) -> TokenLogprob:
    judged = ((one, said, _likelihood(logprob)) for one, said, logprob in top)
    likely = [Candidate(_id(one), _text(said), logprob) for one, said, logprob in judged if logprob is not None]
    ranked = tuple(sorted(likely, key=lambda one: -one.logprob))
    own = _likelihood(told) or 0.0
    rank = 1 + sum(one.logprob > own for one in ranked)
    return TokenLogprob(_id(token), _text(text), own, ranked, rank, entropy=math.nan)
