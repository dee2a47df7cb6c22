"""What could come next behind a prompt: the model's own probabilities, and what each stage of the chain makes of them.

The stages are llama.cpp's own samplers, applied one after the other to the same candidates; the probabilities are
computed here, in float64. Knows ids and one context; no cache, no template, no sockets, and no grammar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from llmchat_engine.answers import Candidate
from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Filter, Peeked, Prefill, Restored
from llmchat_engine.host.candidates import Candidates
from llmchat_engine.host.llama import Llama, sampler_chain
from llmchat_engine.host.logprobs import IMPOSSIBLE, likeliest, log_softmax
from llmchat_engine.sampling import Stage, chain_in_words, logit_biases, looks_back, stages
from llmchat_engine.types import Sampling

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from llmchat_engine.host.logprobs import Row
    from llmchat_engine.host.model import Model, Vocab
    from llmchat_engine.host.scoring import Read

MOST_TOLD = 1000
"""Tokens that are told of a stage; ten stages of so many are 1 MiB on the wire."""
_DRAW = "dist"
"""The stage that throws the dice; it filters nothing."""
NamedStage = tuple[str, Stage]


class PeekingMemory(Protocol):
    """What peeking needs of a `context.Context`."""

    n_ctx: int

    def logits(self, index: int = -1) -> Row:
        """Returns the row behind the index-th token of the last batch, valid until the next."""


class Peeker:
    """Tells what could come behind prompts."""

    def __init__(self, model: Model, memory: PeekingMemory, read: Read) -> None:
        """Takes what it works with.

        Args:
            model: whose vocabulary and samplers.
            memory: holds the prompt.
            read: has it hold one.
        """
        self._model, self._memory, self._read = model, memory, read

    def peek(
        self, prompt: Sequence[int], sampling: Sampling, count: int
    ) -> Generator[Restored | Prefill | Peeked, None, None]:
        """Yields progress, then what could come next; nothing more where it was stopped.

        Args:
            prompt: ids, at least one.
            sampling: resolved: every field set.
            count: so many tokens are told of each stage.

        Raises:
            RequestInvalid: the count or a bias cannot be used.
            ContextFull: the prompt does not fit.
            GenerationFailed: llama.cpp refused a batch, or the model gave numbers that are none.
        """
        began = time.perf_counter()
        if not 0 <= count <= MOST_TOLD:
            raise RequestInvalid(f"{count:,} tokens cannot be told of each stage", f"0 to {MOST_TOLD:,} can")
        vocab = self._model.vocab
        chain = chain_of(sampling, vocab, self._memory.n_ctx)
        if (ground := (yield from self._read(prompt, 1))) is None:
            return
        row = self._memory.logits()
        tail = prompt[len(prompt) - looks_back(sampling, len(prompt)) :]
        seen = tuple(filters(self._model.llama, vocab, row, chain, tail, count))
        yield Peeked(seen, entropy_of(row), len(prompt), ground.cached, time.perf_counter() - began)


def chain_of(sampling: Sampling, vocab: Vocab, n_ctx: int) -> tuple[NamedStage, ...]:
    """Returns the stages of a resolved sampling as they are told, without the draw.

    Raises:
        RequestInvalid: a bias cannot be read.
    """
    biases = logit_biases(sampling.logit_bias, partial(vocab.tokenize, special=False), vocab.size)
    found = stages(sampling, vocab.size, n_ctx, biases)
    named = zip(chain_in_words(sampling, sampling), found, strict=True)
    return tuple((words, stage) for words, stage in named if stage[0] != _DRAW)


def filters(
    llama: Llama, vocab: Vocab, row: Row, chain: Sequence[NamedStage], tail: Sequence[int], count: int
) -> Iterator[Filter]:
    """Yields the model's own softmax, then what each stage left.

    Args:
        llama: the library.
        vocab: the tokens.
        row: the logits as the model gave them.
        chain: the stages.
        tail: the last tokens of the prompt, as many as the stages look back on.
        count: so many tokens are told of each.

    Raises:
        GenerationFailed: the logits are numbers that are none.
    """
    candidates = Candidates(llama.c, len(row))
    candidates.fill(row)
    before = _View(row.copy(), vocab.shown)
    yield Filter("softmax", before.kept, before.likeliest(count))
    for words, stage in chain:
        _apply(llama, vocab, stage, candidates, tail)
        after = _View(_left(candidates, len(row), alone=stage[0] == "greedy"), vocab.shown)
        removed = before.without(after)
        yield Filter(words, after.kept, after.likeliest(count), before.told(removed, count), before.share(removed))
        before = after


def entropy_of(row: Row) -> float:
    """Returns the entropy of a row's softmax in nats."""
    import numpy as np

    logprobs = log_softmax(row)
    logprobs = logprobs[logprobs > -np.inf]
    return max(0.0, -float(np.dot(np.exp(logprobs), logprobs)))


def _apply(llama: Llama, vocab: Vocab, stage: Stage, candidates: Candidates, tail: Sequence[int]) -> None:
    with sampler_chain(llama, vocab, [stage]) as one:
        for token in tail:
            one.accept(token)
        one.apply(candidates)


def _left(candidates: Candidates, size: int, *, alone: bool) -> Row:
    """Returns the logits of what is left in a row of the whole vocabulary; with `alone` of the chosen one only."""
    import numpy as np

    ids, logits = candidates.allowed()
    if alone:
        kept = ids == candidates.chosen
        ids, logits = ids[kept], logits[kept]
    row = np.full(size, -np.inf, np.float32)
    row[ids] = logits
    return row


@dataclass(slots=True)
class _View:
    """One row of logits, -inf for what is gone, and its probabilities."""

    row: Row
    text: Callable[[int], str]
    logprobs: npt.NDArray[np.float64]
    kept: int

    def __init__(self, row: Row, text: Callable[[int], str]) -> None:
        import numpy as np

        self.row, self.text = row, text
        self.logprobs = log_softmax(row)
        self.kept = int(np.count_nonzero(row > -np.inf))

    def likeliest(self, count: int) -> tuple[Candidate, ...]:
        """Returns the likeliest tokens, with probabilities over those that are left."""
        return self.told(self.row, count)

    def without(self, after: _View) -> Row:
        """Returns the row of what is here and not in another."""
        import numpy as np

        return np.where(after.row > -np.inf, np.float32(-np.inf), self.row)

    def told(self, row: Row, count: int) -> tuple[Candidate, ...]:
        """Returns the likeliest tokens of another row, with the probabilities that they have here."""
        found = likeliest(row, count)
        return tuple(
            Candidate(token, self.text(token), max(IMPOSSIBLE, min(0.0, float(self.logprobs[token]))))
            for token in found
        )

    def share(self, row: Row) -> float:
        """Returns the probability that all tokens of another row have here, together."""
        import numpy as np

        return min(1.0, float(np.exp(self.logprobs[row > -np.inf]).sum()))
