"""The thoughts of a reply, which are no part of its answer: as a value, and in words. Knows text only."""

from __future__ import annotations

import re
from dataclasses import dataclass

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Thought:
    """What was thought before an answer."""

    text: str = ""
    tokens: int = 0
    """0 where that is not known, as in a reply that was killed."""
    seconds: float = 0.0
    is_cut: bool = False
    """Whether the reply ended inside it: no answer came."""

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self.text.strip() or self.tokens)

    @property
    def line(self) -> str:
        """How long it was, as in `thought 3.1 s · 412 tokens`."""
        took = f"thought {said_of(self.tokens, self.seconds)}".strip()
        return f"{took} · no answer came" if self.is_cut else took


NO_THOUGHT = Thought()


def said_of(tokens: int, seconds: float) -> str:
    """Returns a time and a count in words; what is not known is not said."""
    time = f"{seconds:.1f} s" if seconds else ""
    return " · ".join(part for part in (time, f"{tokens:,} token{'s' * (tokens != 1)}" if tokens else "") if part)


def without_thoughts(text: str) -> str:
    """Returns a reply with spaces in place of its thoughts: what is left stands where it stood."""
    return _THOUGHTS.sub(lambda found: " " * len(found[0]), text)
