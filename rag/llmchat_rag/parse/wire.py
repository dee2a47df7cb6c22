"""What the pool and a parser process say to each other: JSON behind its length, through two pipes.

Knows no processes. An answer comes from a process that has read a hostile file, so nothing in it is believed unchecked.
"""

from __future__ import annotations

import json
from typing import cast, get_args

from llmchat_rag.types import Block, BlockKind, Parsed, Refused

READY = b"\x06"
"""What a process says once it is confined, in front of its first answer."""
MOST_BYTES = 256 << 20
"""Of an answer: every file of 50 MB fits, and three copies of it do no harm."""
_LENGTH = 8
_KINDS = frozenset(get_args(BlockKind))


class BadAnswer(Exception):
    """A parser process says what no parser says."""


def framed(value: object) -> bytes:
    """Returns a message as it is sent."""
    body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
    return len(body).to_bytes(_LENGTH, "big") + body


def framed_length(received: bytes | bytearray) -> int | None:
    """Returns how long the message is that begins here, with its length; None where too little has come.

    Raises:
        BadAnswer: no answer is as long.
    """
    if len(received) < _LENGTH:
        return None
    length = int.from_bytes(received[:_LENGTH], "big")
    if length > MOST_BYTES:
        raise BadAnswer
    return _LENGTH + length


def unframed(received: bytes | bytearray) -> object:
    """Returns the message of a whole frame.

    Raises:
        BadAnswer: it is no JSON.
    """
    try:
        return json.loads(str(memoryview(received)[_LENGTH:], "utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadAnswer from error


def answer_of(outcome: Parsed | Refused, *, last: bool = False) -> dict[str, object]:
    """Returns an outcome as it is sent.

    Args:
        outcome: what became of the file.
        last: the process ends after this answer.
    """
    if isinstance(outcome, Refused):
        return {"refused": outcome.reason, "failed": outcome.failed, "last": last}
    return {
        "text": outcome.text,
        "blocks": [(b.kind, b.start, b.end, b.level, b.page, b.name) for b in outcome.blocks],
        "title": outcome.title,
        "parser": outcome.parser,
        "version": outcome.version,
        "own_lines": outcome.own_lines,
        "last": last,
    }


def outcome_of(answer: object) -> tuple[Parsed | Refused, bool]:
    """Returns what an answer says, and whether it is the last one of its process.

    Raises:
        BadAnswer: it is none.
    """
    if not isinstance(answer, dict):
        raise BadAnswer
    fields = cast(dict[str, object], answer)
    last = fields.get("last") is True
    match fields:
        case {"refused": str(reason), "failed": bool(failed)}:
            return Refused(reason, failed), last
        case {
            "text": str(text),
            "blocks": list(rows),
            "title": str(title),
            "parser": str(parser),
            "version": int(version),
            "own_lines": bool(own_lines),
        }:
            return Parsed(text, _blocks(rows, len(text)), title, parser, version, own_lines), last
    raise BadAnswer


def _blocks(rows: list[object], length: int) -> tuple[Block, ...]:
    """Returns the blocks; they have to be in order, disjoint and inside the text."""
    blocks: list[Block] = []
    at = 0
    for row in rows:
        match row:
            case [str(kind), int(start), int(end), int(level), int(page), str(name)] if kind in _KINDS:
                if not at <= start < end <= length:
                    raise BadAnswer
                blocks.append(Block(cast(BlockKind, kind), start, end, level, page, name))
                at = end
            case _:
                raise BadAnswer
    return tuple(blocks)
