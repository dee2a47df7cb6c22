"""What the tests of servers share: an engine of a scripted server, requests, and what an engine told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.engine.scripted_server import Play, ScriptedServer

from llmchat_engine import EngineError
from llmchat_engine.events import Event, Finished, Notice, Token, Waiting
from llmchat_engine.remote import RemoteEngine
from llmchat_engine.types import Message, RemoteSpec, Request, Sampling

GREEDY = Sampling(temperature=0.0)


@dataclass
class Stage:
    """A scripted server, and an engine that asks it."""

    server: ScriptedServer
    engine: RemoteEngine

    def ask(self, request: Request | None = None) -> list[Event]:
        """Returns all events of a reply but those that carry no news."""
        events = self.engine.generate(request or question())
        return [event for event in events if not isinstance(event, Waiting)]

    def end(self, request: Request | None = None) -> Finished:
        """Returns the end of a reply, whose text must be that of its tokens."""
        events = self.ask(request)
        last = events[-1]
        assert isinstance(last, Finished)
        assert said(events) == last.text
        assert said(events, thought=True) == last.thought
        return last

    def fails(self, kind: type[EngineError], request: Request | None = None) -> EngineError:
        """Returns the error that a request ends with."""
        with pytest.raises(kind) as caught:
            self.ask(request)
        return caught.value

    @property
    def body(self) -> Any:
        """What the server was sent last."""
        return self.server.heard[-1].body


@contextmanager
def stage(*plays: Play, environ: Mapping[str, str] = {}, timeout: float = 20.0, **more: Any) -> Iterator[Stage]:
    """Yields a server that plays this, and its engine; `spec` has more of what the engine is told."""
    spec = more.pop("spec", {})
    with ScriptedServer(plays, **more) as server:
        engine = RemoteEngine(RemoteSpec(**{"base_url": server.url, "timeout": timeout} | spec), environ)
        try:
            yield Stage(server, engine)
        finally:
            engine.close()


def question(text: str = "hello", sampling: Sampling = GREEDY, **more: Any) -> Request:
    """Returns a request of one message."""
    return Request((Message("user", text),), sampling, **more)


def said(events: Sequence[Event], answer: int = 0, *, thought: bool = False) -> str:
    """Returns the text of one answer."""
    tokens = [event for event in events if isinstance(event, Token)]
    return "".join(token.text for token in tokens if token.answer == answer and token.thought is thought)


def notices(events: Sequence[Event]) -> list[str]:
    """Returns what the user was told."""
    return [event.text for event in events if isinstance(event, Notice)]
