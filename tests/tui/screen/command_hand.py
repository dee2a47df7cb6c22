"""A hand that types slash commands: sends them, waits for what they open or refuse. Knows no single test."""

from __future__ import annotations

from tests.tui.screen.chatting import Chatting
from textual.widgets import TextArea

from llmchat_engine.testing import FakeEngine

CODE = "First:\n\n```python\nprint(1)\n```\n\nthen:\n\n```sh\nls -l\n```\n\ndone."
WRONG = (
    *("temperature", "temperature hot", "temperature -1", "temperature nan", "colour red", "parameter", "= ="),
    *("seed 99999999999999999999", "top_p 1.5", "stop [", "\u202e 1"),
)
"""What `/set` refuses."""


def engine_of(run: Chatting) -> FakeEngine:
    assert isinstance(run.engine, FakeEngine)
    return run.engine


async def command(run: Chatting, text: str) -> None:
    """Types a command and sends it."""
    await run.write(text)
    await run.press("enter")
    await run.until(lambda: run.draft != text, f"{text} to be taken")
    await run.pilot.pause()


async def refused(run: Chatting, text: str, why: str) -> None:
    """Types something that is told to be wrong."""
    before = run.notices()
    await run.write(text)
    await run.press("enter")
    await run.until(lambda: why in run.notices().removeprefix(before), f"{why!r} about {text}\n{run.notices()}")


async def page(run: Chatting, text: str, kind: type) -> str:
    """Sends a command that opens a page; returns what it shows, and closes it."""
    await command(run, text)
    await run.until(lambda: isinstance(run.app.screen, kind), f"the page of {text}")
    await run.settle()
    shown = "\n".join(area.text for area in run.app.screen.query(TextArea)) or run.text()
    await run.press("escape")
    await run.until(lambda: run.app.screen is run.chat, "the chat again")
    return shown
