"""What a turn yields to a front end. Knows no screen and no terminal.

A turn passes the engine's own events on (Loading, Queued, Restored, Prefill, Token, Notice, Waiting) between its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmchat_engine import (
    Answered,
    Finished,
    Loaded,
    Loading,
    ModelInfo,
    Notice,
    Prefill,
    Queued,
    Restored,
    Token,
    Waiting,
)
from llmchat_engine.prompting.vote import Polled
from llmchat_tui.history.values import Begun

if TYPE_CHECKING:
    from llmchat_rag.verify import Verified
    from llmchat_tui.documents import Retrieval
    from llmchat_tui.sources import KeptSource


@dataclass(frozen=True, slots=True)
class Started:
    """The question is on disk. Nothing was asked of the model before this; it may have been loaded."""

    begun: Begun


@dataclass(frozen=True, slots=True)
class Searching:
    """The documents are searched; the model is loaded meanwhile, so its events may come in between."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What the documents have on the question."""

    retrieval: Retrieval


@dataclass(frozen=True, slots=True)
class Reading:
    """Whole documents are read part by part, each part by a request of its own; the reply comes from the last."""

    done: int
    """Parts that were read."""
    total: int
    """As far as is known: long answers can make it more."""
    tokens: int = 0
    """Of the part that is read now: those that the model has in its context."""
    of_tokens: int = 0
    """Of the part that is read now: all; 0 where that is not known yet."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """What the numbers in the reply to come will mean."""

    sources: tuple[KeptSource, ...]
    tokens: int
    """What the block of documents takes of the context."""
    left_out: int = 0
    """Passages that there was no room for."""


@dataclass(frozen=True, slots=True)
class Summarising:
    """The model writes a summary of the turns that leave the context."""

    tokens: int = 0
    """What it has written of it."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """From now on the model does not see these messages of the path; on disk they stay."""

    messages: int
    tokens: int
    """What they took."""
    summary: bool = False
    """Whether a summary stands in their place."""
    left_out: int = 0
    """All that it does not see: so many messages of the path, from the first one on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The reply is on disk, complete or stopped."""

    begun: Begun
    finished: Finished
    """Its text and its ids are those of the whole reply, what it began with too; its counts are of what is new."""
    model: ModelInfo | None
    """None where the turn was stopped before the model was loaded."""
    form_fault: str = ""
    """Why the reply has not the form that it was held to; empty where it has, or had none."""


@dataclass(frozen=True, slots=True)
class Abstained:
    """The end in place of `Ended`: the documents hold no answer, and the model was not asked.

    The sentence that says so is on disk as a complete reply, and came as a `Token` before this.
    """

    begun: Begun
    best_cosine: float
    sources: tuple[KeptSource, ...]
    """What was nearest."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Comes behind `Ended`: the reply was compared with what it cites, and the verdicts are on disk."""

    begun: Begun
    verified: Verified
    sources: tuple[KeptSource, ...]


TurnEvent = (
    Started
    | Searching
    | Retrieved
    | Loading
    | Loaded
    | Queued
    | Summarising
    | LeftOut
    | Reading
    | Grounded
    | Restored
    | Prefill
    | Token
    | Answered
    | Polled
    | Notice
    | Waiting
    | Ended
    | Abstained
    | Checked
)
