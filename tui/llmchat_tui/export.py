"""A chat as a file for people (Markdown) or for programs (JSON, nothing left out).

Knows no SQL, no terminal and no file. The text is exact; what is shown on a terminal is sanitised there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from llmchat_tui.history.values import Conversation, StoredMessage
from llmchat_tui.sources import SIGNS, sources_of, verdicts_of

FORMAT = "llmchat-chat"
VERSION = 1


class Export(msgspec.Struct, frozen=True):
    """The JSON export: the conversation and the whole tree of its messages."""

    format: str
    version: int
    conversation: Conversation
    messages: tuple[StoredMessage, ...]


def to_json(conversation: Conversation, messages: Iterable[StoredMessage]) -> bytes:
    """Returns everything that is known of a chat, token ids, settings and statistics too."""
    export = Export(FORMAT, VERSION, conversation, tuple(messages))
    return msgspec.json.format(msgspec.json.encode(export), indent=2) + b"\n"


def to_markdown(conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
    """Returns one path through a chat as Markdown with a YAML head.

    Args:
        conversation: the chat.
        messages: the path, first question first.
    """
    head = {
        "title": conversation.title,
        "id": conversation.id,
        "created": utc_time(conversation.created_at),
        "updated": utc_time(conversation.updated_at),
        "models": sorted({name for message in messages if (name := model_name(message))}),
    }
    # JSON values are YAML values, so a title cannot break out of the head.
    lines = [f"{key}: {msgspec.json.encode(value).decode()}" for key, value in head.items()]
    return "\n".join(["---", *lines, "---", "", transcript(conversation, messages)])


def transcript(conversation: Conversation, messages: Iterable[StoredMessage]) -> str:
    """Returns the messages of a path under a heading each, the system prompt first."""
    parts = [f"# {_one_line(conversation.title)}"]
    if conversation.system:
        parts.append(f"## System\n\n{conversation.system}")
    for message in messages:
        parts.append(f"## {_speaker(message)}\n\n{message.text}")
        parts += filter(None, (_sources(message), _doubts(message)))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def model_name(message: StoredMessage) -> str:
    """Returns the name of the model that wrote a message; empty where it is not known."""
    name: Any = message.settings.get("model", "")
    return name if isinstance(name, str) else ""


def utc_time(seconds: float) -> str:
    """Returns a Unix time as ISO 8601; empty where no calendar has it."""
    return _formatted(time.gmtime, "%Y-%m-%dT%H:%M:%SZ", seconds)


def local_time(seconds: float) -> str:
    """Returns a Unix time to the minute, as the user's clock shows it; empty where no calendar has it."""
    return _formatted(time.localtime, "%Y-%m-%d %H:%M", seconds)


def _formatted(calendar: Any, pattern: str, seconds: float) -> str:
    try:
        return time.strftime(pattern, calendar(seconds))
    except (OverflowError, ValueError, OSError):  # a clock that jumped far
        return ""


def _speaker(message: StoredMessage) -> str:
    """Returns who speaks, and how the reply ended where it did not end by itself."""
    if message.role == "user":
        return "You"
    ending = "" if message.status == "complete" else f" ({message.status})"
    return (_one_line(model_name(message)) or "Model") + ending


def _sources(message: StoredMessage) -> str:
    """Returns what the numbers in a reply mean."""
    named = [
        f"- [{s.n}] {_code(s.source)}" + f" ({_code(s.collection)})" * bool(s.collection)
        for s in sources_of(message.settings)
    ]
    return "\n".join(["**Sources**", "", *named]) if named else ""


def _doubts(message: StoredMessage) -> str:
    """Returns how many sentences of a reply are in what it cites, and each one that is not."""
    verdicts = verdicts_of(message.settings)
    if not verdicts:
        return ""
    counts = [f"{sum(v.mark == mark for v in verdicts)} {sign}" for mark, sign in SIGNS.items()]
    found = [
        f"- {SIGNS.get(v.mark, '?')} {_one_line(message.text[v.start : v.end])} — {_one_line(v.why)}"
        + (f" (see [{v.better}])" if v.better else "")
        for v in verdicts
        if v.mark != "supported"
    ]
    return "\n".join([f"**Checked**: {', '.join(counts)}", *([""] if found else []), *found])


def _code(text: str) -> str:
    """Returns a name as code, whatever is in it."""
    return f"`{_one_line(text).replace('`', chr(39))}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
