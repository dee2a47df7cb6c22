"""A decoder over a model in this process, put together as the host does it.

Knows the host's parts; no sockets, no jobs.
"""

from __future__ import annotations

from llmchat_engine.host.cache import SequenceCache
from llmchat_engine.host.context import Context, Shape
from llmchat_engine.host.decode import Decoder
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.model import Model
from llmchat_engine.host.parking import Parking
from llmchat_engine.host.sequences import Kind, Sequences
from llmchat_engine.kvstore import KvStore


def decoder_of(
    llama: Llama, model: Model, context: Context, *, budget: int = 0, store: KvStore | None = None
) -> Decoder:
    """Returns a decoder; nothing is kept outside the context unless there is a budget."""
    kind = Kind(context.n_batch, model.n_swa, not model.is_recurrent, context.n_seq)
    parking = Parking(budget, store, lambda _: None)
    return Decoder(llama, model, context, SequenceCache(Sequences(context, kind, parking)))


def small_context(llama: Llama, model: Model, n_ctx: int = 1024) -> Context:
    """Returns a context on one thread."""
    return Context(llama, model, Shape(n_ctx=n_ctx, threads=1, batch_threads=1))
