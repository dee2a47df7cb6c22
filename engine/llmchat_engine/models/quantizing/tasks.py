"""What throw-away processes are told to do, and what they tell: one struct per message, JSON lines.

Values alone. The processes are programs of host/; who starts them is in this folder.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from llmchat_engine.protocol import Failure, Load

Rows = Literal["none", "write", "read"]
"""What is done with the log-probabilities of all tokens at each place: nothing, kept in a file, or compared with it."""


class QuantizeTask(msgspec.Struct, frozen=True):
    """Quantise a file; answered by llama.cpp's log, as JSON strings."""

    source: str
    target: str
    ftype: int
    threads: int
    dry_run: bool


class MeasureTask(msgspec.Struct, frozen=True):
    """Load a model, answer prompts, read a text. Answered by `Step`s, `Answered`s, and `Measured` or `Failure`."""

    load: Load
    text: str = ""
    window: int = 512
    prompts: tuple[str, ...] = ()
    max_tokens: int = 64
    rows: Rows = "none"
    rows_file: int = -1
    """The descriptor of the file that rows are in."""
    base_vocab: str = ""
    """Of the model that wrote the rows."""
    base_ids: str = ""


class Step(msgspec.Struct, frozen=True, tag=True):
    """How far it is."""

    stage: str
    done: int
    total: int
    rate: float = 0.0


class Answered(msgspec.Struct, frozen=True, tag=True):
    """What the model says to one of the prompts."""

    text: str
    tokens: int
    complete: bool
    """False where it was cut at the longest length."""


class TextFacts(msgspec.Struct, frozen=True):
    """How likely a text is."""

    ids_key: str
    """SHA-256 (hex) of the ids that it was read as."""
    tokens: int
    """Of the whole text."""
    window: int
    windows: int
    scored: int
    """Tokens whose probability counts: those in the second half of each window."""
    nll: float
    """Mean of the negative log-likelihood, in nats."""
    nll_error: float
    """Standard error of this mean."""
    seconds: float
    computed: int
    """Tokens that went through the model."""
    prefill: float
    """Tokens a second where nothing but the cache is computed: the first halves of the windows."""


class Divergence(msgspec.Struct, frozen=True):
    """How far one model's predictions are from another's, in nats; the other is the base."""

    kl: float
    """Mean of the Kullback-Leibler divergence of this one from the base."""
    kl_error: float
    kl_median: float
    kl_p99: float
    """99 % of the places are below."""
    kl_max: float
    same_top: float
    """The part of the places where both have the same likeliest token."""
    same_top_error: float
    p_change: float
    """Mean change of the probability of the token that comes."""
    p_change_error: float
    p_change_rms: float
    nll_change: float
    """Mean change of the negative log-likelihood: the logarithm of the ratio of the perplexities."""
    nll_change_error: float


class Measured(msgspec.Struct, frozen=True, tag=True):
    """What was measured of one model; the last line."""

    vocab_key: str
    """SHA-256 (hex) of the texts of all tokens."""
    n_vocab: int
    n_ctx: int
    n_params: int
    quantization: str
    peak_memory: int
    """Bytes that the process had in memory at most, while it loaded and answered; without prompts while it read."""
    load_seconds: float
    decode: float
    """Tokens a second of its answers; 0 without any."""
    text: TextFacts | None = None
    divergence: Divergence | None = None
    why_no_divergence: str = ""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It cannot be done."""

    failure: Failure


Told = Step | Answered | Measured | Failed
