"""ChatGPT's conversations.json: each chat is a `mapping` of nodes with parents, and a `current_node`.

Takes what people and the model said as text. Other types of content are counted, and named by their type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from llmchat_tui.history import Role
from llmchat_tui.imports.tree import Said, make_chat
from llmchat_tui.imports.values import BROKEN, Chat, LeftOut

UNREADABLE_CHAT = "chats in a form that is not known"
UNREADABLE_MESSAGE = "messages in a form that is not known"
TOOLS = "messages to and from tools"
_EVERYBODY = (None, "", "all")
_DONE = (None, "", "finished_successfully")


class _Author(msgspec.Struct):
    role: str = ""


class _Content(msgspec.Struct):
    content_type: str = "text"
    parts: list[Any] | None = None
    text: str | None = None


class _Metadata(msgspec.Struct):
    is_visually_hidden_from_conversation: bool | None = None
    model_slug: str | None = None


class _Message(msgspec.Struct):
    author: _Author
    content: _Content | None = None
    create_time: float | None = None
    status: str | None = None
    recipient: str | None = None
    """Whom the model wrote to: everybody, or a tool."""
    metadata: _Metadata | None = None


class _Node(msgspec.Struct):
    parent: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Conversation(msgspec.Struct):
    mapping: dict[str, _Node]
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None


def read_chats(entries: Iterable[msgspec.Raw], left_out: LeftOut) -> list[Chat]:
    """Returns the chats of a download; one that cannot be read is counted, and the others are taken."""
    chats = []
    for entry in entries:
        try:
            conversation = msgspec.json.decode(entry, type=_Conversation)
        except BROKEN:
            left_out.add(UNREADABLE_CHAT, "")
            continue
        title = conversation.title or ""
        said = list(_said(conversation, left_out))
        if said:
            chats.append(make_chat(title, "", conversation.update_time or 0.0, said, left_out))
        else:
            left_out.add("chats without any text", title)
    return chats


def _said(conversation: _Conversation, left_out: LeftOut) -> Iterator[Said]:
    """Yields the messages, parents first and the current branch last; what is skipped hands its children on."""
    title = conversation.title or ""
    current = _path_to(conversation.current_node, conversation.mapping)
    children: dict[str, list[str]] = {}
    for name, node in conversation.mapping.items():
        parent = node.parent if node.parent in conversation.mapping else None
        children.setdefault(parent or "", []).append(name)
    # A circle hangs at no root, so it is never walked.
    waiting = [(name, "") for name in _current_first(children.pop("", []), current)]
    while waiting:
        name, kept_parent = waiting.pop()
        node = conversation.mapping[name]
        message = _message(node.message, title, left_out)
        text = _text(message, title, left_out) if message else ""
        if message and text.strip():
            yield _as_said(message, name, kept_parent, text, conversation.create_time or 0.0)
            kept_parent = name
        waiting += [(child, kept_parent) for child in _current_first(children.pop(name, []), current)]


def _path_to(name: str | None, mapping: dict[str, _Node]) -> set[str]:
    """Returns the nodes from the root to this one."""
    path: set[str] = set()
    while name in mapping and name not in path:
        path.add(name)
        name = mapping[name].parent
    return path


def _current_first(names: list[str], current: set[str]) -> list[str]:
    """Returns siblings as a stack wants them: the oldest on top, the one in use at the bottom."""
    in_use = [name for name in names if name in current]
    return in_use + [name for name in reversed(names) if name not in current]


def _message(raw: msgspec.Raw, title: str, left_out: LeftOut) -> _Message | None:
    """Returns a message that is part of the talk, or None."""
    try:
        message = msgspec.json.decode(raw, type=_Message | None)
    except BROKEN:
        left_out.add(UNREADABLE_MESSAGE, title)
        return None
    if message is None or (message.metadata and message.metadata.is_visually_hidden_from_conversation):
        return None
    if message.author.role == "tool" or (message.author.role == "assistant" and message.recipient not in _EVERYBODY):
        left_out.add(TOOLS, title)
        return None
    return message if message.author.role in ("user", "assistant") else None


def _text(message: _Message, title: str, left_out: LeftOut) -> str:
    """Returns the text of a message; the parts that are none are counted by their type."""
    content = message.content or _Content()
    if content.parts is None:
        if content.text is None:
            left_out.add(f"content of type {content.content_type[:40]}", title)
        return content.text or ""
    texts = []
    for part in content.parts:
        # The words of a spoken message are a part with a text.
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            texts.append(text)
        elif part is not None:
            kind = part.get("content_type") if isinstance(part, dict) else type(part).__name__
            left_out.add(f"parts of type {str(kind)[:40]}", title)
    return "\n".join(texts)


def _as_said(message: _Message, name: str, parent: str, text: str, created_at: float) -> Said:
    return Said(
        id=name,
        parent_id=parent,
        role=cast(Role, message.author.role),
        text=text,
        created_at=message.create_time or created_at,
        status="complete" if message.status in _DONE else "interrupted",
        model=(message.metadata.model_slug or "") if message.metadata else "",
    )
