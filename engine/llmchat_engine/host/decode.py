"""The prefill and decode loop: ids in, events out. Progress, abort, stop words, timing.

Knows one context and its cache; no messages, no sockets, no threads. Stopped by `Context.abort` from outside.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from llmchat_engine.errors import ContextFull, GenerationFailed
from llmchat_engine.host.cache import PrefixCache
from llmchat_engine.host.context import Context
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.llama import Llama, SamplerChain, sampler_chain
from llmchat_engine.host.model import Model
from llmchat_engine.host.sampling import PENALTY_WINDOW, stages
from llmchat_engine.types import Finished, Prefill, Sampling, StopReason, Token


@dataclass(slots=True)
class _Clock:
    """The moments of one generation, from time.perf_counter."""

    started: float = field(default_factory=time.perf_counter)
    prefilled: float = 0.0
    first: float = 0.0
    last: float = 0.0
    inside_before: float = 0.0
    """Context.decode_seconds when decoding began."""


@dataclass(slots=True)
class _Reply:
    """The reply as it grows."""

    detokenizer: Detokenizer
    ids: list[int] = field(default_factory=list)
    reason: StopReason = "max_tokens"


class Decoder:
    """Runs prompts on one context, one at a time, each from its longest cached prefix."""

    def __init__(self, llama: Llama, model: Model, context: Context) -> None:
        self._llama, self._model, self._context = llama, model, context
        self.cache = PrefixCache(context, chunk=context.n_batch, window=model.n_swa, rewindable=not model.is_recurrent)

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, *, exact: bool
    ) -> Generator[Prefill | Token | Finished, None, None]:
        """Yields the progress of prefill, the text as it comes, and `Finished`.

        Args:
            prompt: The ids of the whole prompt.
            sampling: Resolved: every field set.
            exact: Compute as on an empty cache, so that the same seed gives the same tokens.

        Raises:
            ContextFull: the prompt leaves no room for one token.
            GenerationFailed: llama.cpp refused a batch.
        """
        ids, clock = list(prompt), _Clock()
        if len(ids) >= self._context.n_ctx:
            raise ContextFull(len(ids), self._context.n_ctx, self._model.n_ctx_train)
        reply = _Reply(Detokenizer(self._model.vocab.piece, sampling.stop))
        cached = self.cache.reuse(ids, exact=exact)
        for done in self._prefill(ids, cached):
            yield Prefill(done, len(ids), cached)
        clock.prefilled = clock.first = clock.last = time.perf_counter()
        clock.inside_before = self._context.decode_seconds
        with sampler_chain(self._llama, stages(sampling, self._model.vocab.size)) as chain:
            if len(self.cache.ids) < len(ids):
                reply.reason = "cancelled"
            else:
                for token in ids[-PENALTY_WINDOW:]:
                    chain.accept(token)
                yield from self._decode(chain, reply, clock, sampling.max_tokens)
        if text := reply.detokenizer.flush():
            yield Token(text, 0)
        yield self._finished(ids, cached, reply, clock, sampling)

    def _prefill(self, ids: list[int], start: int) -> Iterator[int]:
        """Yields the number of prompt tokens in the cache: before, and after each chunk.

        The last token is decoded alone: then its logits have the same bits whether the tokens before it came from the
        cache or not, and asking again gives the same answer.
        """
        yield start
        last = len(ids) - 1
        while start < len(ids):
            end = min(start + self._context.n_batch, last) if start < last else len(ids)
            if not self._step(ids[start:end]):
                return
            start = end
            yield start

    def _step(self, ids: list[int]) -> bool:
        """Appends ids to the context and the cache; False, and nothing appended, when aborted."""
        start = len(self.cache.ids)
        try:
            done = self._context.decode(ids, start)
        except GenerationFailed:
            self.cache.truncate(start)
            raise
        if done:
            self.cache.append(ids)
        else:
            self.cache.truncate(start)
        return done

    def _decode(self, chain: SamplerChain, reply: _Reply, clock: _Clock, max_tokens: int | None) -> Iterator[Token]:
        context, vocab, detokenizer = self._context, self._model.vocab, reply.detokenizer
        room = context.n_ctx - len(self.cache.ids)
        limit = room if max_tokens is None else min(max_tokens, room)
        told = 0
        while True:
            if context.aborted:
                reply.reason = "cancelled"
                return
            token = chain.sample(context)
            reply.ids.append(token)
            clock.last = time.perf_counter()
            if len(reply.ids) == 1:
                clock.first = clock.last
            if vocab.is_eog(token):
                reply.reason = "eog"
                return
            if text := detokenizer.push(token):
                yield Token(text, len(reply.ids) - told)
                told = len(reply.ids)
            if detokenizer.stopped:
                reply.reason = "stop"
                return
            if len(reply.ids) >= limit:
                reply.reason = "max_tokens" if limit == max_tokens else "context"
                return
            if not self._step([token]):
                reply.reason = "cancelled"
                return

    def _finished(self, ids: list[int], cached: int, reply: _Reply, clock: _Clock, sampling: Sampling) -> Finished:
        count = len(reply.ids)
        inside = self._context.decode_seconds - clock.inside_before
        return Finished(
            reason=reply.reason,
            text=reply.detokenizer.text,
            token_ids=self._exact_ids(reply),
            prompt_tokens=len(ids),
            cached_tokens=cached,
            prefilled_tokens=max(0, min(len(self.cache.ids), len(ids)) - cached),
            reply_tokens=count,
            time_to_first_token=clock.first - clock.started,
            prefill_seconds=clock.prefilled - clock.started,
            decode_seconds=clock.last - clock.first,
            sampling=sampling,
            decode_ms=1000 * inside / (count - 1) if count > 1 else 0.0,
        )

    @staticmethod
    def _exact_ids(reply: _Reply) -> tuple[int, ...]:
        """Returns the ids whose text is the reply's; none where a stop word cut a token in half."""
        if reply.reason != "stop":
            return tuple(reply.ids)
        whole = reply.detokenizer.exact_count()
        return () if whole is None else tuple(reply.ids[:whole])
