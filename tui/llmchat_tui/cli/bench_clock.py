"""One request on the clock of whoever reads its stream, and text of a length that is wanted.

Knows an `Engine`; no chat, no report.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from llmchat_engine import Engine, Finished, Prefill, Request, Token
from llmchat_tui.errors import UserError

_LETTERS_PER_TOKEN = 8
"""More than any prose has on average, so that a slice of this length is always too long and is cut."""
_CHAPTER = 13_001
"""Letters between the beginnings of two texts: their first words differ, and nothing of one is found in another."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request went."""

    finished: Finished
    to_first: float
    """Seconds from asking to the first text."""
    reading: float
    """Seconds from the first news of the prompt to the last: what its new tokens took, and nothing around them."""

    @property
    def step(self) -> float:
        """Seconds of one decode step."""
        return self.finished.decode_seconds / max(1, self.finished.reply_tokens - 1)

    @property
    def evaluated(self) -> int:
        """Tokens of the prompt that were computed."""
        return self.finished.prefilled_tokens


def ask(engine: Engine, request: Request) -> Answer:
    """Asks, and returns how that went.

    Raises:
        EngineError: the engine failed.
    """
    began = time.perf_counter()
    first, read = 0.0, []
    with closing(engine.generate(request)) as events:
        for event in events:
            now = time.perf_counter()
            if isinstance(event, Prefill):
                read.append(now)
            elif isinstance(event, (Token, Finished)):
                first = first or now
            if isinstance(event, Finished):
                return Answer(event, first - began, read[-1] - read[0] if read else 0.0)
    raise UserError("the engine did not finish", "its last event is missing", "llmchat doctor")


def prose(number: int, letters: int) -> str:
    """Returns English text that every Python carries; another one for each number."""
    from pydoc_data.topics import topics

    book = "\n\n".join(str(text) for text in topics.values())
    start = number * _CHAPTER % max(1, len(book) - letters)
    return book[start : start + letters].strip()


def prose_of(engine: Engine, tokens: int, number: int) -> str:
    """Returns English text of at most this many tokens, and hardly fewer.

    Args:
        engine: Who counts.
        tokens: How long it shall be.
        number: Which text; the same number gives the same one.
    """
    return cut(engine, prose(number, tokens * _LETTERS_PER_TOKEN), tokens)


def cut(engine: Engine, text: str, tokens: int) -> str:
    """Returns the longest beginning of a text that has at most this many tokens."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(engine.tokenize(text[:middle])) <= tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]
