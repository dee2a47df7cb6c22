"""A question that was sent while the model still loads: no turn has it on disk yet, so the draft has."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

from tests.tui.screen.chatting import MODEL, chatting, play
from tests.tui.stored import add_turn

from llmchat_engine import Event, Request, Waiting
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History


class LoadsSlowly(FakeEngine):
    """A FakeEngine whose model is not there before `gate` opens, once a question came."""

    def __init__(self) -> None:
        super().__init__([Script("Fine.")], 0.0, MODEL)
        self.gate = threading.Event()

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """Waits, then answers."""
        while not self.gate.wait(0.01):
            yield Waiting()
        yield from super().generate(request)


def test_a_question_is_on_disk_while_the_model_loads_and_afterwards_once(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, "question", "answer")

    async def scene() -> None:
        engine = LoadsSlowly()
        async with chatting(home, engine=engine, start=chat) as run:
            await run.send("and then?")
            await run.until(lambda: run.history.draft(chat) == "and then?", "the question as a draft")
            assert run.draft == ""
            engine.gate.set()
            await run.until(lambda: len(run.replies()) == 2, "the answer")
            await run.until(lambda: run.history.draft(chat) == "", "an empty draft")

    play(scene)
