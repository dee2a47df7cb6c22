"""Questions to a host that are answered by one message: a prompt, ids, pieces, lengths.

Knows the wire and one connection; not how a host is reached, nor the requests that have events on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from llmchat_engine.answers import TokenPiece
from llmchat_engine.errors import HostUnreachable
from llmchat_engine.events import Measured, Queued, Rendered
from llmchat_engine.protocol import (
    Failure,
    Ids,
    Measure,
    News,
    PieceList,
    Pieces,
    Render,
    Tokenize,
    to_error,
)
from llmchat_engine.types import new_request_id

if TYPE_CHECKING:
    from llmchat_engine.connection import Connection

_Question = Render | Measure | Tokenize | Pieces
_Answer = TypeVar("_Answer", Rendered, Measured, Ids, PieceList)


def ask(connection: Connection, question: _Question, kind: type[_Answer]) -> _Answer:
    """Returns the answer to a question, however long it takes.

    Args:
        connection: to a host that has loaded its model.
        question: what is asked.
        kind: what the answer has to be.

    Raises:
        EngineError: the host sent one, or has gone.
        HostUnreachable: it answered something else.
    """
    news = _answer(connection, question)
    if isinstance(news, Failure):
        raise to_error(news)
    if not isinstance(news, kind):
        why = f"{type(news).__name__} in place of {kind.__name__}"
        raise HostUnreachable("the engine answered something else", why, "llmchat stop")
    return news


def pieces_of(answer: PieceList) -> tuple[TokenPiece, ...]:
    """Returns the pieces that an answer is about, one by one.

    Raises:
        HostUnreachable: it lacks one.
    """
    known = {piece.id: piece for piece in answer.known}
    try:
        return tuple(known[token] for token in answer.ids)
    except KeyError as error:
        raise HostUnreachable("the engine answered something else", f"no piece of {error}", "llmchat stop") from error


def _answer(connection: Connection, question: _Question) -> News:
    request_id = new_request_id()
    connection.open(request_id)
    try:
        connection.send(question, request_id)
        while isinstance(news := connection.wait(request_id), Queued):
            pass
        return news
    finally:
        connection.forget(request_id)
