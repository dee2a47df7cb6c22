"""The thread that counts: tells prompts and numbers of tokens while the model is busy with another request.

Has a vocabulary and a template of its own, which no other thread touches; knows no context and no sockets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmchat_engine.answers import TokenPiece
from llmchat_engine.errors import GenerationFailed
from llmchat_engine.events import Rendered
from llmchat_engine.host.jobs import Job
from llmchat_engine.protocol import Ids, Measure, PieceList, Pieces, Render, Tokenize

if TYPE_CHECKING:
    from llmchat_engine.host.measure import Lengths
    from llmchat_engine.host.model import Vocab
    from llmchat_engine.host.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class _Tools:
    """What counting takes."""

    vocab: Vocab
    template: ChatTemplate
    lengths: Lengths
    n_ctx: int


class Counter:
    """Answers the orders that need the vocabulary of a loaded model and nothing else of it."""

    def __init__(self) -> None:
        self._tools: _Tools | None = None

    def equip(self, vocab: Vocab, template: ChatTemplate, n_ctx: int) -> None:
        """Takes what it counts with; the model behind it is never freed. Called by the worker, before any order comes.

        Args:
            vocab: A vocabulary that no other thread uses.
            template: A template that no other thread uses.
            n_ctx: Context length in tokens.
        """
        from llmchat_engine.host.measure import Lengths

        self._tools = _Tools(vocab, template, Lengths(vocab), n_ctx)

    def serve(self, job: Job) -> None:
        """Answers one order.

        Raises:
            EngineError: it cannot be answered.
        """
        from llmchat_engine.host.measure import measure
        from llmchat_engine.host.prompt import PieceIds, build_prompt

        tools = self._tools
        if tools is None:
            raise GenerationFailed("no model is loaded", "the host was asked to count before it was asked to load")
        match job.order:
            case Tokenize(text):
                job.send(Ids(tuple(tools.vocab.tokenize(text, special=False))))
            case Pieces(text, special):
                ids = tuple(tools.vocab.tokenize(text, special=special))
                job.send(PieceList(ids, tuple(_piece(token, tools.vocab) for token in set(ids))))
            case Render(request):
                prompt = build_prompt(request, tools.template, PieceIds(tools.vocab))
                job.send(Rendered(prompt.text, prompt.ids))
            case Measure(request):
                job.send(measure(request, tools.template, tools.vocab, tools.lengths, tools.n_ctx))


def _piece(token: int, vocab: Vocab) -> TokenPiece:
    data, name = vocab.piece(token), vocab.shown(token)
    return TokenPiece(token, name, data, special=bool(name) and not data)
