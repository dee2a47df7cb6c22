"""A chat with a model whose context is soon full, turn after turn. Knows no single test."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from llmchat_engine import EngineDied, Request, Sampling
from llmchat_engine.events import Measured
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.events import Ended, TurnEvent
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.turn import Turn, run

N_CTX = 1200
REPLY = 50
"""Words of a reply, each one a token."""


def words(count: int) -> str:
    return " ".join(f"word{number}" for number in range(count))


@dataclass
class Narrow(FakeEngine):
    """An engine with a small context that counts how often it was asked to count."""

    measured: int = 0

    def measure(self, request: Request) -> Measured:
        self.measured += 1
        return FakeEngine.measure(self, request)


@dataclass
class Chat:
    """A chat that goes on behind its newest reply."""

    history: History
    engine: Narrow = field(default_factory=lambda: narrow(words(REPLY)))
    conversation_id: str = ""
    leaf_id: str = ""
    last: TurnEvent | None = None
    turn: Turn = field(default_factory=lambda: Turn(""))
    """The turn that was begun last."""

    def path(self) -> tuple[StoredMessage, ...]:
        return self.history.path(self.leaf_id) if self.leaf_id else ()

    def begin(self, question: str, *, max_tokens: int | None = None, **more: Any) -> Generator[TurnEvent, None, None]:
        sampling = Sampling(max_tokens=max_tokens)
        self.turn = Turn(question, self.path(), self.conversation_id, sampling=sampling, **more)
        return run(self.turn, self.engine, self.history)

    def ask(self, question: str, **more: Any) -> list[TurnEvent]:
        """Asks and waits for the end."""
        events = list(self.begin(question, **more))
        self.last = events[-1]
        assert isinstance(self.last, Ended)
        self.conversation_id, self.leaf_id = self.last.begun.conversation_id, self.last.begun.reply_id
        return events

    def fill(self) -> None:
        """Asks until hardly any room is left for the next reply."""
        while not self.leaf_id or self._prompt() + 256 <= N_CTX - 20:
            self.ask(words(40))

    def crash(self, question: str, after: int = 1) -> None:
        """Asks an engine that dies."""
        working, self.engine = self.engine, narrow(Script(words(REPLY), crash_after=after))
        try:
            list(self.begin(question))
        except EngineDied:
            self.leaf_id = self.history.conversation(self.conversation_id).leaf_id
        self.engine = working

    def narrow(self, n_ctx: int) -> None:
        """Goes on with a model of the same kind and a smaller context."""
        self.engine = narrow(words(REPLY), n_ctx=n_ctx)

    def play(self, *scripts: str | Script) -> None:
        """Goes on with an engine that plays these."""
        self.engine = narrow(*scripts)

    def _prompt(self) -> int:
        request = self.engine.requests[-1]
        return FakeEngine.measure(self.engine, request).total + (REPLY + 1) + 41


def narrow(*scripts: str | Script, n_ctx: int = N_CTX) -> Narrow:
    played = [Script(part) if isinstance(part, str) else part for part in scripts]
    return Narrow(played, model=replace(FAKE_MODEL, n_ctx=n_ctx))
