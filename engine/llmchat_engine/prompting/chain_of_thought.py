"""Chain of thought (Wei et al. 2022, arXiv:2201.11903; zero-shot: Kojima et al. 2022, arXiv:2205.11916).

Runs on any `Engine`: the model reasons first, then a short second pass takes the answer from the same prefix.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Literal

from llmchat_engine.engine import Engine
from llmchat_engine.events import Event
from llmchat_engine.types import Request

Cot = Literal["off", "zero-shot", "few-shot"]
"""Answer at once; reason step by step first; reason as the examples do."""
TRIGGER = "Let's think step by step."


def asked(question: str, cot: Cot) -> str:
    """Returns a question as it is sent."""
    return f"{question}\n\n{TRIGGER}" if cot == "zero-shot" else question


def reason(engine: Engine, request: Request) -> Generator[Event, None, None]:
    """Yields the events of one reply: its reasoning as thought, then the answer that a second pass takes from it."""
    with closing(engine.generate(request)) as events:
        yield from events
