"""The values that cross the engine's door: what goes in, and the events that come out.

Knows nothing of llama.cpp, sockets, screens or chats on disk. Every value is frozen; lengths are in tokens, times in
seconds, sizes in bytes. `Engine` is the one interface: `LocalEngine` (a host process) and `FakeEngine` (tests) keep it.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]
StopReason = Literal["eog", "stop", "max_tokens", "context", "cancelled"]
TemplateSource = Literal["model", "chatml", "none"]
CacheType = Literal["f16", "q8_0", "q4_0"]
"""How keys or values are kept in the KV cache."""
Origin = Literal["memory", "disk"]
"""Where a cache that had left the context came back from."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the path from the system prompt to the newest question."""

    role: Role
    text: str
    token_ids: tuple[int, ...] = ()
    """For a reply: its ids exactly as they were generated, the end-of-generation token too."""
    model_key: str = ""
    """The model that made `token_ids`; ids of another model are ignored and the text is tokenised."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which file to load and how. Two clients with equal specs share one host."""

    path: Path
    n_ctx: int = 0
    """Context length in tokens; 0 takes min(trained, 8,192, what fits in memory)."""
    gpu_layers: int = -1
    """Layers on the GPU; -1 is all of them where the build supports one."""
    threads: int = 0
    """CPU threads of decode; 0 takes the physical cores this process may use, one less from four on."""
    batch: int = 0
    """Tokens of one prefill batch; 0 takes 512."""
    cache_type_k: CacheType = "f16"
    cache_type_v: CacheType = "f16"
    """A quantised one turns flash attention on, which llama.cpp requires for it."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; None leaves a field to the model's own metadata, then to the default."""

    temperature: float | None = None
    """0 is greedy."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    """None draws a new seed per reply. A fixed seed gives the same tokens again, whatever the cache holds."""
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


def new_request_id() -> str:
    """Returns an id that no other client of the same host will use."""
    return os.urandom(8).hex()


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: the whole path of messages and how to sample the reply."""

    messages: tuple[Message, ...]
    """Where the last one is a reply, it is continued: `Finished` has what comes behind it and nothing of it."""
    sampling: Sampling = Sampling()
    raw: bool = False
    """Complete the text of the messages as it stands, without a chat template (base models)."""
    private: bool = False
    """Drop the sequence from the cache when the reply ends."""
    chat: str = ""
    """Any name of the chat. Requests of one name share the context as branches; what is kept of them is filed under
    the name and goes when `forget` is told of it. Empty for a request that belongs to none."""
    store: bool = False
    """Whether the cache of this chat may be written to disk."""
    shared: int = 0
    """So many of the first messages (system prompt, examples) begin other chats too: their part is kept on its own."""
    shift: bool = False
    """Where messages were left out of the middle, what stands behind them may be moved up instead of computed again:
    at once, and approximate."""
    now: float = 0.0
    """Unix time for templates that print the date: the chat's beginning, so that its first tokens stay the same."""
    next_messages: tuple[Message, ...] = ()
    """The path as the next turn will hold it, without this reply, where it differs from `messages`: document passages
    taken out, for instance. It is computed in idle time."""
    id: str = field(default_factory=new_request_id)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the host loaded."""

    key: str
    """SHA-256 (hex) of the file's size, header and last MiB: the identity that token ids belong to."""
    name: str
    path: str
    architecture: str
    quantization: str
    size: int
    n_params: int
    n_vocab: int
    n_ctx: int
    n_ctx_train: int
    threads: int
    gpu_layers: int
    devices: tuple[str, ...]
    extra_buffers: bool
    """Whether weights were repacked for this CPU: not where that gains nothing, nor where it crashes (AMX)."""
    template: TemplateSource
    template_key: str
    sampling: Sampling
    """The sampling a request gets where it leaves a field open."""
    build: str


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
    """Tokens generated since the `Token` before, those that are held back too."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something was replaced or left out; the text is for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The reply ended. Always the last event of a generation that did not raise."""

    reason: StopReason
    text: str
    """The whole reply, exact."""
    token_ids: tuple[int, ...]
    """The ids as generated, the end-of-generation token too; empty where a stop word cut a token in half."""
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

    @property
    def tokens_per_second(self) -> float:
        """Decode speed, without the first token (which prefill paid for)."""
        return (self.reply_tokens - 1) / self.decode_seconds if self.decode_seconds > 0 else 0.0


def nothing_generated(request: Request) -> Finished:
    """Returns the end of a request that was cancelled before it ran."""
    return Finished("cancelled", "", (), 0, 0, 0, 0, 0.0, 0.0, 0.0, request.sampling)


Event = Loading | Loaded | Queued | Waiting | Restored | Prefill | Token | Notice | Finished


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
    """Context length in tokens that all of it, and the reply, must fit into."""

    @property
    def total(self) -> int:
        """The prompt's length in tokens."""
        return self.before + sum(self.messages) + self.after


class Engine(Protocol):
    """Messages in, events out. Synchronous generators; only `cancel` and `measure` are for other threads too."""

    def prepare(self) -> None:
        """Begins to start or join the host without waiting for it. Optional; the other calls do it too."""

    def load(self) -> Generator[Event, None, None]:
        """Yields `Loading`* and `Waiting`*, ends with `Loaded`."""

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Yields the events of one reply, `Finished` last. Closing the iterator cancels the request.

        Raises:
            EngineError: and nothing else; the tree is in errors.py.
        """

    def render(self, request: Request) -> Rendered:
        """Returns the exact prompt of a request without running it."""

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Returns the ids of user text; special tokens in it are only text."""

    def measure(self, request: Request) -> Measured:
        """Counts the prompt of a request part by part without running it, also while another request runs."""

    def forget(self, chat: str) -> None:
        """Drops all that is kept of a chat, in every host and on disk. Starts no host; safe from any thread."""

    def cancel(self, request_id: str) -> None:
        """Stops one request; its generator ends with `Finished(reason="cancelled")`. Safe from any thread."""

    def close(self) -> None:
        """Leaves the host. The host itself stays for its keepalive."""
