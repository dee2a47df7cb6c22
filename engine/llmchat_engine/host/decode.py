"""The prefill and decode loop: ids in, events out. Progress, abort, stop words, timing.

Knows one context and its cache; no messages, no sockets, no threads. Stopped by `Context.abort` from outside.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from llmchat_engine.answers import StopReason
from llmchat_engine.errors import ContextFull, GenerationFailed
from llmchat_engine.events import Finished, Prefill, Restored, Token
from llmchat_engine.host.cache import SequenceCache, Taken, Want
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.llama import Llama, SamplerChain, sampler_chain
from llmchat_engine.host.model import Model
from llmchat_engine.host.sampling import PENALTY_WINDOW, stages
from llmchat_engine.types import Sampling


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

    def __init__(self, llama: Llama, model: Model, context: Context, cache: SequenceCache) -> None:
        self._llama, self._model, self._context, self.cache = llama, model, context, cache

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, want: Want
    ) -> Generator[Restored | Prefill | Token | Finished, None, None]:
        """Yields what came back into the context, the progress of prefill, the text as it comes, and `Finished`.

        Args:
            prompt: The ids of the whole prompt.
            sampling: Resolved: every field set.
            want: Whose the prompt is, and what may be done to answer sooner.

        Raises:
            ContextFull: the prompt leaves no room for one token.
            GenerationFailed: llama.cpp refused a batch.
        """
        ids, clock = list(prompt), _Clock()
        if len(ids) >= self._context.n_ctx:
            raise ContextFull(len(ids), self._context.n_ctx, self._model.n_ctx_train)
        reply = _Reply(Detokenizer(self._model.vocab.piece, sampling.stop))
        taken = self.cache.take(ids, want)
        if taken.restored:
            yield taken.restored
        # Exact is what any run computes, also one of a chat that shares nothing: whole chunks to the last token.
        for done in self._prefill(ids, taken.cached, 0 if want.exact else want.shared, alone=want.repeatable):
            yield Prefill(done, len(ids), taken.cached)
        clock.prefilled = clock.first = clock.last = time.perf_counter()
        self.cache.active.seconds += clock.prefilled - clock.started
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
        yield self._finished(ids, taken, reply, clock, sampling)

    def compute(self, prefix: Sequence[int], want: Want) -> bool:
        """Has the context hold a prefix, for a prompt to come; False where the abort flag stopped it on the way."""
        if not prefix or len(prefix) >= self._context.n_ctx:
            return True
        taken = self.cache.take(prefix, want)
        return self._feed(list(prefix[taken.cached :]))

    def _prefill(self, ids: list[int], start: int, shared: int, *, alone: bool) -> Iterator[int]:
        """Yields the number of prompt tokens in the cache: before, and after each chunk.

        Where the answer is to be repeatable the last token is decoded alone: then its logits have the same bits whether
        the tokens before it came from the cache or not. It costs one step, 10 ms of 550 at 3,000 tokens. A memory that
        cannot be rewound is remembered there, and where the shared beginning ends.
        """
        yield start
        alone = alone or not self.cache.rewindable
        last = len(ids) - 1 if alone else len(ids)
        points = () if self.cache.rewindable else (shared, last)
        while start < len(ids):
            end = min(start + self._context.n_batch, last) if start < last else len(ids)
            end = min((point for point in points if start < point < end), default=end)
            if not self._step(ids[start:end]):
                return
            start = end
            if start in points:
                self.cache.checkpoint()
            yield start

    def _feed(self, ids: list[int]) -> bool:
        """Appends any number of ids; False where it was aborted."""
        size = self._context.n_batch
        return all(self._step(ids[at : at + size]) for at in range(0, len(ids), size))

    def _step(self, ids: list[int]) -> bool:
        """Appends ids to the context and the cache; False, and nothing appended, when aborted."""
        if not self.cache.is_sound() and not self._compute_again():
            return False
        start = len(self.cache.ids)
        try:
            done = self._decoded(ids, start)
        except GenerationFailed:
            self.cache.truncate(start)
            raise
        if done:
            self.cache.append(ids)
        else:
            self.cache.truncate(start)
        return done

    def _decoded(self, ids: list[int], start: int) -> bool:
        while True:
            try:
                return self._context.decode(ids, start, self.cache.active.number)
            except NoFreeCell:
                if not self.cache.make_room():
                    raise

    def _compute_again(self) -> bool:
        """Fills a sequence anew that is not in the memory as it should be; False where that was aborted."""
        known = list(self.cache.ids)
        self.cache.truncate(len(known))
        return self._feed(known[len(self.cache.ids) :])

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

    def _finished(self, ids: list[int], taken: Taken, reply: _Reply, clock: _Clock, sampling: Sampling) -> Finished:
        count = len(reply.ids)
        inside = self._context.decode_seconds - clock.inside_before
        return Finished(
            reason=reply.reason,
            text=reply.detokenizer.text,
            token_ids=self._exact_ids(reply),
            prompt_tokens=len(ids),
            cached_tokens=taken.cached,
            prefilled_tokens=max(0, min(len(self.cache.ids), len(ids)) - taken.cached),
            reply_tokens=count,
            time_to_first_token=clock.first - clock.started,
            prefill_seconds=clock.prefilled - clock.started,
            decode_seconds=clock.last - clock.first,
            sampling=sampling,
            decode_ms=1000 * inside / (count - 1) if count > 1 else 0.0,
            restored=taken.restored,
            shifted_tokens=taken.moved,
        )

    @staticmethod
    def _exact_ids(reply: _Reply) -> tuple[int, ...]:
        """Returns the ids whose text is the reply's; none where a stop word cut a token in half."""
        if reply.reason != "stop":
            return tuple(reply.ids)
        whole = reply.detokenizer.exact_count()
        return () if whole is None else tuple(reply.ids[:whole])
