"""Tokens joined to few messages on their way to a client, thought and answer apart.

Knows no sockets: it is given a way to send.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter

from llmchat_engine.events import Token
from llmchat_engine.protocol import News

_TOKEN_INTERVAL = 1 / 60


class Outlet:
    """Joins tokens to at most 60 messages a second; everything else goes out at once, in order."""

    def __init__(self, send: Callable[[News], None]) -> None:
        """Holds nothing back yet."""
        self._send = send
        self._pending: list[Token] = []
        self._sent_at = 0.0

    def send(self, event: News) -> None:
        """Sends an event, a token with those that come soon after it."""
        if not isinstance(event, Token):
            self._flush()
            self._send(event)
            return
        self._pending.append(event)
        if time.perf_counter() - self._sent_at >= _TOKEN_INTERVAL:
            self._flush()

    def _flush(self) -> None:
        by_answer = sorted(self._pending, key=attrgetter("answer"))
        for _, run in groupby(by_answer, key=attrgetter("answer", "thought")):
            self._send(_joined(list(run)))
        if self._pending:
            self._pending.clear()
            self._sent_at = time.perf_counter()


def _joined(parts: list[Token]) -> Token:
    """Returns several tokens of one answer as one."""
    first = parts[0]
    logprobs = tuple(logprob for token in parts for logprob in token.logprobs)
    text, count = "".join(token.text for token in parts), sum(token.count for token in parts)
    return Token(text, count, first.answer, logprobs, first.thought)
