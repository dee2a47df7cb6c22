"""The output of `llm logs --json`: a list of rows, each a prompt and its response, grouped here into chats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from llmchat_tui.history import ReplyStatus
from llmchat_tui.imports.tree import NO_QUESTION, Said, make_chat
from llmchat_tui.imports.values import BROKEN, Chat, LeftOut

UNREADABLE_ROW = "rows in a form that is not known"


class _Row(msgspec.Struct):
    id: str
    prompt: str | None = None
    response: str | None = None
    system: str | None = None
    model: str | None = None
    conversation_id: str | None = None
    conversation_name: str | None = None
    datetime_utc: str | None = None
    attachments: list[Any] | None = None
    prompt_fragments: list[Any] | None = None
    system_fragments: list[Any] | None = None
    tool_calls: list[Any] | None = None


def read_chats(entries: Iterable[msgspec.Raw], left_out: LeftOut) -> list[Chat]:
    """Returns the chats that the rows belong to, each in the order of time; a search puts out the best row first."""
    chats: dict[str, list[_Row]] = {}
    for entry in entries:
        try:
            row = msgspec.json.decode(entry, type=_Row)
        except BROKEN:
            left_out.add(UNREADABLE_ROW, "")
            continue
        chats.setdefault(row.conversation_id or f"row {row.id}", []).append(row)
    return [_chat(sorted(rows, key=lambda row: (_time(row), row.id)), left_out) for rows in chats.values()]


def _chat(rows: Sequence[_Row], left_out: LeftOut) -> Chat:
    title = rows[0].conversation_name or rows[0].prompt or ""
    systems = dict.fromkeys(row.system for row in rows if row.system)
    for _ in list(systems)[1:]:
        left_out.add("system prompts after the first of a chat", title)
    for row in rows:
        for name in ("attachments", "prompt_fragments", "system_fragments", "tool_calls"):
            for _ in getattr(row, name) or ():
                left_out.add(name.replace("_", " "), title)
    return make_chat(title, next(iter(systems), ""), 0.0, list(_said(rows)), left_out)


def _said(rows: Sequence[_Row]) -> Iterator[Said]:
    """Yields a question and an answer for each row, one behind the other."""
    parent = ""
    for number, row in enumerate(rows):
        question, answer = f"{number} asked", f"{number} answered"
        yield Said(question, parent, "user", row.prompt or NO_QUESTION, _time(row))
        status: ReplyStatus = "complete" if row.response else "interrupted"
        yield Said(answer, question, "assistant", row.response or "", _time(row), status, row.model or "")
        parent = answer


def _time(row: _Row) -> float:
    """Returns when a row was written as Unix time; 0 where it does not say."""
    try:
        moment = datetime.fromisoformat(row.datetime_utc or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
