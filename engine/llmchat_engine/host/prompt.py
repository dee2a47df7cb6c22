"""From messages to the ids of a prompt: template pieces tokenised, replies taken verbatim, BOS exactly once.

Knows a tokeniser and a template; no cache, no sockets. The template's own text is tokenised with special tokens on,
everything that people or models wrote with special tokens off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.template import ChatTemplate, Piece, RenderedPrompt
from llmchat_engine.types import Message, Request


class Tokenizer(Protocol):
    """What a prompt needs of a `llama.Vocab`."""

    bos: int
    add_bos: bool
    size: int

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
    laid_out = lay_out(request, template, vocab)
    ids = [token for piece in laid_out.pieces for token in piece_ids(piece, vocab)]
    if lacks_bos(vocab, ids[:1]):
        ids.insert(0, vocab.bos)
    if not ids:
        raise RequestInvalid("the prompt is empty", "there is nothing to complete")
    return Prompt(laid_out.text, tuple(ids), laid_out.notice)


def lay_out(request: Request, template: ChatTemplate, vocab: Tokenizer) -> RenderedPrompt:
    """Returns the pieces of a request's prompt; without a template it is one piece that holds every message.

    Raises:
        TemplateError: the model's template failed.
    """
    if request.raw:
        text = "".join(message.text for message in request.messages)
        pieces = (Piece(text, special=False, message=0),) if request.messages else ()
        return RenderedPrompt(pieces, text, (tuple(range(len(request.messages))),))
    messages = tuple(_with_known_ids(message, vocab.size) for message in request.messages)
    last_ids = (message.token_ids[-1] for message in messages if message.token_ids)
    return template.render(messages, end_texts=vocab.end_texts(last_ids))


def _with_known_ids(message: Message, size: int) -> Message:
    """Returns a message without ids that the vocabulary does not have: llama.cpp aborts the process on one."""
    ids = message.token_ids
    return message if not ids or 0 <= min(ids) <= max(ids) < size else replace(message, token_ids=())


def piece_ids(piece: Piece, vocab: Tokenizer) -> Sequence[int]:
    """Returns the ids of one piece."""
    return piece.token_ids or (vocab.tokenize(piece.text, special=piece.special) if piece.text else ())


def lacks_bos(vocab: Tokenizer, first: Sequence[int]) -> bool:
    """Returns True where the model wants its first token before a prompt that begins with these ids."""
    return vocab.add_bos and list(first) != [vocab.bos]
