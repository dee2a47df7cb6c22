"""The whole chat at any size, while a reply streams and the size changes: nothing ends it, nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.stored import add_turn

from llmchat_tui.history import History
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.widgets.bars import ContextGauge

SIZES = [(1, 1), (10, 3), (40, 10), (300, 100)]
REPLY = (
    "# Title\n\n"
    + "words and more words " * 20
    + "\n\n- one\n- two\n\n```py\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


async def ends(run: Chatting) -> None:
    await run.until(lambda: not run.chat.talk.running, "the end")
    await run.settle()


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_turn_at_any_size(home: Path, size: tuple[int, int]) -> None:
    with History.open(home / "chats.db") as history:
        for number in range(8):
            add_turn(history, f"question {number}", "answer")

    async def scene() -> None:
        async with chatting(home, REPLY, size=size, speed=400) as run:
            await run.write("a question")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.running is not None, "the turn")
            await run.press(*"next", "pageup", "pagedown", "f4", "f4")
            await ends(run)
            assert run.replies()[0].text == REPLY
            assert run.draft == "next"
            await run.pilot.resize_terminal(80, 24)
            await run.settle()
            shown = run.text()
            assert "next" in shown and run.chat.query_one(ContextGauge).gauge is not None

    play(scene)


def test_a_storm_of_sizes_while_a_reply_streams(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, REPLY * 2, size=(80, 24), speed=300) as run:
            await run.send("a question")
            for round_ in range(8):
                await run.pilot.resize_terminal(*SIZES[round_ % len(SIZES)])
                await asyncio.sleep(0.005)
            await run.pilot.resize_terminal(80, 24)
            await ends(run)
            assert run.transcript.is_vertical_scroll_end
            assert "tok" in run.text()
            assert run.replies()[0].status == "complete"

    play(scene)


@pytest.mark.parametrize("size", SIZES)
def test_every_page_at_any_size(home: Path, size: tuple[int, int]) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.", size=size) as run:
            await run.say("a question")
            for key in ("f1", "f2", "f3", "ctrl+p", "ctrl+o", "ctrl+s", "ctrl+r"):
                await run.press(key)
                await run.pilot.pause()
                await run.press("down", "up", "tab", "escape", "escape")
                await run.until(lambda: run.app.screen is run.chat, f"the end of {key}")
            await run.say("another one")

    play(scene)


def test_a_page_survives_a_resize(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.", size=(80, 24)) as run:
            await run.say("a question")
            await run.send("/stats")
            await run.until(lambda: isinstance(run.app.screen, InfoScreen), "the page")
            for size in (*SIZES, (80, 24)):
                await run.pilot.resize_terminal(*size)
                await run.settle()
            assert "prompt_tokens" in run.text()

    play(scene)
