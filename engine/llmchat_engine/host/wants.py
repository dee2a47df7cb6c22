"""What a request asks of the host, in the host's own terms: ids, a checked grammar, what may be done with the cache.

Pure functions over a request; knows no job and no context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.cache import Want
from llmchat_engine.types import Request, Sampling

if TYPE_CHECKING:
    from llmchat_engine.host.model import Vocab
    from llmchat_engine.host.prompt import Prompt


def ids_of(text: str | Sequence[int], vocab: Vocab) -> list[int]:
    """Returns the ids of a text, or those that were given in its place.

    Raises:
        RequestInvalid: one is not in the vocabulary; llama.cpp ends the process on it.
    """
    if isinstance(text, str):
        return vocab.tokenize(text, special=False)
    if text and not 0 <= min(text) <= max(text) < vocab.size:
        raise RequestInvalid("these token ids are not the model's", f"it has {vocab.size:,} tokens")
    return list(text)


def own_want(request: Request) -> Want:
    """Returns what a request that generates nothing says about the cache."""
    return Want(request.chat, store=request.store and not request.private, private=request.private)


def constraint_of(request: Request) -> str:
    """Returns the checked grammar of a request; empty for none."""
    if not (request.grammar or request.schema):
        return ""
    from llmchat_engine.grammar import constraint_text

    return constraint_text(request.grammar, request.schema)


def _wants_exact(request: Request, resolved: Sampling) -> bool:
    """Returns True where the same request must give the same tokens again, whatever the cache holds.

    Asked for with a seed. A greedy one-shot gets it too: it costs at most one chunk of prefill. A greedy chat does not:
    it would prefill every earlier reply again. Nor does a reply that is continued: it goes on from
    what was computed when it was written.
    """
    if request.messages and request.messages[-1].role == "assistant":
        return False
    one_shot = all(message.role != "assistant" for message in request.messages)
    return request.sampling.seed is not None or (resolved.temperature == 0 and one_shot)


def want_of(request: Request, resolved: Sampling, prompt: Prompt) -> Want:
    """Returns what a request says about the cache."""
    exact = _wants_exact(request, resolved)
    return Want(
        chat=request.chat,
        store=request.store and not request.private,
        private=request.private,
        exact=exact,
        repeatable=exact or resolved.temperature == 0,
        shift=request.shift,
        shared=prompt.before(request.shared) if request.shared else 0,
    )
