"""From messages to the ids of a prompt: template pieces tokenised, replies taken verbatim, BOS exactly once.

Knows a tokeniser and a template; no cache, no sockets. The template's own text is tokenised with special tokens on,
everything that people or models wrote with special tokens off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.template import ChatTemplate, Piece
from llmchat_engine.types import Request


class Tokenizer(Protocol):
    """What a prompt needs of a `llama.Vocab`."""

    bos: int
    add_bos: bool

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Returns the ids of a text."""

    def end_texts(self, tokens: Iterable[int]) -> dict[int, str]:
        """Returns the template text of those ids that end a generation."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given."""

    text: str
    ids: tuple[int, ...]
    notice: str = ""


def build_prompt(request: Request, template: ChatTemplate, vocab: Tokenizer) -> Prompt:
    """Returns the prompt of a request.

    Raises:
        RequestInvalid: there is nothing to complete.
        TemplateError: the model's template failed.
    """
    if request.raw:
        text = "".join(message.text for message in request.messages)
        pieces: Sequence[Piece] = (Piece(text, special=False),)
        notice = ""
    else:
        last_ids = (message.token_ids[-1] for message in request.messages if message.token_ids)
        rendered = template.render(request.messages, end_texts=vocab.end_texts(last_ids))
        text, pieces, notice = rendered.text, rendered.pieces, rendered.notice
    ids = [token for piece in pieces for token in _piece_ids(piece, vocab)]
    if vocab.add_bos and ids[:1] != [vocab.bos]:
        ids.insert(0, vocab.bos)
    if not ids:
        raise RequestInvalid("the prompt is empty", "there is nothing to complete")
    return Prompt(text, tuple(ids), notice)


def _piece_ids(piece: Piece, vocab: Tokenizer) -> Sequence[int]:
    return piece.token_ids or (vocab.tokenize(piece.text, special=piece.special) if piece.text else ())
