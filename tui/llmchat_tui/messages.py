"""Every message that travels between threads and widgets of the chat. A worker posts; a handler owns the state."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from llmchat_tui.presence import PresenceNews
from llmchat_tui.talk import News


@dataclass
class TalkNews(Message):
    """A turn went on, in whichever chat."""

    news: News


@dataclass
class ModelNews(Message):
    """The chosen model is being loaded, is ready, failed, or has counted."""

    news: PresenceNews


@dataclass
class Submitted(Message):
    """The user sent what stands in the prompt; the prompt keeps it until `Prompt.clear_draft` is called."""

    text: str


@dataclass
class DraftChanged(Message):
    """The text in the prompt changed."""

    text: str


@dataclass
class PromptLeft(Message):
    """The user walked up out of the prompt, into the messages."""


@dataclass
class OpenChat(Message):
    """A chat of the list is to be shown."""

    conversation_id: str
    message_id: str = ""
    """The message that a search found; empty for the newest."""


@dataclass
class ChatListChanged(Message):
    """A chat was renamed, deleted, brought back or imported."""


@dataclass
class Again(Message):
    """Answer the question of this message once more."""

    message_id: str


@dataclass
class DraftsWanted(Message):
    """Answer in several drafts to choose from."""

    count: int
    question: str = ""
    """What to ask; empty for what stands in the prompt, else for the question of the focused or the last message."""


@dataclass
class EditMessage(Message):
    """Put this message into the prompt: a question to be asked in its place, a reply to go on from."""

    message_id: str


@dataclass
class ContinueReply(Message):
    """Have this reply go on exactly where it ended."""

    message_id: str


@dataclass
class BranchHere(Message):
    """Let the next question follow this reply."""

    message_id: str


@dataclass
class SourcesWanted(Message):
    """Show what this reply stands on."""

    message_id: str


@dataclass
class ChainsWanted(Message):
    """Show the chains of thought that voted on this reply."""

    message_id: str


@dataclass
class UnfoldThought(Message):
    """Show all of what was thought before this reply, or fold it."""

    message_id: str


@dataclass
class TokensWanted(Message):
    """Show the tokens of this reply and how likely they were."""

    message_id: str


@dataclass
class Rated(Message):
    """The user found this reply good or bad."""

    message_id: str
    rating: int
    """1 is good, -1 is bad."""


@dataclass
class SiblingWanted(Message):
    """Show another message that has the place of this one."""

    message_id: str
    step: int
    """1 for the next newer one, -1 for the next older one."""


@dataclass
class Copied(Message):
    """Text was asked to be copied."""

    text: str
    what: str
    """Its name for the notice: `message`, `code block`, `selection`."""


@dataclass
class LeaveMessages(Message):
    """The user walked down behind the last message."""
