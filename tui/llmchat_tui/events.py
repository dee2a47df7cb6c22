"""What a turn yields to a front end. Knows no screen and no terminal.

A turn passes the engine's own events on (Loading, Queued, Restored, Prefill, Token, Notice, Waiting) between the two of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmchat_engine import Finished, Loaded, Loading, ModelInfo, Notice, Prefill, Queued, Restored, Token, Waiting
from llmchat_tui.history.values import Begun


@dataclass(frozen=True, slots=True)
class Started:
    """The question is on disk. Nothing was asked of the model before this."""

    begun: Begun


@dataclass(frozen=True, slots=True)
class Ended:
    """The reply is on disk, complete or stopped."""

    begun: Begun
    finished: Finished
    model: ModelInfo | None
    """None where the turn was stopped before the model was loaded."""


TurnEvent = Started | Loading | Loaded | Queued | Restored | Prefill | Token | Notice | Waiting | Ended
