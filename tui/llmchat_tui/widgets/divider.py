"""The line in a transcript where what the model sees begins. Shows what it is told; knows no engine and no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from llmchat_tui.history import StoredMessage


@dataclass(frozen=True, slots=True)
class LeftOutMark:
    """What of a path the model does not see."""

    messages: int = 0
    """So many, from the first one on; 0 where it sees all."""
    tokens: int = 0
    """What they would take; 0 where that is not known."""
    summary: bool = False
    """Whether it has a summary of them."""

    @property
    def words(self) -> str:
        """What is to be said about it."""
        what = f"{self.messages:,} messages above" if self.messages > 1 else "message above"
        does = "has a summary of" if self.summary else "does not see"
        return f"the model {does} the {what}" + (f" ({self.tokens:,} tokens)" if self.tokens else "")


def mark_of(path: Sequence[StoredMessage]) -> LeftOutMark:
    """Returns what the newest reply of a path says about it that says anything."""
    told = next((message for message in reversed(path) if message.left_out), None)
    if told is None:
        return LeftOutMark()
    return LeftOutMark(told.left_out, summary=bool(told.summary))


class Divider(Static):
    """The line above the first message that the model sees."""

    DEFAULT_CSS = "Divider { height: auto; color: $text-warning; padding: 0 1 0 2; margin: 0 0 1 0; }"

    def __init__(self, mark: LeftOutMark) -> None:
        super().__init__(Content(_line(mark)), markup=False)

    def say(self, mark: LeftOutMark) -> None:
        """Shows other words."""
        self.update(Content(_line(mark)))


def _line(mark: LeftOutMark) -> str:
    return f"── {mark.words} ──"
