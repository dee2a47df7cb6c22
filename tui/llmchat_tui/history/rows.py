"""Values to columns and back, checked on the way in and on the way out. Knows no query and no table."""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from llmchat_tui.history.faults import MalformedRow
from llmchat_tui.history.values import Conversation, Node, StoredMessage, left_out_of

TITLE_LENGTH = 80
_ID_BYTES = 4


def clean(text: str) -> str:
    """Returns text that can be UTF-8: lone surrogates, as argv and file names may hold, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def title_of(text: str) -> str:
    """Returns the first line of a text that says something, at most 80 characters."""
    return first_line(clean(text)) or "(no text)"


def first_line(text: str) -> str:
    """Returns the first line of a text that says something, at most 80 characters; empty where none does."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line), "")[:TITLE_LENGTH].rstrip()


def pack_ids(token_ids: Sequence[int]) -> bytes:
    """Returns token ids as little-endian int32, a quarter of their size as JSON."""
    return _little_endian(array("i", token_ids)).tobytes()


def unpack_ids(blob: bytes) -> tuple[int, ...]:
    """Returns the token ids of a blob.

    Raises:
        MalformedRow: its length is no multiple of 4.
    """
    if len(blob) % _ID_BYTES:
        raise MalformedRow(f"token ids of {len(blob)} bytes")
    ids = array("i")
    ids.frombytes(blob)
    return tuple(_little_endian(ids))


def pack_object(value: Mapping[str, Any]) -> str:
    """Returns a mapping of JSON values as text."""
    return clean(json.dumps(dict(value), ensure_ascii=False, separators=(",", ":")))


def unpack_object(text: str) -> dict[str, Any]:
    """Returns the mapping of a JSON text.

    Raises:
        MalformedRow: it is not JSON, or not an object.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise MalformedRow("settings, sampling or statistics that are not JSON") from error
    if not isinstance(value, dict):
        raise MalformedRow("settings, sampling or statistics that are no JSON object")
    return value


def pack_names(names: Sequence[str]) -> str:
    """Returns names as a JSON text."""
    return clean(json.dumps(list(names), ensure_ascii=False, separators=(",", ":")))


def unpack_names(text: str) -> tuple[str, ...]:
    """Returns the names of a JSON text.

    Raises:
        MalformedRow: it is not JSON, or no list of names.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise MalformedRow("names that are not JSON") from error
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise MalformedRow("names that are no list of texts")
    return tuple(value)


def conversation(row: sqlite3.Row) -> Conversation:
    """Returns the conversation of a row of the view `chats`.

    Raises:
        MalformedRow: a column holds what `pack_object` or `pack_names` never wrote.
    """
    return Conversation(
        id=row["id"],
        title=row["title"],
        system=row["system"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        leaf_id=row["leaf_id"] or "",
        message_count=row["message_count"],
        sampling=unpack_object(row["sampling"]),
        collections=unpack_names(row["documents"]),
        recipe=unpack_object(row["recipe"]),
    )


def message(row: sqlite3.Row) -> StoredMessage:
    """Returns the message of a row of the table `messages`.

    Raises:
        MalformedRow: a column holds what `pack_ids` or `pack_object` never wrote.
    """
    return StoredMessage(
        id=row["id"],
        conversation_id=row["conversation_id"],
        parent_id=row["parent_id"] or "",
        role=row["role"],
        text=row["text"],
        status=row["status"],
        created_at=row["created_at"],
        token_ids=unpack_ids(row["token_ids"]),
        model_key=row["model_key"],
        settings=unpack_object(row["settings"]),
        stats=unpack_object(row["stats"]),
        error=row["error"],
    )


def node(row: sqlite3.Row) -> Node:
    """Returns the node of a row that has the beginning of a text as `start` and the size of its ids as `id_bytes`.

    Raises:
        MalformedRow: the settings hold what `pack_object` never wrote.
    """
    settings = row["settings"]
    return Node(
        id=row["id"],
        parent_id=row["parent_id"] or "",
        role=row["role"],
        line=first_line(row["start"]),
        created_at=row["created_at"],
        status=row["status"],
        tokens=row["id_bytes"] // _ID_BYTES,
        # Most replies saw everything, and 10,000 settings take 60 ms to read.
        left_out=left_out_of(unpack_object(settings)) if '"left_out"' in settings else 0,
    )


def _little_endian(ids: array[int]) -> array[int]:
    if sys.byteorder == "big":
        ids.byteswap()
    return ids
