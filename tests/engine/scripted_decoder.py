"""A decoder on a scripted memory: what is drawn depends on the tokens that the memory holds and on the seed alone.

So whoever knows a prompt and a seed knows the reply, and a row of a neighbour or a cell too much shows. Knows the
host's decoder and scorer; no llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast
from zlib import crc32

import numpy as np
import numpy.typing as npt
from tests.engine.cache_memory import SEEN, Memory, Script

from llmchat_engine.host.cache import Want
from llmchat_engine.host.decode import Decoder
from llmchat_engine.host.logprobs import logprob
from llmchat_engine.host.residents import Residents
from llmchat_engine.host.scoring import Scorer

WORDS = 12
"""The vocabulary of replies."""
ENDS = (5,)
Row = npt.NDArray[np.float32]


def row_behind(tokens: Sequence[int]) -> Row:
    """Returns the logits behind some tokens."""
    return np.random.default_rng(_mixed(tokens)).normal(0, 2, WORDS).astype(np.float32)


def drawn_behind(tokens: Sequence[int], seed: int) -> int:
    """Returns what a chain of samplers draws behind some tokens."""
    return (_mixed(tokens) + 31 * seed) // 7 % WORDS


def reply_to(prompt: Sequence[int], seed: int, most: int) -> list[int]:
    """Returns the whole reply to a prompt."""
    ids = list(prompt)
    while len(ids) < len(prompt) + most and (len(ids) == len(prompt) or ids[-1] not in ENDS):
        ids.append(drawn_behind(ids, seed))
    return ids[len(prompt) :]


def score_of(prompt: Sequence[int], text: Sequence[int]) -> float:
    """Returns the sum of the log-probabilities of some tokens behind a prompt."""
    ids = [*prompt, *text]
    return sum(logprob(row_behind(ids[:at]), ids[at]) for at in range(len(prompt), len(ids)))


def _mixed(tokens: Sequence[int]) -> int:
    return crc32(np.array(tokens[-SEEN:], np.int64).tobytes())


@dataclass
class ScriptedContext(Memory):
    """A memory that has logits as well."""

    pointer: object = None
    decode_seconds: float = 0.0
    numbers_are_none: bool = False
    """The model gives NaN."""

    def logits(self, index: int = -1) -> Row:
        """Returns a row of the last batch."""
        row = row_behind(self.behind(index))
        return row * np.float32(np.nan) if self.numbers_are_none else row


class _Bindings:
    """The C functions that a chain of samplers calls; a chain is a list of its seed."""

    def __init__(self, context: ScriptedContext) -> None:
        self._context = context

    def llama_sampler_chain_init(self, _params: object) -> list[int]:
        return []

    def llama_sampler_chain_add(self, chain: list[int], stage: int | None) -> None:
        chain.extend([] if stage is None else [stage])

    def llama_sampler_init_dist(self, seed: int) -> int:
        return seed

    def llama_sampler_sample(self, chain: list[int], _context: object, index: int) -> int:
        return drawn_behind(self._context.behind(index), chain[0])

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def decoder_on(context: ScriptedContext, script: Script) -> Decoder:
    """Returns a decoder that works with what a script keeps."""
    vocab = SimpleNamespace(
        size=WORDS, is_eog=ENDS.__contains__, piece=lambda token: b"%d " % token, tokenize=str.split
    )
    model = SimpleNamespace(vocab=vocab, n_ctx_train=context.n_ctx)
    llama = SimpleNamespace(c=_Bindings(context))
    return Decoder(cast(Any, llama), cast(Any, model), cast(Any, context), script.cache)


def scorer_on(context: object, decoder: Decoder, want: Want) -> Scorer:
    """Returns what the host scores with, on any context."""
    nobody = cast(Any, None)
    model = cast(Any, SimpleNamespace(vocab=SimpleNamespace(shown=str)))
    return Residents(model, cast(Any, context), nobody, decoder, nobody, nobody).scorer(want)
