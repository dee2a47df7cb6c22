"""Our own JSON export, as `export.to_json` writes it: everything comes back, but for what could do harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from llmchat_tui.errors import ImportRefused
from llmchat_tui.export import VERSION, Export
from llmchat_tui.history import StoredMessage, check_tree
from llmchat_tui.imports.values import Chat, LeftOut
from llmchat_tui.settings import usable_sampling

_MAX_DEPTH = 16
"""Levels of settings and statistics. Ours have two; JSON encoders give up at about 1,000."""


class _Version(msgspec.Struct):
    version: int = 0


def read_chat(text: bytes, left_out: LeftOut) -> Chat:
    """Returns the chat of one export.

    Raises:
        ImportRefused: a newer llmchat made it, or its content is not what llmchat writes.
    """
    try:
        version = msgspec.json.decode(text, type=_Version).version
        if version > VERSION:
            raise ImportRefused(
                f"a newer llmchat made it (version {version}, this one knows {VERSION})", hint="update llmchat"
            )
        export = msgspec.json.decode(text, type=Export)
        check_tree(export.messages)
    except ValueError as error:  # msgspec.ValidationError too
        raise ImportRefused(f"it is an export of llmchat, but damaged: {error}") from error
    for message in export.messages:
        _refuse_harm(message)
    sampling = usable_sampling(export.conversation.sampling)
    for name in sorted(export.conversation.sampling.keys() - sampling.keys()):
        left_out.add(f"sampling value {name}, which cannot be used", export.conversation.title)
    # Ids from a file could say to the model what the text does not show: the text is tokenised anew.
    messages = tuple(replace(message, token_ids=()) for message in export.messages)
    return replace(export.conversation, sampling=sampling), messages


def _refuse_harm(message: StoredMessage) -> None:
    """Refuses what would break the database or the encoders later on."""
    if not (_is_shallow(message.settings, _MAX_DEPTH) and _is_shallow(message.stats, _MAX_DEPTH)):
        raise ImportRefused("it is an export of llmchat, but damaged: settings are nested too deeply")


def _is_shallow(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)
