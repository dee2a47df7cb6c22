"""What a model answers through the cache, and what it answers on an empty one; and when the two are the same.

Batches and single tokens differ in the last bits, so two rows of logits agree where both choose the same token, or the
two best were less than 1.0 apart. With the same chunks they are equal to the last bit. Knows the host's decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tests.engine.decoding import decoder_of

from llmchat_engine.events import Finished, Prefill, Token
from llmchat_engine.host.cache import Want
from llmchat_engine.host.context import Context, Shape
from llmchat_engine.host.decode import Manner
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.kvstore import KvStore
from llmchat_engine.sampling import DEFAULTS, resolve
from llmchat_engine.types import CacheType, Sampling

Row = npt.NDArray[np.float32]
CHAT, OTHER = Want("chat", store=True), Want("other", store=True)
BUDGET = 1 << 28
CLOSE = 1.0


def prompt(length: int, first: int = 0) -> list[int]:
    """Returns ids of plain tokens, the same for the same arguments."""
    return [280 + (7 * (first + index) + index * index) % 200 for index in range(length)]


def agree(one: Row, other: Row) -> bool:
    """Returns True where both rows choose the same token, or had hardly a choice."""
    return chosen(one, int(other.argmax()))


def chosen(row: Row, token: int) -> bool:
    """Returns True where a row chooses a token, or it was nearly as good as the best."""
    return bool(row.max() - row[token] < CLOSE)


@dataclass(frozen=True)
class Answer:
    """A reply, and the logits behind its prompt."""

    finished: Finished
    row: Row

    @property
    def cached(self) -> int:
        """Tokens that were not computed."""
        return self.finished.cached_tokens

    @property
    def ids(self) -> list[int]:
        """The reply."""
        return list(self.finished.token_ids)


class Bench:
    """One model with a cache, and the same model with an empty one beside it."""

    def __init__(
        self,
        llama: Llama,
        path: Path,
        *,
        n_ctx: int = 1024,
        store: KvStore | None = None,
        types: tuple[CacheType, CacheType] = ("f16", "f16"),
    ) -> None:
        self.llama, self.model = llama, Model(llama, str(path))
        self.shape = Shape(n_ctx=n_ctx, threads=1, batch_threads=1, type_k=types[0], type_v=types[1])
        self.store = store
        self.context, self.empty = (Context(llama, self.model, self.shape) for _ in range(2))
        self.begin()

    def begin(self) -> None:
        """Begins with an empty cache, and nothing parked."""
        self.context.abort(False)
        self.context.clear()
        self.decoder = decoder_of(self.llama, self.model, self.context, budget=BUDGET, store=self.store)

    def ask(self, ids: Sequence[int], count: int = 1, want: Want = CHAT, *, lose_at: int = 0) -> Answer:
        """Runs a prompt; the memory loses what it holds behind the cache's back after so many tokens of the reply."""
        sampling = resolve(Sampling(temperature=0.0, max_tokens=count), DEFAULTS)
        told, row = 0, None
        for event in self.decoder.generate(ids, Manner(sampling), want):
            if isinstance(event, Prefill) and event.done == event.total:
                row = self.context.logits().copy()
            if isinstance(event, Token):
                told += event.count
                if lose_at and told >= lose_at:
                    self.lose()
                    lose_at = 0
        assert isinstance(event, Finished) and row is not None
        return Answer(event, row)

    def lose(self) -> None:
        """Takes the active sequence out of the memory behind the cache's back."""
        assert self.context.remove(0, sequence=self.decoder.cache.active.number)

    def fresh(self, ids: Sequence[int]) -> Row:
        """Returns the logits behind a prompt on an empty cache, computed as the first prompt of a host is."""
        self.empty.clear()
        decoder = decoder_of(self.llama, self.model, self.empty)
        sampling = resolve(Sampling(temperature=0.0, max_tokens=1), DEFAULTS)
        for event in decoder.generate(ids, Manner(sampling), Want()):
            if isinstance(event, Prefill) and event.done == event.total:
                row = self.empty.logits().copy()
        return row

    def is_what_the_model_says(self, ids: Sequence[int], answer: Answer) -> bool:
        """Leads an empty cache along a reply: at each place it would have chosen the same token, or nearly so."""
        rows = (self.fresh([*ids, *answer.ids[:count]]) for count in range(len(answer.ids)))
        return all(chosen(row, token) for row, token in zip(rows, answer.ids, strict=True))

    def used(self) -> list[int]:
        """Returns the sequences that hold anything in llama.cpp's memory."""
        return [number for number in range(8) if self.context.positions(number) != (-1, -1)]

    @property
    def rewinds(self) -> bool:
        """Whether the memory can be cut at any token."""
        return not self.model.is_recurrent

    def close(self) -> None:
        """Frees it all."""
        self.context.close()
        self.empty.close()
        self.model.close()
