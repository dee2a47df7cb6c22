"""Files of chats as other programs write them, and how to look at what an import makes of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from llmchat_tui.history import StoredMessage, check_tree
from llmchat_tui.imports import Imported, read_export

Short = list[tuple[str, str, str]]
"""Messages as (role, text, text of the parent)."""


def read(value: object, name: str = "file.json") -> Imported:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    imported = read_export(data, name)
    for _, messages in imported.chats:
        check_tree(messages)
    return imported


def short(messages: tuple[StoredMessage, ...]) -> Short:
    texts = {message.id: message.text for message in messages} | {"": ""}
    return [(message.role, message.text, texts[message.parent_id]) for message in messages]


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def node(parent: str | None, role: str = "", *parts: Any, **more: Any) -> dict[str, Any]:
    """Returns a node of ChatGPT's mapping; without a role it has no message."""
    message = {"author": {"role": role}, "content": {"content_type": "text", "parts": list(parts)}, **more}
    return {"parent": parent, "children": [], "message": message if role else None}


def chatgpt(mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "Rome", "create_time": 5.0, "update_time": 50.0, "mapping": mapping, **more}


TURN = {"root": node(None), "q": node("root", "user", "Where?"), "r": node("q", "assistant", "There.")}
