"""From bytes to chats: bounds, the zip around them, and which of the formats it is. Knows no format's inside."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from llmchat_tui.errors import ImportRefused
from llmchat_tui.export import FORMAT
from llmchat_tui.imports import chatgpt, llm, own
from llmchat_tui.imports.values import BROKEN, Chat, Imported, LeftOut

MAX_BYTES = 256 << 20
"""The most that is read, also of what a zip holds."""
KNOWN = "it is no JSON export of llmchat, no conversations.json of ChatGPT and no output of llm logs --json"
HINT = "llmchat chats export REF --format json, ChatGPT's Export data, or llm logs -n 0 --json makes one"
_ZIP = b"PK\x03\x04"
_MEMBER = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_BOM = b"\xef\xbb\xbf"


class _Marks(msgspec.Struct):
    """The fields that tell the formats apart."""

    format: Any = None
    mapping: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    response: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read_export(data: bytes, name: str) -> Imported:
    """Returns the chats of a file.

    Args:
        data: the whole file: JSON, or the zip that ChatGPT sends.
        name: what to call it in an error.

    Raises:
        ImportRefused: it is too large, damaged, in no format we know, or holds no chat.
    """
    left_out = LeftOut()
    try:
        chats = [chat for text in _texts(data) for chat in _chats(text, left_out)]
    except BROKEN as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is not valid JSON: {error}"
        raise ImportRefused(f"cannot import {name}", why, HINT) from error
    except ImportRefused as error:
        raise ImportRefused(f"cannot import {name}", error.what, error.hint or HINT) from error
    if not chats:
        why = "; ".join(("there is no chat in it", *left_out.sentences()[:3]))
        raise ImportRefused(f"cannot import {name}", why, HINT)
    return Imported(tuple(chats), left_out.sentences())


def _texts(data: bytes) -> list[bytes]:
    """Returns the JSON texts of a file: itself, or what is in the zip."""
    if len(data) > MAX_BYTES:
        raise ImportRefused(f"it has more than {MAX_BYTES:,} bytes")
    if not data.startswith(_ZIP):
        return [data.removeprefix(_BOM)]
    import zipfile
    import zlib

    try:
        return _members(data)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ImportRefused(f"the zip cannot be read: {str(error) or 'it is cut off'}") from error


def _members(data: bytes) -> list[bytes]:
    """Returns the conversations in a zip; what its directory says about sizes is not believed."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = sorted((i for i in archive.infolist() if _MEMBER.fullmatch(i.filename)), key=lambda i: i.filename)
        whole = [info for info in found if info.filename.endswith("conversations.json")]
        texts: list[bytes] = []
        left = MAX_BYTES
        for info in whole[:1] or found:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ImportRefused(f"{info.filename} is packed in a way that is not known")
            with archive.open(info) as member:
                texts.append(member.read(left + 1))
            left -= len(texts[-1])
            if left < 0:
                raise ImportRefused(f"unpacked it has more than {MAX_BYTES:,} bytes")
    if not texts:
        raise ImportRefused("there is no conversations.json in the zip")
    return texts


def _chats(text: bytes, left_out: LeftOut) -> list[Chat]:
    """Returns the chats of one JSON text in whichever format it is."""
    if not text.lstrip().startswith(b"["):
        marks = _marks(text)
        if marks.format == FORMAT:
            return [own.read_chat(text, left_out)]
        entries = [msgspec.Raw(text)]
    else:
        entries = msgspec.json.decode(text, type=list[msgspec.Raw])
        marks = _marks(entries[0]) if entries else _Marks(mapping=msgspec.Raw(b""))
    if marks.mapping is not msgspec.UNSET:
        return chatgpt.read_chats(entries, left_out)
    if marks.prompt is not msgspec.UNSET and marks.response is not msgspec.UNSET:
        return llm.read_chats(entries, left_out)
    raise ImportRefused(KNOWN)


def _marks(text: bytes | msgspec.Raw) -> _Marks:
    try:
        return msgspec.json.decode(text, type=_Marks)
    except msgspec.ValidationError as error:  # JSON, but no object
        raise ImportRefused(KNOWN) from error
