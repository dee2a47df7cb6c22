"""How likely texts are: the log-likelihood of continuations of one prompt, and the perplexity of a text.

Knows ids, a memory that decodes several sequences in one batch, and a way to have it hold a prompt; no cache, no
template, no sockets. Stopped by the memory's abort flag: then no `Scored` comes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from llmchat_engine.answers import Score, TokenLogprob
from llmchat_engine.errors import ContextFull, GenerationFailed, RequestInvalid
from llmchat_engine.events import Prefill, Restored, Scored
from llmchat_engine.host.logprobs import logprob, token_logprob

if TYPE_CHECKING:
    from llmchat_engine.host.logprobs import Row

Progress = Restored | Prefill


class ScoringMemory(Protocol):
    """What scoring needs of a `context.Context`."""

    n_ctx: int

    def decode_many(
        self, ids: Sequence[int], positions: Sequence[int], sequences: Sequence[int], outputs: Sequence[bool]
    ) -> bool:
        """Appends ids of several sequences in one batch; False where the abort flag stopped it."""

    def logits(self, index: int = -1) -> Row:
        """Returns the row behind the index-th token of the last batch, valid until the next."""

    def copy(self, source: int, target: int, end: int) -> None:
        """Makes `target` hold the first `end` tokens of `source`."""

    def remove(self, start: int, *, sequence: int = 0, end: int = -1) -> bool:
        """Removes tokens of a sequence."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A prompt in the memory, with the logits behind it in the last row."""

    sequence: int
    spare: tuple[int, ...]
    """Empty sequences that may be used until the next prompt is read; at least one."""
    cached: int = 0


Read = Callable[[Sequence[int], int], Generator[Progress, None, Ground | None]]
"""(ids, cells) -> has the memory hold a prompt with room for so many tokens behind it; None where it was stopped."""


@dataclass(slots=True)
class _Tally:
    """One continuation, and how likely its tokens so far are."""

    ids: Sequence[int]
    top: int | None
    text: Callable[[int], str]
    count: int = 0
    logprob: float = 0.0
    tokens: list[TokenLogprob] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Takes the logits that the next token of the continuation is to be looked up in."""
        token = self.ids[self.count]
        if self.top is None:
            self.logprob += logprob(row, token)
        else:
            self.tokens.append(token_logprob(row, token, self.top, self.text))
            self.logprob += self.tokens[-1].logprob
        self.count += 1

    def score(self) -> Score:
        return Score(self.logprob, self.count, tuple(self.tokens))


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a text: what is only read, and what is scored behind it."""

    start: int
    scored: int
    end: int


