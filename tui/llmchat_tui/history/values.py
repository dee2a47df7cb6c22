"""The values that history hands out. Knows no SQL, no engine and no screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ReplyStatus = Literal["streaming", "complete", "stopped", "interrupted", "failed"]
Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One chat. Its messages are a tree; `leaf_id` is the message chosen last, or the newest if that came later."""

    id: str
    title: str
    system: str
    created_at: float
    """Unix time in seconds."""
    updated_at: float
    leaf_id: str = ""
    message_count: int = 0
    sampling: dict[str, Any] = field(default_factory=dict)
    """What the user set for this chat alone, by the field names of `Sampling`; what is not there is not set."""
    collections: tuple[str, ...] = ()
    """The collections of documents that its questions are answered from; none asks no documents."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """How its questions are asked, as recipe.py packs it."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One node of the tree."""

    id: str
    conversation_id: str
    parent_id: str
    """Empty for the first question."""
    role: Role
    text: str
    status: ReplyStatus
    created_at: float
    token_ids: tuple[int, ...] = ()
    model_key: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    """Enough to play the reply again: model name and key, sampling with seed, template key, n_ctx."""
    stats: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def left_out(self) -> int:
        """So many of the first messages of its path the model did not see when it wrote this reply."""
        return left_out_of(self.settings)

    @property
    def summary(self) -> str:
        """What the model saw in their place; empty where it saw nothing."""
        return _text_in(self.settings, "summary")

    @property
    def sent(self) -> str:
        """Of a reply: what the model was given in place of the question's text; empty where that is the text."""
        return _text_in(self.settings, "sent")

    @property
    def thought(self) -> str:
        """Of a reply: what was thought before it; no part of its text."""
        return _text_in(self._thought, "text")

    @property
    def thought_tokens(self) -> int:
        """So many of `token_ids`, from the first on, are the thought."""
        return _count_in(self._thought, "tokens")

    @property
    def thought_seconds(self) -> float:
        """How long it took."""
        seconds = self._thought.get("seconds", 0.0)
        try:
            return float(seconds) if isinstance(seconds, (int, float)) else 0.0
        except OverflowError:  # a whole number of 400 digits, from a file
            return 0.0

    @property
    def rating(self) -> int:
        """What the user thinks of a reply: 1 is good, -1 is bad, 0 is not said."""
        rating = self.settings.get("rating", 0)
        return rating if rating in (1, -1) else 0

    @property
    def rating_note(self) -> str:
        """Why, in the user's words."""
        return _text_in(self.settings, "rating_note")

    @property
    def _thought(self) -> Mapping[str, Any]:
        found = self.settings.get("thought", {})
        return found if isinstance(found, dict) else {}


def _text_in(values: Mapping[str, Any], name: str) -> str:
    """Returns a text of a mapping from a file, which may hold anything."""
    text = values.get(name, "")
    return text if isinstance(text, str) else ""


def _count_in(values: Mapping[str, Any], name: str) -> int:
    count = values.get(name, 0)
    return max(0, count) if isinstance(count, int) else 0


def left_out_of(settings: Mapping[str, Any]) -> int:
    """Returns how many messages a reply's settings say were left out; settings from a file may say anything."""
    return _count_in(settings, "left_out")


@dataclass(frozen=True, slots=True)
class Node:
    """One message as the picture of the tree needs it: without its text."""

    id: str
    parent_id: str
    """Empty for a first question."""
    role: Role
    line: str
    """The first line that says something, at most 80 characters; empty where there is none."""
    created_at: float
    status: ReplyStatus
    tokens: int
    """Of a reply, as it was generated; 0 where that is not known."""
    left_out: int
    """So many of the first messages of its path the model did not see when it wrote this reply."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A turn that is safe on disk: the question is there and the reply has a row to grow in."""

    conversation_id: str
    question_id: str
    reply_id: str
    created_at: float = 0.0
    """When the conversation began, as Unix time."""
    others: tuple[str, ...] = ()
    """More replies that grow beside it, where several were asked for; it is the one that the chat goes on with."""

    @property
    def reply_ids(self) -> tuple[str, ...]:
        """All replies that grow, by the number of the answer."""
        return (self.reply_id, *self.others)


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """How a reply ended, as it goes to disk."""

    text: str
    status: ReplyStatus
    token_ids: tuple[int, ...] = ()
    model_key: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One message found by search, with the place that matched."""

    conversation: Conversation
    message_id: str
    role: Role
    snippet: str
