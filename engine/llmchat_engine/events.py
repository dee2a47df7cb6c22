"""What comes out of the engine: the events of a request, and its answers to questions about a prompt.

Knows nothing of llama.cpp, sockets or screens. Every value is frozen; lengths are in tokens, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmchat_engine.answers import Answer, Candidate, Score, StopReason, TokenLogprob
from llmchat_engine.types import ModelInfo, Request, Sampling

Origin = Literal["memory", "disk"]
"""Where a cache that had left the context came back from."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being read; `fraction` runs from 0 to 1."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is ready. The first event of every generation after any `Loading`."""

    model: ModelInfo
    seconds: float
    """Time the load took; 0.0 when a running host was joined."""


@dataclass(frozen=True, slots=True)
class Queued:
    """Another client's request is running; `ahead` requests go first."""

    ahead: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing happened for a tenth of a second. Lets the consumer keep its clocks; carries no news."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The cache of this chat had left the context and came back: `tokens` of it, in `seconds`."""

    tokens: int
    seconds: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Prefill:
    """`done` of `total` prompt tokens are in the context, `cached` of them came from the cache."""

    done: int
    total: int
    cached: int


@dataclass(frozen=True, slots=True)
class Token:
    """New text of the reply: one or more tokens, always whole characters, never half a stop word."""

    text: str
    count: int = 1
    """Tokens generated since the `Token` before of the same answer, those that are held back too."""
    answer: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of these `count` tokens, where they were asked for."""
    thought: bool = False
    """Whether the text is what the model thinks before it answers; it is no part of the reply's text."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One of several answers has ended; the others go on."""

    index: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Notice:
    """Something was replaced or left out; the text is for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply ended. Always the last event of a generation that did not raise."""

    reason: StopReason
    text: str
    """The whole reply, exact; without the thought before it."""
    token_ids: tuple[int, ...]
    """The ids as generated, the end-of-generation token too; empty where one would have to be cut: where a stop
    word ends in it, or a spelled mark that closes a thought."""
    prompt_tokens: int
    cached_tokens: int
    prefilled_tokens: int
    reply_tokens: int
    time_to_first_token: float
    """From the host starting on the request to the first sampled token."""
    prefill_seconds: float
    decode_seconds: float
    sampling: Sampling
    """Every field set, the seed too: enough to play the reply again."""
    decode_ms: float = 0.0
    """Mean time inside llama_decode per generated token, in milliseconds."""
    restored: Restored | None = None
    """Set where the cache came back from memory or disk; its tokens are among `cached_tokens`."""
    shifted_tokens: int = 0
    """Tokens that were moved up instead of computed again."""
    recomputed: str = ""
    """Why the prompt did not go on where the chat's last one ended, for the user; empty where it did, or branched."""
    complete: bool = True
    """False where the reply ended before the grammar allowed an end."""
    logprob: float | None = None
    """Sum over its tokens, where probabilities were asked for, and of what beams found."""
    answers: tuple[Answer, ...] = ()
    """Where several were asked for: all of them, by index. The fields above tell of the first, counts of all."""
    thought: str = ""
    """What the model thought before it answered."""
    thought_tokens: int = 0
    """So many of `token_ids`, from the first on, are the thought and what opens and closes it; they are among
    `reply_tokens`."""
    thought_seconds: float = 0.0
    """How long it thought."""
    exact: bool = True
    """False where the counts are an estimate: a server that did not tell them, or was stopped before it did."""

    @property
    def tokens_per_second(self) -> float:
        """Decode speed, without the first token (which prefill paid for)."""
        return (self.reply_tokens - 1) / self.decode_seconds if self.decode_seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Filter:
    """What one stage of the sampler chain left of the tokens that could come next."""

    name: str
    """As `chain_in_words` names it, `top_k(40)` for instance; the first stage is the model's own `softmax`."""
    kept: int
    """How many tokens are left."""
    top: tuple[Candidate, ...] = ()
    """The likeliest of them; their probabilities are over those that are left."""
    removed: tuple[Candidate, ...] = ()
    """The likeliest of those that this stage took away, with the probabilities that they had before it."""
    lost: float = 0.0
    """The probability that all that it took away had before it, together."""


@dataclass(frozen=True, slots=True)
class Peeked:
    """What could come next behind a prompt. The last event of `peek`."""

    stages: tuple[Filter, ...]
    """The model's own softmax, then one per stage of the chain, in its order."""
    entropy: float
    """Of the model's own softmax, in nats."""
    prompt_tokens: int
    cached_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Scored:
    """How likely the texts are. The last event of `score` and `perplexity`."""

    scores: tuple[Score, ...]
    prompt_tokens: int
    cached_tokens: int
    seconds: float


def nothing_generated(request: Request) -> Finished:
    """Returns the end of a request that was cancelled before it ran."""
    return Finished("cancelled", "", (), 0, 0, 0, 0, 0.0, 0.0, 0.0, request.sampling)


Event = Loading | Loaded | Queued | Waiting | Restored | Prefill | Token | Answered | Notice | Finished


@dataclass(frozen=True, slots=True)
class Rendered:
    """The exact prompt of a request: what the template wrote, and its ids."""

    text: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """How many tokens each part of a request's prompt takes; they add up to the prompt that `generate` would read."""

    before: int
    """What the template puts before the first message, a system prompt of its own for instance."""
    messages: tuple[int, ...]
    """One count per message of the request: its content and what the template puts between the one before and it."""
    after: int
    """What the template puts behind the last message to open the reply."""
    n_ctx: int
    """Context length in tokens that all of it, and the reply, must fit into; 0 where a server does not tell."""
    exact: bool = True
    """False where the counts are an estimate: a server that does not count for others."""

    @property
    def total(self) -> int:
        """The prompt's length in tokens."""
        return self.before + sum(self.messages) + self.after
