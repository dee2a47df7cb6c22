"""Tokens joined to few messages on their way to a client. Knows no sockets: it is given a way to send."""

from __future__ import annotations

import time
from collections.abc import Callable

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
        for answer in sorted({token.answer for token in self._pending}):
            parts = [token for token in self._pending if token.answer == answer]
            text = "".join(token.text for token in parts)
            logprobs = tuple(logprob for token in parts for logprob in token.logprobs)
            self._send(Token(text, sum(token.count for token in parts), answer, logprobs))
        if self._pending:
            self._pending.clear()
            self._sent_at = time.perf_counter()