class Scorer:
    """Scores texts on one memory."""

    def __init__(self, memory: ScoringMemory, read: Read, text: Callable[[int], str], rows: int) -> None:
        """Takes what it works with.

        Args:
            memory: holds the sequences.
            read: has it hold a prompt.
            text: the text of an id.
            rows: the most tokens of a batch that logits can be had of.
        """
        self._memory, self._read, self._text, self._rows = memory, read, text, rows

    def score(
        self, prompt: Sequence[int], continuations: Sequence[Sequence[int]], top: int | None = None
    ) -> Generator[Progress | Scored, None, None]:
        """Yields progress, then how likely each continuation is behind the prompt. The prompt is computed once.

        Args:
            prompt: ids, at least one.
            continuations: ids of each; an empty one scores 0.
            top: how many of the likeliest tokens to tell at each place; None tells no tokens one by one.

        Raises:
            ContextFull: the prompt with the longest continuation does not fit.
            GenerationFailed: llama.cpp refused a batch, or the model gave numbers that are none.
        """
        began = time.perf_counter()
        tallies = [self._tally(ids, top) for ids in continuations]
        ground = yield from self._add_up(prompt, tallies)
        if ground is not None:
            scores = tuple(tally.score() for tally in tallies)
            yield Scored(scores, len(prompt), ground.cached, time.perf_counter() - began)

    def perplexity(
        self, ids: Sequence[int], window: int = 0, head: Sequence[int] = ()
    ) -> Generator[Progress | Scored, None, None]:
        """Yields progress, then how likely a text is on its own.

        Args:
            ids: of the text.
            window: tokens that are seen at once; a longer text is cut into windows that overlap by half. 0 is the
                context.
            head: what every window begins with (BOS). Without it the first token is not scored.

        Raises:
            RequestInvalid: the window is too small, or larger than the context.
            GenerationFailed: llama.cpp refused a batch, or the model gave numbers that are none.
        """
        began, size = time.perf_counter(), window or self._memory.n_ctx
        if not len(head) + 2 <= size <= self._memory.n_ctx:
            fits = f"it must have from {len(head) + 2} to {self._memory.n_ctx:,}"
            raise RequestInvalid(f"a window of {size:,} tokens cannot be used", fits, "leave the window out")
        windows = list(windows_of(len(ids), size - len(head), skip=0 if head else 1))
        whole = sum(len(head) + one.end - one.start for one in windows)
        done, total, count = 0, 0.0, 0
        for one in windows:
            prompt, tally = [*head, *ids[one.start : one.scored]], self._tally(ids[one.scored : one.end])
            if (yield from _as_part(self._add_up(prompt, [tally]), done, whole)) is None:
                return
            done += len(prompt) + tally.count
            total += tally.logprob
            count += tally.count
        yield Scored((Score(total, count),), len(ids), 0, time.perf_counter() - began)

    def _tally(self, ids: Sequence[int], top: int | None = None) -> _Tally:
        return _Tally(ids, top, self._text)

    def _add_up(self, prompt: Sequence[int], tallies: Sequence[_Tally]) -> Generator[Progress, None, Ground | None]:
        """Computes the prompt and what follows it; returns where the prompt is, None where it was stopped."""
        longest = max((len(tally.ids) for tally in tallies), default=0)
        room = self._memory.n_ctx - len(prompt)
        if longest > room:
            raise ContextFull(len(prompt) + longest, self._memory.n_ctx)
        whole = len(prompt) + sum(len(tally.ids) for tally in tallies)
        reading = self._read(prompt, min(room, max(longest, self._rows)))
        if (ground := (yield from _as_part(reading, 0, whole))) is None:
            return None
        row, begun = self._memory.logits(), [tally for tally in tallies if tally.ids]
        for tally in begun:
            tally.add(row)
        done = len(prompt) + len(begun)
        yield Prefill(done, whole, ground.cached)
        longer = [tally for tally in begun if len(tally.ids) > 1]
        if longer and not ground.spare:
            raise GenerationFailed("the texts cannot be scored", "no sequence is free", "llmchat stop")
        for group in _grouped(longer, min(room, self._rows), len(ground.spare)):
            for rows in self._decoded(group, ground, len(prompt)):
                if not rows:
                    return None
                done += rows
                yield Prefill(done, whole, ground.cached)
        return ground

    def _decoded(self, group: Sequence[_Tally], ground: Ground, length: int) -> Iterator[int]:
        """Adds up the second and later tokens of some; yields how many each batch had, 0 where it was stopped."""
        homes = list(zip(group, ground.spare, strict=False))
        places = [(tally, at, home) for tally, home in homes for at in range(len(tally.ids) - 1)]
        try:
            for _, home in homes:
                self._memory.copy(ground.sequence, home, length)
            for first in range(0, len(places), self._rows):
                batch = places[first : first + self._rows]
                yield len(batch) if self._decode(batch, length) else 0
        finally:
            for _, home in homes:
                self._memory.remove(0, sequence=home)

    def _decode(self, batch: Sequence[tuple[_Tally, int, int]], length: int) -> bool:
        ids = [tally.ids[at] for tally, at, _ in batch]
        positions, sequences = [length + at for _, at, _ in batch], [home for *_, home in batch]
        if not self._memory.decode_many(ids, positions, sequences, [True] * len(batch)):
            return False
        for index, (tally, *_) in enumerate(batch):
            tally.add(self._memory.logits(index))
        return True


def windows_of(count: int, size: int, skip: int) -> Iterator[Window]:
    """Yields the windows of a text of `count` tokens: each token but the first `skip` is scored in one of them.

    The first is scored from its beginning, the others behind `size // 2` tokens of the one before.
    """
    start, scored, end = 0, skip, min(size, count)
    while scored < end:
        yield Window(start, scored, end)
        start, scored, end = end - size // 2, end, min(count, end + size - size // 2)


def _grouped(tallies: Sequence[_Tally], tokens: int, sequences: int) -> Iterator[list[_Tally]]:
    """Yields what is computed side by side: as many as fit one batch, or one that is longer."""
    group: list[_Tally] = []
    for tally in tallies:
        taken = sum(len(one.ids) - 1 for one in group)
        if group and (len(group) == sequences or taken + len(tally.ids) - 1 > tokens):
            yield group
            group = []
        group.append(tally)
    if group:
        yield group


def _as_part(
    events: Generator[Progress, None, Ground | None], before: int, whole: int
) -> Generator[Progress, None, Ground | None]:
    """Yields progress as that of a part of something larger; returns what `events` does."""
    with contextlib.closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                ground: Ground | None = end.value
                return ground
            if isinstance(event, Prefill):
                event = Prefill(before + event.done, whole, event.cached)
            yield event
