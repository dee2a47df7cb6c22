"""A reply held to a grammar: a token is drawn freely, checked alone, and drawn again among the allowed ones if refused.

Knows one vocabulary and one grammar that `check_grammar` has passed; no messages, no sockets. One per reply. llama.cpp
ends the process where it is told to accept what the grammar forbids, so nothing reaches it unchecked. And it takes for
text what is none: control tokens, and bytes that are no UTF-8 in sum. Both are refused here.
"""

from __future__ import annotations

import codecs
import ctypes
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmchat_engine.errors import GenerationFailed, RequestInvalid
from llmchat_engine.host.candidates import Candidates
from llmchat_engine.host.llama import Llama, SamplerChain
from llmchat_engine.host.model import Vocab

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from llmchat_engine.host.context import Context
    from llmchat_engine.host.thinking import Thought

LONGEST_STEP = 2.0
"""Seconds that one token may take; a whole vocabulary of 152,000 takes 0.05. What passes it would double next."""


class Constraint:
    """Where a reply stands in its grammar."""

    def __init__(self, llama: Llama, vocab: Vocab, gbnf: str) -> None:
        """Has llama.cpp read the grammar.

        Args:
            llama: The library.
            vocab: The model's.
            gbnf: The grammar; `check_grammar` has passed it.

        Raises:
            RequestInvalid: llama.cpp refuses it all the same.
        """
        self._c, self._vocab = llama.c, vocab
        self._pointer = self._c.llama_sampler_init_grammar(vocab.pointer, gbnf.encode(), b"root")
        if not self._pointer:
            raise RequestInvalid("the grammar cannot be used", "llama.cpp cannot read it; the engine's log tells why")
        self._candidates = Candidates(self._c, vocab.size)
        self._one = self._c.llama_token_data()
        self._alone = self._c.llama_token_data_array(data=ctypes.pointer(self._one), size=1, selected=-1, sorted=False)
        self._end = _an_end(vocab)
        self._pending = b""
        """The first bytes of a character that is not whole yet."""
        self._silent: set[int] = set()
        """Tokens without text that were drawn: never allowed, and not to be drawn again."""
        self._checked = -1

    def choose(self, chain: SamplerChain, row: npt.NDArray[np.float32], besides: Sequence[int] = ()) -> int:
        """Returns the next token, not yet accepted, neither by the chain nor by the grammar.

        Args:
            chain: The samplers; what they drew first and the grammar refused counts as drawn from their seed.
            row: The logits, one per token of the vocabulary. Not changed.
            besides: Tokens that may come whatever the grammar says, if they are what is drawn first.

        Raises:
            GenerationFailed: no token of the vocabulary fits, or the grammar takes too long.
        """
        self._candidates.fill(row)
        token = chain.choose(self._candidates)
        return token if token in besides or self._fits(token) else self._choose_allowed(chain, row, token)

    def accept(self, token: int) -> None:
        """Goes on behind a token; an end-of-generation token changes nothing.

        Raises:
            GenerationFailed: the token does not fit here, or the grammar takes too long.
        """
        if token != self._checked and not self._fits(token):
            raise GenerationFailed("the token does not fit the grammar", f"token {token} cannot stand here")
        self._checked = -1
        if self._vocab.is_eog(token):
            return
        _, self._pending = _decoded(self._pending + self._vocab.piece(token))
        began = time.thread_time()
        self._c.llama_sampler_accept(self._pointer, token)
        _check_time(began)

    @property
    def complete(self) -> bool:
        """Whether the reply may end here."""
        return self._end >= 0 and self._fits(self._end)

    def close(self) -> None:
        """Frees the grammar."""
        if self._pointer:
            self._c.llama_sampler_free(self._pointer)
            self._pointer = None

    def _fits(self, token: int) -> bool:
        """Returns whether a token may come next; it can be accepted then."""
        if self._vocab.is_eog(token):
            fits = not self._pending and self._passes(token)
        else:
            piece = self._vocab.piece(token)
            if not piece:
                self._silent.add(token)
            whole, _ = _decoded(self._pending + piece)
            fits = bool(piece) and whole and b"\0" not in piece and self._passes(token)
        self._checked = token if fits else -1
        return fits

    def _passes(self, token: int) -> bool:
        """Returns what llama.cpp says about one token."""
        self._one.id, self._one.logit = token, 1.0
        self._apply(ctypes.byref(self._alone))
        return bool(self._one.logit > -math.inf)

    def _apply(self, candidates: Any) -> None:
        """Rules out what llama.cpp finds does not fit."""
        began = time.thread_time()
        self._c.llama_sampler_apply(self._pointer, candidates)
        _check_time(began)

    def _choose_allowed(self, chain: SamplerChain, row: npt.NDArray[np.float32], refused: int) -> int:
        """Returns a token drawn among those that fit."""
        import numpy as np

        candidates = self._candidates
        candidates.fill(row)
        self._apply(candidates.reference)
        ids, logits = candidates.allowed()
        while True:
            kept = ~np.isin(ids, [refused, *self._silent])
            ids, logits = ids[kept], logits[kept]
            if not len(ids):
                hint = "write what stands there in other characters, or choose another model"
                raise GenerationFailed("the grammar cannot be followed", "no token of this model fits here", hint)
            candidates.fill(logits, ids)
            token = chain.choose(candidates)
            if self._fits(token):
                return token
            refused = token


class ConstrainedChain:
    """A chain and a constraint as one: what an answer under a grammar draws its tokens from, and a thought freely."""

    def __init__(self, chain: SamplerChain, constraint: Constraint, thought: Thought | None = None) -> None:
        """Takes them; whoever made them closes them. A thought is the reply's own, fed by whoever draws."""
        self._chain, self._constraint, self._thought = chain, constraint, thought

    def sample(self, context: Context, index: int = -1) -> int:
        """Returns the next token from the logits behind the index-th token of the last batch, and accepts it."""
        if self._thought is not None and self._thought.free:
            return self._chain.sample(context, index)
        openers = self._thought.openers if self._thought else ()
        token = self._constraint.choose(self._chain, context.logits(index), openers)
        if token not in openers:
            self._constraint.accept(token)
        self._chain.accept(token)
        return token

    def accept(self, token: int) -> None:
        """Tells the chain about a token of a thought that was not drawn; the grammar is for the answer."""
        self._chain.accept(token)

    @property
    def complete(self) -> bool:
        """Whether the answer may end here."""
        return not (self._thought is not None and self._thought.free) and self._constraint.complete


def _decoded(data: bytes) -> tuple[bool, bytes]:
    """Returns whether bytes are the beginning of some UTF-8 text, and those that are no whole character yet."""
    try:
        _, used = codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError:
        return False, b""
    rest = data[used:]
    # The first two bytes of a surrogate: no third one makes them text, but this decoder waits for it.
    return not (rest[:1] == b"\xed" and rest[1:] >= b"\xa0"), rest


def _an_end(vocab: Vocab) -> int:
    """Returns a token that ends a generation; -1 where the vocabulary has none."""
    if vocab.is_eog(vocab.eos):
        return vocab.eos
    return next(filter(vocab.is_eog, range(vocab.size)), -1)


def _check_time(began: float) -> None:
    """Gives up where a step took too long; the time of this thread, so that a busy machine does not count."""
    if (took := time.thread_time() - began) > LONGEST_STEP:
        hint = "begin its alternatives with different characters, and do not repeat what may be empty"
        raise GenerationFailed("the grammar takes too long", f"one token took {took:.1f} s", hint)
