"""The prefill and decode loop: ids in, events out. One answer or several in one batch; progress, abort, timing.

Knows one context and its cache; no messages, no sockets, no threads. Stopped by `Context.abort` from outside.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from llmchat_engine.errors import ContextFull, GenerationFailed, RequestInvalid
from llmchat_engine.events import Answered, Finished, Prefill, Restored, Token
from llmchat_engine.host.cache import SequenceCache, Taken, Want
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.lines import Line
from llmchat_engine.host.llama import Llama, sampler_chain
from llmchat_engine.host.model import Model
from llmchat_engine.host.strands import Probabilities, Strand, alive
from llmchat_engine.sampling import logit_biases, looks_back, stages
from llmchat_engine.types import Sampling

News = Restored | Prefill | Token | Answered | Finished


@dataclass(slots=True)
class _Clock:
    """The moments of one generation, from time.perf_counter."""

    started: float = field(default_factory=time.perf_counter)
    prefilled: float = 0.0
    first: float = 0.0
    last: float = 0.0
    inside_before: float = 0.0
    """Context.decode_seconds when decoding began."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the tokens behind a prompt are chosen."""

    sampling: Sampling
    """Resolved: every field set."""
    answers: int = 1
    probabilities: Probabilities | None = None
    stopped: Collection[int] = ()
    """The answers that are to end, by index; may grow meanwhile."""


