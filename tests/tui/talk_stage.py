"""Chats that are open, with engines that begin when they are let: for the tests of talks.py. Knows no single test."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from llmchat_engine import Engine, Sampling
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.events import Ended
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.overflow import Overflow
from llmchat_tui.talk import News, Talk
from llmchat_tui.talks import Talks

LONG = " ".join(f"word{number}" for number in range(300))


PATIENCE = 20.0


@dataclass
class Gated(FakeEngine):
    """An engine that begins when it is let, may hear no cancel, and counts how often it was closed."""

    may_begin: threading.Event = field(default_factory=threading.Event)
    deaf: bool = False
    cancelled: list[str] = field(default_factory=list)
    closed: int = 0

    def prepare(self) -> None:
        assert self.may_begin.wait(PATIENCE)

    def cancel(self, request_id: str, answer: int | None = None) -> None:
        self.cancelled.append(request_id)
        if not self.deaf:
            FakeEngine.cancel(self, request_id, answer)

    def close(self) -> None:
        self.closed += 1


def gated(*scripts: Script | str, speed: float = 0.0, begins: bool = True, deaf: bool = False) -> Gated:
    made = Gated([Script(part) if isinstance(part, str) else part for part in scripts], speed, deaf=deaf)
    if begins:
        made.may_begin.set()
    return made


@dataclass
class Stage:
    """The talks of a test, the engines that they get in turn, and the news that nobody took yet."""

    history: History
    engines: list[Engine] = field(default_factory=list)
    settings: Sampling = field(default_factory=Sampling)
    news: queue.SimpleQueue[News] = field(default_factory=queue.SimpleQueue)
    talks: Talks = field(init=False)

    def __post_init__(self) -> None:
        self.talks = Talks(self.history, lambda: self.engines.pop(0), lambda: self.settings, self.news.put)

    def take(self) -> tuple[News, str]:
        """Settles the next news; returns them with the message that shall go out."""
        news = self.news.get(timeout=PATIENCE)
        return news, self.talks.settle(news)

    def take_until(self, kind: type) -> tuple[list[News], str]:
        """Settles up to the first news of a kind, in whichever chat."""
        seen = []
        while True:
            news, queued = self.take()
            seen.append(news)
            if isinstance(news.event, kind):
                return seen, queued

    def asked(self, question: str, *, talk: Talk | None = None, engine: Engine | None = None) -> Talk:
        """Asks and waits for the end."""
        talk = talk or self.talks.begin()
        self.engines.append(engine or gated(f"answer to {question}"))
        self.talks.ask(talk, question)
        self.take_until(Ended)
        return talk

    def asked_with(self, talk: Talk, question: str, way: Overflow, engine: Engine) -> None:
        """Asks with a word for a full context, and waits for the end."""
        self.engines.append(engine)
        self.talks.ask(talk, question, way)
        self.take_until(Ended)

    def stored(self, talk: Talk) -> list[StoredMessage]:
        return self.history.messages(talk.conversation_id)


def wait_until(true: Callable[[], bool]) -> None:
    turn = threading.Event()
    for _ in range(2000):
        if true():
            return
        turn.wait(0.01)
    raise AssertionError("it did not come")
