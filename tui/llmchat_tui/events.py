"""What a turn yields to a front end. Knows no screen and no terminal.

A turn passes the engine's own events on (Loading, Queued, Restored, Prefill, Token, Notice, Waiting) between its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine import Finished, Loaded, Loading, ModelInfo, Notice, Prefill, Queued, Restored, Token, Waiting
from llmchat_tui.history.values import Begun


@dataclass(frozen=True, slots=True)
class Started:
    """The question is on disk. Nothing was asked of the model before this; it may have been loaded."""

    begun: Begun


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


TurnEvent = (
    Started | Loading | Loaded | Queued | Summarising | LeftOut | Restored | Prefill | Token | Notice | Waiting | Ended
)