class Decoder:
    """Runs prompts on one context, one at a time, each from its longest cached prefix."""

    def __init__(self, llama: Llama, model: Model, context: Context, cache: SequenceCache) -> None:
        self._llama, self._model, self._context, self.cache = llama, model, context, cache

    def generate(self, prompt: Sequence[int], manner: Manner, want: Want) -> Generator[News, None, None]:
        """Yields what came back into the context, the progress of prefill, the text as it comes, and `Finished`.

        Args:
            prompt: The ids of the whole prompt.
            manner: How the reply is chosen.
            want: Whose the prompt is, and what may be done to answer sooner.

        Raises:
            ContextFull: the prompt leaves no room for one token.
            RequestInvalid: more answers than there are sequences.
            GenerationFailed: llama.cpp refused a batch.
        """
        ids, clock = list(prompt), _Clock()
        if manner.answers > (most := self.cache.sequences.kind.sequences):
            raise RequestInvalid(f"{manner.answers} answers are too many", f"with this model {most} fit at once")
        if manner.answers > 1:
            want = replace(want, room=self._room(ids, manner))
        taken = yield from self.read(ids, want)
        clock.prefilled = clock.first = clock.last = time.perf_counter()
        self.cache.active.seconds += clock.prefilled - clock.started
        clock.inside_before = self._context.decode_seconds
        whole = len(self.cache.ids) == len(ids)
        lines = self.cache.fork_active(manner.answers) if whole else [self.cache.active] * manner.answers
        try:
            with ExitStack() as chains:
                strands = [self._strand(index, line, ids, manner, chains) for index, line in enumerate(lines)]
                if not whole:
                    _end(strands)
                yield from self._decode(strands, manner, clock)
        finally:
            self.cache.join(lines)
        yield self._finished(ids, taken, strands, manner, clock)

    def read(self, ids: list[int], want: Want) -> Generator[Restored | Prefill, None, Taken]:
        """Has the context hold a prompt, with the logits behind it in the last row; fewer ids where it was aborted.

        Raises:
            ContextFull: it leaves no room for one token.
            GenerationFailed: llama.cpp refused a batch.
        """
        if len(ids) >= self._context.n_ctx:
            raise ContextFull(len(ids), self._context.n_ctx, self._model.n_ctx_train)
        taken = self.cache.take(ids, want)
        if taken.restored:
            yield taken.restored
        # Exact is what any run computes, also one of a chat that shares nothing: whole chunks to the last token.
        for done in self._prefill(ids, taken.cached, 0 if want.exact else want.shared, alone=want.repeatable):
            yield Prefill(done, len(ids), taken.cached)
        return taken

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

    def _room(self, ids: list[int], manner: Manner) -> int:
        """Returns the cells that several answers may take: the cache cannot grow once there are several."""
        longest = self._context.n_ctx - len(ids)
        return min(longest, manner.answers * min(longest, manner.sampling.max_tokens or longest))

    def _strand(self, index: int, line: Line, ids: list[int], manner: Manner, chains: ExitStack) -> Strand:
        """Returns one answer to come, with a chain that has seen the end of the prompt."""
        seed = ((manner.sampling.seed or 0) + index) % (2**32 - 1)
        sampling = replace(manner.sampling, seed=seed)
        vocab = self._model.vocab
        biases = logit_biases(sampling.logit_bias, partial(vocab.tokenize, special=False), vocab.size)
        chain = stages(sampling, vocab.size, self._context.n_ctx, biases)
        picker = chains.enter_context(sampler_chain(self._llama, vocab, chain))
        for token in ids[len(ids) - looks_back(sampling, len(ids)) :]:
            picker.accept(token)
        return Strand(index, line, picker, Detokenizer(vocab.piece, sampling.stop), sampling)

    def _decode(self, strands: list[Strand], manner: Manner, clock: _Clock) -> Iterator[Token | Answered]:
        """Runs the answers side by side until each has ended."""
        prompt, several = len(self.cache.ids), len(strands) > 1
        limit = self._context.n_ctx - prompt
        if manner.sampling.max_tokens is not None:
            limit = min(limit, manner.sampling.max_tokens)
        running = alive(strands)
        for strand in strands:
            if strand.reason is not None:
                yield from self._ended(strand, manner, several)
        while running:
            for strand in running:
                yield from self._pick(strand, manner, limit)
            clock.last = time.perf_counter()
            if clock.first == clock.prefilled:
                clock.first = clock.last
            going_on = alive(running)
            if going_on and not self._extend(going_on):
                _end(going_on)
            for strand in running:
                if strand.reason is not None:
                    yield from self._ended(strand, manner, several)
            running = alive(going_on)

    def _pick(self, strand: Strand, manner: Manner, limit: int) -> Iterator[Token]:
        """Chooses the next token of one answer."""
        if self._context.aborted or strand.index in manner.stopped:
            strand.reason = "cancelled"
            return
        token = strand.picker.sample(self._context, strand.row)
        if manner.probabilities:
            strand.note(manner.probabilities(self._context, strand.row, token))
        if shown := strand.take(token, ends=self._model.vocab.is_eog(token), limit=limit):
            yield shown

    def _ended(self, strand: Strand, manner: Manner, several: bool) -> Iterator[Token | Answered]:
        if rest := strand.flush():
            yield rest
        if several:
            yield Answered(strand.index, strand.answer(measured=manner.probabilities is not None))

    def _extend(self, strands: list[Strand]) -> bool:
        """Appends the newest token of each answer in one batch; False, and nothing appended, when aborted.

        Where the context is full all end, with the reason in them.
        """
        if len(strands) == 1:
            self.cache.active, strands[0].row = strands[0].line, -1
            return self._step(strands[0].ids[-1:])
        lines = [strand.line for strand in strands]
        if not all(self._is_sound(line) for line in lines):
            return False
        done = False
        try:
            done = self._decoded_many([strand.ids[-1] for strand in strands], lines)
        except NoFreeCell:
            for strand in strands:
                strand.reason = "context"
            return True
        finally:
            if not done:
                for line in lines:
                    self.cache.truncate(len(line.ids), line)
        for row, strand in enumerate(strands):
            strand.row = row
            if done:
                self.cache.append(strand.ids[-1:], strand.line)
        return done

    def _is_sound(self, line: Line) -> bool:
        """Returns whether a sequence is in the memory as it should be, filled anew if need be."""
        self.cache.active = line
        return self.cache.is_sound() or self._compute_again()

    def _decoded_many(self, tokens: list[int], lines: list[Line]) -> bool:
        positions, numbers = [len(line.ids) for line in lines], [line.number for line in lines]
        while True:
            try:
                return self._context.decode_many(tokens, positions, numbers, [True] * len(tokens))
            except NoFreeCell:
                if not self.cache.make_room(lines):
                    raise

    def _finished(self, ids: list[int], taken: Taken, strands: list[Strand], manner: Manner, clock: _Clock) -> Finished:
        first, count = strands[0], sum(len(strand.ids) for strand in strands)
        inside, steps = self._context.decode_seconds - clock.inside_before, count - len(strands)
        measured = manner.probabilities is not None
        return Finished(
            reason=first.reason or "cancelled",
            text=first.detokenizer.text,
            token_ids=first.exact_ids(),
            prompt_tokens=len(ids),
            cached_tokens=taken.cached,
            prefilled_tokens=max(0, min(len(first.line.ids), len(ids)) - taken.cached),
            reply_tokens=count,
            time_to_first_token=clock.first - clock.started,
            prefill_seconds=clock.prefilled - clock.started,
            decode_seconds=clock.last - clock.first,
            sampling=first.sampling,
            decode_ms=1000 * inside / steps if steps > 0 else 0.0,
            restored=taken.restored,
            shifted_tokens=taken.moved,
            complete=first.complete,
            answers=tuple(strand.answer(measured=measured) for strand in strands) if len(strands) > 1 else (),
        )


def _end(strands: list[Strand]) -> None:
    """The abort flag is up: those that run end here."""
    for strand in alive(strands):
        strand.reason = "cancelled"
