"""A model in this process that writes under a grammar, a token at a time, as the host does it.

Knows a context, a chain and a constraint; no cache, no jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.host.context import Context, Shape
from llmchat_engine.host.grammar import ConstrainedChain, Constraint
from llmchat_engine.host.llama import Llama, sampler_chain
from llmchat_engine.host.model import Model

Stages = Sequence[tuple[str, tuple[float, ...]]]


def drawn(seed: int, temperature: float = 1.0) -> Stages:
    """Returns the stages of a chain that draws from all tokens."""
    return (("temp", (temperature,)), ("dist", (seed,)))


GREEDY: Stages = (("greedy", ()),)


@dataclass(frozen=True, slots=True)
class Written:
    """What came out."""

    data: bytes
    ids: tuple[int, ...]
    ended: bool
    complete: bool

    @property
    def text(self) -> str:
        """The text; half a character raises."""
        return self.data.decode()


class Writer:
    """One model and one context."""

    def __init__(self, llama: Llama, path: Path, *, threads: int = 1) -> None:
        self.llama = llama
        self.model = Model(llama, str(path), extra_buffers=False)
        self.context = Context(llama, self.model, Shape(n_ctx=1024, threads=threads, batch_threads=threads))

    def write(self, gbnf: str, prompt: Sequence[int], stages: Stages, limit: int = 60) -> Written:
        """Returns a reply of at most `limit` tokens under a grammar."""
        self.context.clear()
        self.context.decode(prompt, 0)
        ids: list[int] = []
        vocab, ended = self.model.vocab, False
        constraint = Constraint(self.llama, vocab, gbnf)
        with closing(constraint), sampler_chain(self.llama, vocab, stages) as chain:
            picker = ConstrainedChain(chain, constraint)
            while len(ids) < limit and not ended:
                token = picker.sample(self.context)
                ended = vocab.is_eog(token)
                if not ended:
                    ids.append(token)
                    self.context.decode([token], len(prompt) + len(ids) - 1)
            complete = picker.complete
        return Written(b"".join(map(vocab.piece, ids)), tuple(ids), ended, complete)

    def close(self) -> None:
        """Frees both."""
        self.context.close()
        self.model.close()
