"""Ids into the context: a prompt in chunks, then one token more of one sequence or of several in one batch.

Knows one context and its cache; no text, no sampling. Stopped by `Context.abort` from outside.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from llmchat_engine.errors import ContextFull, GenerationFailed
from llmchat_engine.events import Prefill, Restored
from llmchat_engine.host.cache import SequenceCache, Taken, Want
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.lines import Line


class Feeder:
    """Has one context hold what is asked for, from what the cache has of it."""

    def __init__(self, context: Context, cache: SequenceCache, n_ctx_train: int) -> None:
        """Takes them; the length that the model was trained for is told where a prompt does not fit."""
        self._context, self.cache, self._n_ctx_train = context, cache, n_ctx_train

    def read(self, ids: list[int], want: Want) -> Generator[Restored | Prefill, None, Taken]:
        """Has the context hold a prompt, with the logits behind it in the last row; fewer ids where it was aborted.

        Raises:
            ContextFull: it leaves no room for one token.
            GenerationFailed: llama.cpp refused a batch.
        """
        if len(ids) >= self._context.n_ctx:
            raise ContextFull(len(ids), self._context.n_ctx, self._n_ctx_train)
        taken = self.cache.take(ids, want)
        if taken.restored:
            yield taken.restored
        # Exact is what any run of the request computes: whole chunks up to its shared beginning, and from there.
        for done in self._prefill(ids, taken.cached, want):
            yield Prefill(done, len(ids), taken.cached)
        return taken

    def compute(self, prefix: Sequence[int], want: Want) -> bool:
        """Has the context hold a prefix, for a prompt to come; False where the abort flag stopped it on the way."""
        if not prefix or len(prefix) >= self._context.n_ctx:
            return True
        taken = self.cache.take(prefix, want)
        return self._feed(list(prefix[taken.cached :]))

    def extend(self, lines: Sequence[Line], tokens: Sequence[int]) -> bool:
        """Appends a token to each sequence in one batch; False, and nothing appended, when aborted.

        Raises:
            NoFreeCell: the context is full; nothing was appended.
            GenerationFailed: llama.cpp refused the batch.
        """
        if len(lines) == 1:
            self.cache.active = lines[0]
            return self._step(list(tokens))
        done = False
        try:
            done = self._decoded_many(lines, tokens)
        finally:
            for line, token in zip(lines, tokens, strict=True):
                if done:
                    self.cache.append([token], line)
                else:
                    self.cache.truncate(len(line.ids), line)
        return done

    def _prefill(self, ids: list[int], start: int, want: Want) -> Iterator[int]:
        """Yields the number of prompt tokens in the cache: before, and after each chunk.

        Where the answer is to be repeatable the last token is decoded alone: then its logits have the same bits whether
        the tokens before it came from the cache or not. It costs one step, 10 ms of 550 at 3,000 tokens. A memory that
        cannot be rewound is remembered there, and where the shared beginning ends.
        """
        yield start
        alone = want.repeatable or not self.cache.rewindable
        last = len(ids) - 1 if alone else len(ids)
        ends = self.cache.cut_of(want) if want.exact else 0 if self.cache.rewindable else want.shared
        points = (ends,) if self.cache.rewindable else (ends, last)
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

    def _decoded_many(self, lines: Sequence[Line], tokens: Sequence[int]) -> bool:
        if not all(self.cache.is_sound(line) for line in lines):
            # To compute one again can take the cells of the others: not worth it for what never should be.
            raise GenerationFailed("an answer was lost", "llama.cpp does not hold what it was given", "ask again")
        positions, numbers = [len(line.ids) for line in lines], [line.number for line in lines]
        while True:
            try:
                return self._context.decode_many(tokens, positions, numbers, [True] * len(tokens))
            except NoFreeCell:
                if not self.cache.make_room(lines):
                    raise

    def _compute_again(self) -> bool:
        """Fills a sequence anew that is not in the memory as it should be; False where that was aborted."""
        known = list(self.cache.ids)
        self.cache.truncate(len(known))
        return self._feed(known[len(self.cache.ids) :])


def rows(count: int) -> Sequence[int]:
    """Returns where in the last batch the logits behind each of so many sequences are."""
    return range(count) if count > 1 else (-1,)
