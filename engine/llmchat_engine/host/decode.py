"""The decode loop: ids in, events out. One answer, several in one batch, or the best of a beam search; timing.

Knows one context and its cache; no messages, no sockets, no threads. Stopped by `Context.abort` from outside.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.events import Answered, Finished, Prefill, Restored, Token
from llmchat_engine.host.cache import SequenceCache, Taken, Want
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.detokenize import Detokenizer
from llmchat_engine.host.feed import Feeder, rows
from llmchat_engine.host.grammar import ConstrainedChain, Constraint
from llmchat_engine.host.lines import Line
from llmchat_engine.host.llama import Llama, sampler_chain
from llmchat_engine.host.logprobs import token_logprob
from llmchat_engine.host.model import Model
from llmchat_engine.host.strands import Picker, Strand, alive
from llmchat_engine.host.thinking import Thought, ThoughtPlan
from llmchat_engine.sampling import logit_biases, looks_back, stages
from llmchat_engine.types import Sampling

MOST_LOGPROBS = 100
MOST_PENALTY = 10
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

    def tick(self) -> None:
        """Tokens were chosen."""
        self.last = time.perf_counter()
        if self.first == self.prefilled:
            self.first = self.last


@dataclass(frozen=True, slots=True)
class Manner:
    """How the tokens behind a prompt are chosen."""

    sampling: Sampling
    """Resolved: every field set."""
    answers: int = 1
    beams: int = 0
    length_penalty: float = 1.0
    logprobs: int | None = None
    grammar: str = ""
    """GBNF, checked; empty for none."""
    stopped: Collection[int] = ()
    """The answers that are to end, by index; may grow meanwhile."""
    concluded: Collection[int] = ()
    """The answers that are to end as reasoning does, where they think no thought; may grow meanwhile."""
    thought: ThoughtPlan | None = None
    """What is known of the thoughts to come; None for a model that does not think."""


class Decoder:
    """Runs prompts on one context, one at a time, each from its longest cached prefix."""

    def __init__(self, llama: Llama, model: Model, context: Context, cache: SequenceCache) -> None:
        self._llama, self._model, self._context, self.cache = llama, model, context, cache
        self.feeder = Feeder(context, cache, model.n_ctx_train)

    def generate(self, prompt: Sequence[int], manner: Manner, want: Want) -> Generator[News, None, None]:
        """Yields what came back into the context, the progress of prefill, the text as it comes, and `Finished`.

        Args:
            prompt: The ids of the whole prompt.
            manner: How the reply is chosen.
            want: Whose the prompt is, and what may be done to answer sooner.

        Raises:
            ContextFull: the prompt leaves no room for one token.
            RequestInvalid: more answers than there are sequences; things that cannot be had together.
            GenerationFailed: llama.cpp refused a batch, or the grammar cannot be followed.
        """
        ids, clock = list(prompt), _Clock()
        count, biases = self._sequences(manner), self._biases(manner)
        if count > 1:
            want = replace(want, room=self._room(ids, count, manner))
        taken = yield from self.feeder.read(ids, want)
        clock.prefilled = clock.first = clock.last = time.perf_counter()
        self.cache.active.seconds += clock.prefilled - clock.started
        clock.inside_before = self._context.decode_seconds
        lines = [self.cache.active] * count
        try:
            with ExitStack() as chains:
                if whole := len(self.cache.ids) == len(ids):
                    lines = self.cache.fork_active(count)
                made = zip(range(manner.answers), lines, strict=False)
                strands = [self._strand(index, line, ids, manner, biases, chains) for index, line in made]
                if not whole:
                    _end(strands)
                if manner.beams:
                    yield from self._search(strands[0], lines, manner, clock)
                else:
                    yield from self._decode(strands, manner, clock)
        finally:
            self.cache.join(lines)
        yield self._finished(ids, taken, strands, clock)

    def _sequences(self, manner: Manner) -> int:
        """Returns how many sequences a request takes.

        Raises:
            RequestInvalid: there are not so many, or what is asked for cannot be had together.
        """
        if manner.logprobs is not None and not 0 <= manner.logprobs <= MOST_LOGPROBS:
            raise RequestInvalid(f"{manner.logprobs} tokens cannot be told at each place", f"0 to {MOST_LOGPROBS} can")
        if manner.beams and not 0 <= manner.length_penalty <= MOST_PENALTY:
            why = f"it must be from 0, which ranks by the sum alone, to {MOST_PENALTY}"
            raise RequestInvalid(f"length_penalty {manner.length_penalty:g} is out of range", why)
        if manner.beams and (manner.answers > 1 or manner.grammar or manner.logprobs is not None):
            why = "beams give one answer, drawn by nobody: not several, not by a grammar, not token by token"
            raise RequestInvalid("this cannot be had with beams", why, "leave out one of them")
        count, most = manner.beams or manner.answers, self.cache.sequences.kind.sequences
        if not 1 <= count <= most:
            raise RequestInvalid(f"{count} answers or beams cannot be had", f"with this model 1 to {most} can")
        return count

    def _room(self, ids: list[int], count: int, manner: Manner) -> int:
        """Returns the cells that several sequences may take: the cache cannot grow once there are several."""
        longest = self._context.n_ctx - len(ids)
        return min(longest, count * min(longest, manner.sampling.max_tokens or longest))

    def _biases(self, manner: Manner) -> dict[int, float]:
        """Returns what is added to which logits; what cannot be read is refused before a prompt is."""
        vocab = self._model.vocab
        biases = logit_biases(manner.sampling.logit_bias, partial(vocab.tokenize, special=False), vocab.size)
        return biases | dict.fromkeys(manner.thought.forbidden if manner.thought else (), -math.inf)

    def _strand(
        self, index: int, line: Line, ids: list[int], manner: Manner, biases: dict[int, float], chains: ExitStack
    ) -> Strand:
        """Returns one answer to come, with a chain that has seen the end of the prompt."""
        vocab, seed = self._model.vocab, ((manner.sampling.seed or 0) + index) % (2**32 - 1)
        sampling = replace(manner.sampling, seed=seed)
        chain = stages(sampling, vocab.size, self._context.n_ctx, biases)
        drawn = chains.enter_context(sampler_chain(self._llama, vocab, chain))
        for token in ids[len(ids) - looks_back(sampling, len(ids)) :]:
            drawn.accept(token)
        picker: Picker = drawn
        plan, constrained = manner.thought, bool(manner.grammar)
        thought = Thought(plan, vocab.piece, constrained=constrained) if plan else None
        if constrained:
            constraint = chains.enter_context(closing(Constraint(self._llama, vocab, manner.grammar)))
            picker = ConstrainedChain(drawn, constraint, thought)
        words, end_mark = Detokenizer(vocab.piece, sampling.stop), plan.form.end if plan else -1
        return Strand(index, line, picker, words, sampling, thought, end_mark, constrained)

    def _limit(self, manner: Manner) -> int:
        """Returns the most tokens that there is room for behind the prompt."""
        room = self._context.n_ctx - len(self.cache.ids)
        return room if manner.sampling.max_tokens is None else min(room, manner.sampling.max_tokens)

    def _decode(self, strands: list[Strand], manner: Manner, clock: _Clock) -> Iterator[Token | Answered]:
        """Runs the answers side by side until each has ended."""
        limit, running = self._limit(manner), strands
        while running:
            shown = [self._pick(strand, manner, limit) for strand in running if strand.reason is None]
            clock.tick()
            for tokens in shown:
                yield from tokens
            if going_on := alive(running):
                self._extend(going_on)
            if ended := [strand for strand in running if strand.reason is not None]:
                for strand in ended:
                    yield from self._ended(strand, several=len(strands) > 1)
                running = alive(going_on)

    def _pick(self, strand: Strand, manner: Manner, limit: int) -> Sequence[Token]:
        """Chooses the next token of one answer; returns the text that may be shown now."""
        if self._context.aborted or strand.index in manner.stopped:
            strand.reason = "cancelled"
            return ()
        if strand.thought is not None and manner.thought and strand.index in manner.thought.concluded:
            strand.thought.conclude()
        elif strand.thought is None and strand.index in manner.concluded:
            strand.reason = "concluded"
            return ()
        token = strand.choose(self._context)
        if manner.logprobs is not None:
            row = self._context.logits(strand.row)
            strand.note(token_logprob(row, token, manner.logprobs, self._model.vocab.shown))
        return strand.take(token, ends=self._model.vocab.is_eog(token), limit=limit)

    def _extend(self, strands: list[Strand]) -> None:
        """Appends the newest token of each answer in one batch; where that cannot be, they end."""
        try:
            if not self.feeder.extend([strand.line for strand in strands], [strand.ids[-1] for strand in strands]):
                _end(strands)
        except NoFreeCell:
            if len(strands) == 1:
                raise
            for strand in strands:
                strand.reason = "context"
        for strand, row in zip(strands, rows(len(strands)), strict=True):
            strand.row = row

    @staticmethod
    def _ended(strand: Strand, *, several: bool) -> Iterator[Token | Answered]:
        yield from strand.flush()
        answer = strand.end()
        if several:
            yield Answered(strand.index, answer)

    def _search(self, strand: Strand, lines: list[Line], manner: Manner, clock: _Clock) -> Iterator[Token | Answered]:
        """Looks for the likeliest reply; its sequence alone stays, however the search ends."""
        try:
            if strand.reason is None:
                from llmchat_engine.host.beaming import Beams

                beams = Beams(self._context, self._model.vocab, self.feeder, clock.tick)
                yield from beams.look(strand, lines, self._limit(manner), manner.length_penalty)
            yield from self._ended(strand, several=False)
        finally:
            self.cache.keep_alone(strand.line)

    def _finished(self, ids: list[int], taken: Taken, strands: list[Strand], clock: _Clock) -> Finished:
        answers = tuple(strand.end() for strand in strands)
        first, count = answers[0], sum(answer.tokens for answer in answers)
        inside = self._context.decode_seconds - clock.inside_before
        steps = sum(max(0, answer.tokens - 1) for answer in answers)
        return Finished(
            reason=first.reason,
            text=first.text,
            token_ids=first.token_ids,
            prompt_tokens=len(ids),
            cached_tokens=taken.cached,
            prefilled_tokens=max(0, min(len(strands[0].line.ids), len(ids)) - taken.cached),
            reply_tokens=count,
            time_to_first_token=clock.first - clock.started,
            prefill_seconds=clock.prefilled - clock.started,
            decode_seconds=clock.last - clock.first,
            sampling=strands[0].sampling,
            decode_ms=1000 * inside / steps if steps > 0 else 0.0,
            restored=taken.restored,
            shifted_tokens=taken.moved,
            complete=first.complete,
            logprob=first.logprob,
            answers=answers if len(answers) > 1 else (),
            thought=first.thought,
            thought_tokens=first.thought_tokens,
            thought_seconds=thought.seconds if (thought := strands[0].thought) else 0.0,
        )


def _end(strands: list[Strand]) -> None:
    """The abort flag is up: those that run end here."""
    for strand in alive(strands):
        strand.reason = "cancelled"
