"""How far long work on a model file has come. What downloads, verifies, quantises or measures yields it.

Long work is a generator: it yields `Progress`, returns its result, and closing it stops the work without harm.
Knows no screen; how it is told is for whoever reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "tensors", "tokens", "files"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of it. Comes some ten times a second at most, and at least once a second while nothing moves."""

    stage: str
    """What is done now, in a word or two: "downloading", "verifying", "waiting for another llmchat"."""
    done: int
    total: int
    """0 where it is not known."""
    unit: Unit
    rate: float = 0.0
    """Units a second, over the last few seconds; 0 where nothing moves or it is too early to tell."""
    what: str = ""
    """What it is about, a file's name for instance; text from outside."""

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at this rate; None where that cannot be told."""
        return (self.total - self.done) / self.rate if self.rate > 0 and self.total > 0 else None
