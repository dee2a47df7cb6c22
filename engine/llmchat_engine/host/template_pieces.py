"""Tells a template's own text from the messages in it, so that a `<|im_start|>` in a question stays only text.

Knows two renderings of the same template and nothing of Jinja. In the *skeleton* each message was one character out of
the private use area, so what surrounds those characters was written by a template that never saw a message. The pieces
are right if putting the messages back into the skeleton gives the plain rendering; if it does not, there are none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from llmchat_engine.types import Message

if TYPE_CHECKING:
    from llmchat_engine.host.thought_forms import ThoughtForm

END_OF_THOUGHT = "</think>"

_PRIVATE_USE = range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE)
_TRIMS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    str.strip,
    str.rstrip,
    str.lstrip,
    lambda text: text.strip("\n"),
    lambda text: text.rstrip("\n"),
    lambda text: text.lstrip("\n"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a prompt that is tokenised in one way."""

    text: str
    special: bool
    """True for the template's own text, where `<|im_end|>` is a token; False for what people or models wrote."""
    token_ids: tuple[int, ...] = ()
    """For a reply of the same model: its ids, to be used as they are."""
    message: int | None = None
    """Which of the messages it is, by index; None for the template's own text."""


@dataclass(frozen=True, slots=True)
class Replies:
    """Whose token ids may be used as they are, and which of them the template writes itself."""

    model_key: str
    end_texts: Mapping[int, str]
    thoughts: ThoughtForm | None = None
    keep_thoughts: bool = False

    def whole(self, message: Message) -> tuple[int, ...]:
        """Returns the ids of a reply without the end-of-generation token, or none."""
        ids = message.token_ids
        if message.role != "assistant" or message.model_key != self.model_key:
            return ()
        return ids[:-1] if ids and ids[-1] in self.end_texts else ids

    def ids(self, message: Message) -> tuple[int, ...]:
        """Returns the ids of an earlier reply as they stand in the prompt, or none: without its thought, or with it."""
        ids, thought = self.whole(message), max(0, message.thought_tokens)
        if not (thought and ids and self.keep_thoughts):
            return ids[thought:]
        return self.thoughts.whole(ids, thought) if self.thoughts else ids  # a chain of thought has no marks

    def heading(self, message: Message) -> str:
        """Returns what the template writes before an earlier reply although the reply's ids hold it."""
        kept = self.keep_thoughts and message.thought_tokens > 0 and self.whole(message)
        return self.thoughts.heading if kept and self.thoughts else ""


def without_thoughts(messages: Sequence[Message]) -> list[Message]:
    """Returns the messages with each reply cut down to its answer, for templates that rewrite thoughts."""
    return [
        Message("assistant", message.text.rpartition(END_OF_THOUGHT)[2].strip()) if _has_thought(message) else message
        for message in messages
    ]


def hide(messages: Sequence[Message], template: str) -> tuple[list[Message], dict[str, tuple[int, Message]]]:
    """Returns the messages with a mark in place of each text, and what each mark stands for: index and message.

    Blank texts stay as they are: templates ask whether there is a text, and blanks cannot do harm. No mark occurs in
    the template or in a text; the first one is drawn by chance, so that no template can know it.
    """
    marks = _unused_characters("".join([template, *(message.text for message in messages)]))
    hidden: list[Message] = []
    stands_for: dict[str, tuple[int, Message]] = {}
    for index, message in enumerate(messages):
        if message.text.strip():
            mark = next(marks)
            stands_for[mark] = index, message
            hidden.append(replace(message, text=mark))
        else:
            hidden.append(message)
    return hidden, stands_for


def left_out(skeleton: str, stands_for: Mapping[str, tuple[int, Message]]) -> list[Message]:
    """Returns the messages that the template did not write at all."""
    present = set(skeleton)
    return [message for mark, (_, message) in stands_for.items() if mark not in present]


def split(
    skeleton: str, plain: str, stands_for: Mapping[str, tuple[int, Message]], replies: Replies
) -> tuple[Piece, ...] | None:
    """Returns the pieces of the plain rendering, or None where the skeleton does not explain it."""
    if not stands_for:
        return (Piece(plain, special=True),) if skeleton == plain else None
    own_texts = re.split(f"[{''.join(stands_for)}]", skeleton)
    marks = [character for character in skeleton if character in stands_for]
    pieces = [Piece(own_texts[0], special=True)]
    position = len(own_texts[0])
    for mark, own_text in zip(marks, own_texts[1:], strict=True):
        piece = _match(*stands_for[mark], plain, position, own_text, replies)
        if piece is None:
            return None
        position += len(piece.text) + len(own_text)
        heading = replies.heading(stands_for[mark][1]) if piece.token_ids else ""
        if heading and pieces[-1].text.endswith(heading):
            pieces[-1] = Piece(pieces[-1].text.removesuffix(heading), special=True)
            piece = replace(piece, text=heading + piece.text)
        pieces += [piece, Piece(own_text, special=True)]
    fits = position == len(plain) and plain.startswith(own_texts[0])
    return tuple(piece for piece in pieces if piece.text) if fits else None


def _match(index: int, message: Message, plain: str, position: int, following: str, replies: Replies) -> Piece | None:
    """Returns the piece that a message became at a place in the plain rendering."""
    for text, whole in _cuts(message):
        if plain.startswith(text, position) and plain.startswith(following, position + len(text)):
            return Piece(text, special=False, token_ids=replies.ids(message) if whole else (), message=index)
    return None


def _cuts(message: Message) -> Iterator[tuple[str, bool]]:
    """Yields what templates make of a text, and whether that is still the whole of it but for blanks at the ends."""
    for trim in _TRIMS:
        yield trim(message.text), True
    if _has_thought(message):
        answers = message.text.rpartition(END_OF_THOUGHT)[2], message.text.partition(END_OF_THOUGHT)[2]
        for answer in answers:
            for trim in _TRIMS:
                yield trim(answer), False


def _has_thought(message: Message) -> bool:
    return message.role == "assistant" and END_OF_THOUGHT in message.text


def _unused_characters(texts: str) -> Iterator[str]:
    used = set() if texts.isascii() else set(texts)
    first, second = _PRIVATE_USE
    start = secrets.randbelow(len(first))
    codes = chain(islice(first, start, None), second, islice(first, start))
    return (character for character in map(chr, codes) if character not in used)
