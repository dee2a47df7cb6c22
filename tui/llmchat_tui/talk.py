"""One open chat and the turn that runs in it, as values; what is told of them. talks.py changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmchat_engine import Engine, EngineError
from llmchat_engine.types import new_request_id
from llmchat_rag.errors import RagError
from llmchat_tui.drafts import Drafts
from llmchat_tui.errors import UserError
from llmchat_tui.events import TurnEvent
from llmchat_tui.history import Begun
from llmchat_tui.recipe import PLAIN, Recipe


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn ended in a failure; what had come of the reply is on disk where `begun` is there."""

    error: UserError | EngineError | RagError
    begun: Begun | None


@dataclass(frozen=True, slots=True)
class News:
    """What happened in a chat."""

    key: str
    event: TurnEvent | Failed


@dataclass(eq=False, slots=True)
class Running:
    """A turn on its way."""

    engine: Engine
    request_id: str
    question: str
    """Its text, to hand back where it could not be recorded; empty for one that was before."""
    begun: Begun | None = None
    documents: int = 0
    """Tokens of documents that stand before its question."""
    thinks: bool = False
    """Whether a thought grows that can be closed, for the model to answer now."""


@dataclass(eq=False, slots=True)
class Talk:
    """One open chat."""

    key: str = field(default_factory=new_request_id)
    """Names it before it has an id on disk."""
    conversation_id: str = ""
    title: str = ""
    leaf_id: str = ""
    """The message that the next question follows, the newest or the one branched from; empty in a new chat."""
    system: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """What the user set for this chat, over the settings."""
    collections: tuple[str, ...] = ()
    """The collections of documents that its questions are answered from; none asks no documents."""
    recipe: Recipe = PLAIN
    """How its questions are asked."""
    running: Running | None = None
    queued: str = ""
    """The message that goes out when the reply has ended."""
    draft: str | None = None
    """What the prompt held when another chat was shown; None before the chat was shown itself."""
    unread: bool = False
    """Whether a reply ended while another chat was shown."""
    drafts: Drafts | None = None
    """The replies of its newest turn, where several were asked for."""

    @property
    def unrecorded(self) -> str:
        """The question of a turn that has not begun: the model may still be loading, and until then no disk has it."""
        return self.running.question if self.running and self.running.begun is None else ""
