"""From messages to the ids of a prompt: template pieces tokenised, replies taken verbatim, BOS exactly once.

Knows a tokeniser and a template; no cache, no sockets. The template's own text is tokenised with special tokens on,
everything that people or models wrote with special tokens off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Protocol

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.host.template import ChatTemplate, Piece, RenderedPrompt
from llmchat_engine.host.template_pieces import END_OF_THOUGHT
from llmchat_engine.types import Message, Request, Thinking


class Tokenizer(Protocol):
    """What a prompt needs of a `llama.Vocab`."""

    bos: int
    add_bos: bool
    size: int

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Returns the ids of a text."""

    def end_texts(self, tokens: Iterable[int]) -> dict[int, str]:
        """Returns the template text of those ids that end a generation."""


REMEMBERED = 1 << 18
"""Ids of pieces that are kept: of a chat's next turn only what is new is tokenised, 26 tokens and not 3,000."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given."""

    text: str
    ids: tuple[int, ...]
    starts: tuple[int, ...] = ()
    """Where each message of the request begins in `ids`; -1 for one that is not in there or blank."""
    notice: str = ""
    opening: int = 0
    """Where in `ids` the template's own text begins that opens the reply."""
    begun: int = 0
    """Where the reply begins that is continued; the end where none is."""

    def before(self, message: int) -> int:
        """Returns how many ids stand before a message; 0 where it is not there."""
        return max(0, self.starts[message]) if message < len(self.starts) else 0


class PieceIds:
    """The ids of pieces; those asked for last are remembered under their text."""

    def __init__(self, vocab: Tokenizer, remembered: int = REMEMBERED) -> None:
        self.vocab, self._room = vocab, remembered
        self._known: OrderedDict[tuple[str, bool], Sequence[int]] = OrderedDict()

    def of(self, piece: Piece) -> Sequence[int]:
        """Returns the ids of one piece: a reply's own, else its text tokenised."""
        if piece.token_ids or not piece.text:
            return piece.token_ids
        key = piece.text, piece.special
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        ids = self._known[key] = piece_ids(piece, self.vocab)
        self._room -= len(ids)
        while self._room < 0 and self._known:
            self._room += len(self._known.popitem(last=False)[1])
        return ids


def build_prompt(request: Request, template: ChatTemplate, pieces: PieceIds) -> Prompt:
    """Returns the prompt of a request.

    Raises:
        RequestInvalid: there is nothing to complete.
        TemplateError: the model's template failed.
    """
    laid_out = lay_out(request, template, pieces.vocab)
    head = _bos(laid_out, pieces)
    ids, opening = [*head], len(head)
    starts = [-1] * len(request.messages)
    begun = len(starts) - 1 if is_continued(request) else -1
    for piece in laid_out.pieces:
        origin = () if piece.message is None else laid_out.origins[piece.message]
        for index in origin:
            starts[index] = len(ids)
        ids += pieces.of(piece)
        if origin and begun not in origin:
            opening = len(ids)
    if not ids:
        raise RequestInvalid("the prompt is empty", "there is nothing to complete")
    if request.raw and 0 < request.shared < len(starts):
        starts[request.shared] = len(head) + _text_before(request, ids[len(head) :], pieces)
    end = starts[begun] if begun >= 0 else len(ids)
    return Prompt(laid_out.text, tuple(ids), tuple(starts), laid_out.notice, opening, end)


def _text_before(request: Request, ids: Sequence[int], pieces: PieceIds) -> int:
    """Returns how many ids of a text without a template are those of its shared messages.

    It is tokenised as a whole, since a tokeniser may join what stands on both sides of a seam.
    """
    shared = "".join(message.text for message in request.messages[: request.shared])
    alone = pieces.of(Piece(shared, special=False))
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ids, alone, strict=False)))


def is_continued(request: Request) -> bool:
    """Returns whether the last message is a reply that the model goes on with."""
    return not request.raw and bool(request.messages) and request.messages[-1].role == "assistant"


def _bos(laid_out: RenderedPrompt, pieces: PieceIds) -> list[int]:
    """Returns the model's first token where the prompt does not begin with it."""
    first = next((ids[:1] for piece in laid_out.pieces if (ids := pieces.of(piece))), ())
    return [pieces.vocab.bos] if lacks_bos(pieces.vocab, first) else []


def lay_out(request: Request, template: ChatTemplate, vocab: Tokenizer) -> RenderedPrompt:
    """Returns the pieces of a request's prompt; without a template it is one piece that holds every message.

    A reply at the end is to be continued: it stands behind the rest as it is, and the template does not see it.

    Raises:
        RequestInvalid: a reply is to be continued, and nothing comes before it.
        TemplateError: the model's template failed.
    """
    if request.raw:
        text = "".join(message.text for message in request.messages)
        whole = (Piece(text, special=False, message=0),) if request.messages else ()
        return RenderedPrompt(whole, text, (tuple(range(len(request.messages))),))
    messages = tuple(_with_known_ids(message, vocab.size) for message in request.messages)
    begun = messages[-1] if is_continued(request) else None
    if begun is not None:
        messages = messages[:-1]
        if not messages:
            raise RequestInvalid("there is nothing to go on with", "a reply follows a question")
    last_ids = (message.token_ids[-1] for message in request.messages if message.token_ids)
    end_texts = vocab.end_texts(token for token in last_ids if token < vocab.size)
    think, keep = _thinking(request, begun, template), request.keep_thoughts
    rendered = template.render(messages, end_texts=end_texts, now=request.now or None, think=think, keep_thoughts=keep)
    return rendered if begun is None else _with_begun(rendered, begun, len(messages), template, end_texts)


def _thinking(request: Request, begun: Message | None, template: ChatTemplate) -> Thinking:
    """Returns how the template is to open the reply: a thought that has opened itself is closed where it stands."""
    if request.think != "off" or begun is None or begun.thought_tokens <= 0 or template.thoughts is None:
        return request.think
    form, thought = template.thoughts, begun.token_ids[: begun.thought_tokens]
    return "on" if form.opening and form.has_opened(thought) else "off"


def _with_begun(
    rendered: RenderedPrompt, begun: Message, index: int, template: ChatTemplate, end_texts: Mapping[int, str]
) -> RenderedPrompt:
    """Returns a prompt with the reply that is continued at its end."""
    ids, form, own = template.own_ids(begun, end_texts), template.thoughts, rendered.pieces[-1:]
    pieces = [Piece(begun.text, False, ids, len(rendered.origins))]
    answers = begun.text.strip() and not (begun.thought_tokens > 0 and ids) and END_OF_THOUGHT not in begun.text
    if answers and form and own and own[0].special and (missing := form.into_answer(own[0].text)):
        pieces.insert(0, Piece(missing, special=True))
    text = "".join([rendered.text, *(piece.text for piece in pieces)])
    return replace(rendered, pieces=(*rendered.pieces, *pieces), text=text, origins=(*rendered.origins, (index,)))


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
