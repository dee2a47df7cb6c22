"""What an import gives, and the list of what it could not take along. Knows no format."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from llmchat_tui.history import Conversation, StoredMessage

Chat = tuple[Conversation, tuple[StoredMessage, ...]]
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: wrong JSON or types and lone surrogates, bytes that are no UTF-8, too many brackets."""
_TITLE_LENGTH = 60
_MAX_KINDS = 40
"""A kind may be named by the file, and a hostile one names a million."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The chats of a file, ready for `History.add`."""

    chats: tuple[Chat, ...]
    left_out: tuple[str, ...]
    """A sentence for each kind of thing that was left out or repaired. Parts of it are data."""


class LeftOut:
    """Counts what is left out by kind, so that a thousand pictures are one sentence."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, what: str, title: str) -> None:
        """Counts one more, in the chat with this title."""
        if len(self._found) >= _MAX_KINDS and what not in self._found:
            what = "other things"
        count, first = self._found.get(what, (0, title))
        self._found[what] = (count + 1, first)

    def sentences(self) -> tuple[str, ...]:
        """Returns one sentence for each kind."""
        return tuple(f"{what}: {count:,}{_place(count, title)}" for what, (count, title) in self._found.items())


def _place(count: int, title: str) -> str:
    """Returns where the first one was."""
    words = " ".join(title.split())[:_TITLE_LENGTH]
    return f'{", the first" if count > 1 else ""} in "{words}"' if words else ""
