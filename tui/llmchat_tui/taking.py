"""Takes chats from files over into the history, but for those that are here already. Knows no format and no screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmchat_tui.history.rows import clean, title_of

if TYPE_CHECKING:
    from pathlib import Path

    from llmchat_tui.history import Conversation, History, StoredMessage
    from llmchat_tui.imports import Chat

ALL = 1 << 31
"""More chats than any history has."""
_Key = tuple[str, float]


@dataclass(slots=True)
class Taken:
    """What became of the chats so far; also right where a full disk ended it half way."""

    new: list[Conversation] = field(default_factory=list)
    known: list[Conversation] = field(default_factory=list)
    """Those here that the file holds too."""

    def __str__(self) -> str:
        """Returns it as a sentence."""
        count, known = len(self.new), len(self.known)
        text = f"{count:,} chat{' was' if count == 1 else 's were'} taken over"
        return f"{text}; {known:,} {'was' if known == 1 else 'were'} here already" if known else text


def take_over(chats: Iterable[Chat], history: History, here: Iterable[Conversation], taken: Taken) -> None:
    """Adds chats to the history and tells `taken` of each at once.

    Args:
        chats: from files.
        history: where they go.
        here: the chats that are there already.
        taken: what is told.

    Raises:
        StorageError: the history cannot be written; what came before stays.
    """
    known_chats = _Here(history, here)
    for conversation, messages in chats:
        if known := known_chats.find(conversation, messages):
            taken.known.append(known)
        else:
            added = history.conversation(history.add(conversation, messages))
            known_chats.learn(added)
            taken.new.append(added)


def read_import(path: Path, limit: int) -> bytes:
    """Returns the bytes of a file, one more than `limit` at most.

    Raises:
        InputError: it is a pipe, a device or a directory.
        UsageError: it cannot be read.
    """
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import read_regular

    try:
        return read_regular(path, limit)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"{path} cannot be read", why) from error


class _Here:
    """The chats of the history, to be asked whether one is among them."""

    def __init__(self, history: History, here: Iterable[Conversation]) -> None:
        self._history = history
        self._by_id: dict[str, Conversation] = {}
        self._by_start: dict[_Key, list[Conversation]] = {}
        for conversation in here:
            self.learn(conversation)

    def learn(self, conversation: Conversation) -> None:
        """Takes note of one more."""
        self._by_id[conversation.id] = conversation
        self._by_start.setdefault(_key(conversation), []).append(conversation)

    def find(self, conversation: Conversation, messages: Sequence[StoredMessage]) -> Conversation | None:
        """Returns the chat that holds all of this one; it may have gone on since the file was written."""
        same = self._by_id.get(conversation.id)
        if same and same.message_count >= len(messages):
            return same
        texts = [clean(message.text) for message in messages]
        alike = (chat for chat in self._by_start.get(_key(conversation), ()) if chat.message_count >= len(texts))
        return next((chat for chat in alike if self._texts(chat.id)[: len(texts)] == texts), None)

    def _texts(self, conversation_id: str) -> list[str]:
        return [message.text for message in self._history.messages(conversation_id)]


def _key(conversation: Conversation) -> _Key:
    return title_of(conversation.title), conversation.created_at
