"""The whole chat in this process, with an engine that plays scripts: for the tests that press keys and look.

Knows no single test. `chatting` opens it; `Chatting` types, waits and looks.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textual.events import Key
from textual.message import Message
from textual.pilot import Pilot

from llmchat_engine import Engine, ModelSpec
from llmchat_engine.testing import FAKE_MODEL, FakeEngine, Script
from llmchat_tui.app import ChatApp
from llmchat_tui.config import load_config
from llmchat_tui.desk import Desk
from llmchat_tui.history import History, StoredMessage
from llmchat_tui.paths import find_paths
from llmchat_tui.screens.chat import ChatScreen
from llmchat_tui.widgets.composer import Composer
from llmchat_tui.widgets.transcript import Transcript

PATIENCE = 15.0
MODEL = replace(FAKE_MODEL, n_ctx=8192, n_ctx_train=8192)


@dataclass
class Chatting:
    """One run of the chat under a pilot."""

    app: ChatApp
    pilot: Pilot[int]
    engine: Engine
    messages: list[Message]

    @property
    def chat(self) -> ChatScreen:
        """The chat screen."""
        return self.app.chat

    @property
    def history(self) -> History:
        """The chats."""
        return self.app.desk.history

    @property
    def transcript(self) -> Transcript:
        """The messages that are shown."""
        return self.chat.transcript

    @property
    def draft(self) -> str:
        """What stands in the prompt."""
        return self.chat.composer.prompt.draft

    async def until(self, true: Callable[[], bool], what: str = "it") -> None:
        """Waits for something."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, f"{what} did not come\n{self.text()}"
            await asyncio.sleep(0.01)

    async def write(self, text: str) -> None:
        """Puts text into the prompt."""
        self.chat.composer.prompt.load_draft(text)
        await asyncio.sleep(0)

    async def press(self, *keys: str) -> None:
        """Presses keys without waiting for an idle screen, which a streaming reply never leaves."""
        for key in keys:
            self.app.post_message(Key(key, key if len(key) == 1 else None))
            await asyncio.sleep(0.02)

    async def send(self, text: str) -> None:
        """Sends a message and waits until it is on its way."""
        await self.write(text)
        await self.press("enter")
        await self.until(lambda: self.draft != text, "sending")

    async def say(self, text: str) -> None:
        """Sends a message and waits for the end of the reply."""
        count = len(self.replies())
        await self.send(text)
        await self.until(lambda: len(self.replies()) > count and not self.chat.talk.running, "a reply")
        await self.settle()

    async def settle(self) -> None:
        """Waits until what was asked for is painted."""
        await self.pilot.pause()
        await self.until(lambda: not any(worker.is_running for worker in self.app.workers), "the workers")
        await self.pilot.pause()

    def stored(self) -> list[StoredMessage]:
        """Returns every message of the shown chat."""
        conversation_id = self.chat.talk.conversation_id
        return self.history.messages(conversation_id) if conversation_id else []

    def replies(self) -> list[StoredMessage]:
        """Returns the replies on disk that have ended."""
        return [message for message in self.stored() if message.role == "assistant" and message.status != "streaming"]

    def notices(self) -> str:
        """Returns the notices that are shown."""
        return "\n".join(notice.message for notice in self.app._notifications)

    def text(self) -> str:
        """Returns what the screen shows."""
        lines = [[segment.text for segment in line] for line in self.app.screen._compositor.render_strips()]
        return "\n".join("".join(line).rstrip() for line in lines)


def desk_of(home: Path, engine: Engine, **changes: Any) -> Desk:
    """Returns a desk of a home, whose one model is played by an engine."""
    environ = {"LLMCHAT_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"], "TERM": "xterm-256color"}
    paths = find_paths(environ)

    def read() -> Any:
        return load_config(paths.config_file, environ)

    spec = ModelSpec(home / "fake-1B.gguf")
    made: dict[str, Any] = {
        "history": History.open(paths.chats_db),
        "make_engine": lambda _spec: engine,
        "make_spec": lambda _name: spec,
        "read_config": read,
        "sampling_over": lambda sampling: sampling,
        "config": read(),
    }
    return Desk(paths=paths, environ=environ, **{**made, **changes})


@asynccontextmanager
async def chatting(
    home: Path,
    *scripts: Script | str,
    size: tuple[int, int] = (80, 24),
    speed: float = 0.0,
    engine: Engine | None = None,
    start: str = "",
    **changes: Any,
) -> AsyncIterator[Chatting]:
    """Opens the chat and closes it in order.

    Args:
        home: LLMCHAT_HOME.
        scripts: the replies; a text is a whole one.
        size: columns and rows.
        speed: tokens a second; 0 is as fast as they are read.
        engine: plays in place of the scripts.
        start: the chat to open.
        changes: other parts of the desk.
    """
    home.mkdir(parents=True, exist_ok=True)
    played = [Script(script) if isinstance(script, str) else script for script in scripts] or [Script()]
    made = engine or FakeEngine(played, speed, MODEL)
    desk = desk_of(home, made, **changes)
    if start:
        desk.start = desk.history.conversation(start)
    app, messages = ChatApp(desk), list[Message]()
    try:
        async with app.run_test(size=size, message_hook=messages.append) as pilot:
            run = Chatting(app, pilot, made, messages)
            await run.until(lambda: bool(app.chat.query(Composer)), "the chat")
            await run.until(lambda: app.model is not None or app.spec is None, "the model")
            await run.settle()
            yield run
            app.leave(0)
            await run.until(lambda: app._exit, "the end")
    finally:
        app.talks.close(2)
        app.chat.keeper.close()
        if app.presence:
            app.presence.close()
        desk.history.close()


def posted(run: Chatting, kind: type[Message]) -> Sequence[Message]:
    """Returns the messages of one kind that travelled through the app."""
    return [message for message in run.messages if isinstance(message, kind)]


def play(scene: Callable[[], Any]) -> None:
    """Runs a scene to its end."""
    asyncio.run(scene())
