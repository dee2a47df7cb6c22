"""What goes into the engine: messages, how to load a model, how to sample, one request.

Knows nothing of llama.cpp, sockets, screens or chats on disk. Every value is frozen; lengths are in tokens, times in
seconds, sizes in bytes. What comes out is in events.py and answers.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Role = Literal["system", "user", "assistant"]
TemplateSource = Literal["model", "chatml", "none"]
Thinking = Literal["auto", "on", "off"]
"""Whether a reasoning model thinks before it answers; auto leaves that to the model and its template."""
CacheType = Literal["f16", "q8_0", "q4_0"]
"""How keys or values are kept in the KV cache."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the path from the system prompt to the newest question."""

    role: Role
    text: str
    token_ids: tuple[int, ...] = ()
    """For a reply: its ids exactly as they were generated, the end-of-generation token too."""
    model_key: str = ""
    """The model that made `token_ids`; ids of another model are ignored and the text is tokenised."""
    thought_tokens: int = 0
    """So many of `token_ids`, from the first on, are what the model thought before it answered; `text` has nothing of
    that. They leave the prompt with the next turn, unless the request keeps thoughts."""


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
    rpc_servers: tuple[str, ...] = ()
    """Machines that layers are put on, each "HOST:PORT" of llama.cpp's RPC server; the build must have that backend."""


@dataclass(frozen=True, slots=True)
class RemoteSpec:
    """Which server answers in the place of a model on this machine; it speaks the OpenAI API."""

    base_url: str
    """As "http://127.0.0.1:8000/v1", without a slash at its end."""
    model: str = ""
    """The name it knows the model by; empty takes the only one that it has."""
    name: str = ""
    """What the user calls it; empty is the model's name."""
    key_env: str = ""
    """The environment variable that holds its key; empty sends none. The key itself is never stored."""
    n_ctx: int = 0
    """Context length in tokens where the server does not tell; 0 is not known."""
    timeout: float = 60.0
    """Seconds of silence after which it counts as unreachable."""


Spec = ModelSpec | RemoteSpec
"""What answers: a file loaded on this machine, or a server."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen; None leaves a field to the model's own metadata, then to the default."""

    temperature: float | None = None
    """0 is greedy."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    """None draws a new seed per reply. A fixed seed gives the same tokens again, whatever the cache holds. Of several
    answers the one with number i has seed + i."""
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    penalty_last_n: int | None = None
    """Tokens that the penalties look back on, the prompt's too; -1 is all of them."""
    typical_p: float | None = None
    """Locally typical sampling (Meister et al. 2022); 1 is off."""
    top_n_sigma: float | None = None
    """Keeps logits within so many standard deviations of the highest (Tang et al. 2024); 0 or less is off."""
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    """Exclude top choices: with this probability all tokens above the threshold but the least likely one go."""
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_last_n: int | None = None
    """Don't repeat yourself: what would make a repeated run longer than allowed costs multiplier * base^excess."""
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    """Dynamic temperature: temperature plus or minus the range, by the entropy; 0 is off."""
    mirostat: int | None = None
    """0 is off; 1 and 2 take the place of top-k, top-p and the rest (Basu et al. 2020)."""
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    logit_bias: tuple[str, ...] = ()
    """Each "#ID=BIAS" or "TEXT=BIAS": what is added to the logit of a token, or of every token that a text consists of;
    a bias of -inf forbids it."""


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
    answers: int = 1
    """So many replies from one prefill, decoded together. Their events tell which one they are about."""
    beams: int = 0
    """Search with so many hypotheses in place of sampling; 0 samples."""
    length_penalty: float = 1.0
    """Beams compare sums of log-probabilities divided by length to this power."""
    logprobs: int | None = None
    """How many likely tokens to tell at each place; 0 tells the token's own probability alone, None nothing."""
    grammar: str = ""
    """GBNF that the reply must follow."""
    schema: str = ""
    """JSON schema, as JSON text, that the reply must follow; not beside a grammar."""
    think: Thinking = "auto"
    """Of a reasoning model; any other answers as it does."""
    think_budget: int | None = None
    """The longest thought in tokens: then it is closed, and the model goes on to answer. None sets no bound."""
    concludes: bool = False
    """Whether the reply is reasoning that another request goes on from: `conclude` ends it where it is no thought that
    could be closed."""
    keep_thoughts: bool = False
    """Whether the thoughts of earlier replies stand in the prompt, where their ids are known."""
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
    thinks: bool = False
    """Whether it marks what it thinks before it answers."""
    remote: str = ""
    """The server that it runs on, as host and port: everything that is asked leaves this machine. Empty where it is
    here; of a remote one `path`, sizes and counts that no server told are empty."""
