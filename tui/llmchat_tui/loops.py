"""A reply that goes round in circles is stopped: the likeliest token, taken each time, never leaves a circle.

Compares text only. Knows no documents and no chat.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

from llmchat_engine import Engine, Event, Finished, Notice, Request, Token

ROUNDS = 3
"""The same text so often in a row is a circle."""
LEAST = 240
"""Characters of a circle and what it repeats: rulers and rows of zeros are shorter."""
LONGEST = 1_000
"""Characters of one round that is seen as one."""
_END = 24
"""Characters at the end of a text that are looked for before it."""
TOLD = "the model repeated itself and was stopped"


def goes_round(text: str) -> bool:
    """Returns whether a text ends in the same stretch, over and over."""
    window = text[-ROUNDS * LONGEST :]
    end = window[-_END:]
    before = len(window) - len(end)
    while (before := window.rfind(end, 0, before + len(end) - 1)) >= 0:
        period = len(window) - len(end) - before
        stretch = max(ROUNDS * period, LEAST)
        if stretch > len(window):
            return False
        if window[-stretch:-period] == window[-stretch + period :]:
            return True
    return False


def out_of_circles(engine: Engine, request: Request) -> Generator[Event, None, None]:
    """Yields the events of a reply; one that goes round in circles is stopped, and that is told.

    Args:
        engine: who answers.
        request: what is asked.

    Raises:
        EngineError: see `Engine.generate`.
    """
    text, stopped = "", False
    with closing(engine.generate(request)) as events:
        for event in events:
            if isinstance(event, Token) and not stopped:
                text = (text + event.text)[-ROUNDS * LONGEST :]
                if stopped := goes_round(text):
                    engine.cancel(request.id)
            if isinstance(event, Finished) and stopped and event.reason == "cancelled":
                yield Notice(TOLD)
                event = replace(event, reason="stop")
            yield event
