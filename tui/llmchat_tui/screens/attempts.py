"""What the user asked for in a chat, as one value: kept until the turn has begun, to be asked for again otherwise.

Knows no screen: it is begun in `Talks`, and says which messages the transcript gets for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmchat_tui.growing import Beginning
from llmchat_tui.history import StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.talk import Talk
from llmchat_tui.talks import Talks
from llmchat_tui.thoughts import NO_THOUGHT, Thought
from llmchat_tui.widgets.message import MessageView
from llmchat_tui.widgets.question import QuestionView
from llmchat_tui.widgets.reply import ReplyView


@dataclass(frozen=True, slots=True)
class Attempt:
    """A new question, or something about a message that is there."""

    kind: Literal["ask", "again", "edit", "continue", "branch"]
    text: str
    """The question, or the text that a reply goes on from."""
    message: StoredMessage | None = None
    """The question to answer again, or the message that is edited or continued; None for a new question."""
    answers: int = 1
    """So many drafts, to choose from."""
    begins: Beginning | None = None
    """The tokens that a branch begins with."""

    @classmethod
    def editing(cls, message: StoredMessage, text: str) -> Attempt:
        """Returns what an edited message asks for."""
        return cls("edit" if message.role == "user" else "continue", text, message)

    @property
    def is_edited(self) -> bool:
        """Whether the user wrote its text in place of a message's."""
        return self.kind in ("edit", "continue") and self.message is not None and self.text != self.message.text

    def begin(self, talks: Talks, talk: Talk, way: Overflow | None = None) -> None:
        """Begins the turn.

        Args:
            talks: the open chats.
            talk: this one.
            way: what becomes of the oldest turns of a full context; None as the settings say.

        Raises:
            UserError: the engine's folders cannot be made; nothing was asked.
        """
        if self.message is None:
            talks.ask(talk, self.text, way, self.answers)
        elif self.kind == "again":
            talks.again(talk, self.message, way, self.answers)
        elif self.kind == "edit":
            talks.edit(talk, self.message, self.text, way, self.answers)
        elif self.begins:
            talks.branch_at_token(talk, self.message, self.begins, way)
        else:
            talks.continue_reply(talk, self.message, self.text, overflow=way)

    @property
    def follows(self) -> str | None:
        """The message that the new ones stand behind, empty for the beginning of the chat; None for its end."""
        if self.message is None:
            return None
        return self.message.id if self.kind == "again" else self.message.parent_id

    def views(self) -> list[MessageView]:
        """Returns the messages that the transcript gets, the last one a reply that is to come."""
        goes_on = self.message if self.kind == "continue" else None
        thought = _thought_of(goes_on, self.text)
        if begins := self.begins:
            goes_on, thought = self.message, Thought(begins.thought, begins.thought_tokens, begins.thought_seconds)
        reply = ReplyView(self.text if goes_on else "", growing=True, thought=thought)
        return [QuestionView(self.text), reply] if self.kind in ("ask", "edit") else [reply]


def _thought_of(message: StoredMessage | None, text: str) -> Thought:
    """Returns what was thought before a reply that goes on as it was; an edited one was thought of by the user."""
    if message is None or message.text != text:
        return NO_THOUGHT
    return Thought(message.thought, message.thought_tokens, message.thought_seconds)
