"""The messages of a chat: long ones open at once, every message can be reached, and few are mounted at a time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.long_chats import (
    CHAT,
    MOUNTED,
    SEED,
    focused,
    id_of,
    in_sight,
    is_whole,
    long_chat,
    numbers,
    rest,
)

from llmchat_tui.messages import OpenChat


def test_a_chat_of_2000_messages_opens_at_once_at_its_end(home: Path) -> None:
    long_chat(home, 2000)

    async def scene() -> None:
        async with chatting(home) as run:
            conversation = run.history.conversation(CHAT)
            began = time.perf_counter()
            await run.chat.show_talk(run.chat.talks.open(conversation))
            await run.pilot.pause()
            took = time.perf_counter() - began
            assert "message 1999" in run.text() or "line 2 of 1999" in run.text()
            assert took < 1.5
            await rest(run)
            assert len(run.transcript.views) <= MOUNTED and is_whole(run)
            assert run.transcript.is_vertical_scroll_end

    play(scene)


def test_every_message_can_be_reached_page_by_page_and_few_are_mounted(home: Path) -> None:
    long_chat(home, 64)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            seen: set[int] = set()
            await rest(run)
            seen |= in_sight(run)
            while 0 not in seen or run.transcript.scroll_y > 0:
                await page(run, "pageup", seen)
            assert seen == set(range(64))
            assert "message 0" in run.text()
            seen = in_sight(run)
            while 63 not in seen or not run.transcript.is_vertical_scroll_end:
                await page(run, "pagedown", seen)
            assert seen == set(range(64))
            assert "line 2 of 63" in run.text()

    play(scene)


async def page(run: Chatting, key: str, seen: set[int]) -> None:
    """Goes on by a page and notes which messages are in sight."""
    before = run.transcript.scroll_y, numbers(run)
    await run.press(key)
    await rest(run)
    assert len(run.transcript.views) <= MOUNTED and is_whole(run)
    seen |= in_sight(run)
    assert (run.transcript.scroll_y, numbers(run)) != before, f"stuck at {numbers(run)[:1]}"


def test_the_line_at_the_top_stays_when_older_messages_come(home: Path) -> None:
    long_chat(home, 200)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            transcript = run.transcript
            for _ in range(8):
                first, start = transcript.views[0], transcript._start
                transcript.scroll_to(y=first.virtual_region.y + 3, animate=False, immediate=True)
                at = first.virtual_region.y - transcript.scroll_y
                await run.until(lambda start=start: transcript._start < start, "older messages")  # type: ignore[misc]
                await rest(run)
                assert first.virtual_region.y - transcript.scroll_y == at

    play(scene)


def test_first_last_up_and_down(home: Path) -> None:
    long_chat(home, 120)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            await run.press("up")
            await run.until(lambda: focused(run) == 119, "the last")
            for wanted in (118, 117):
                await run.press("k")
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
            await run.press("g")
            await run.until(lambda: focused(run) == 0, "the first")
            await rest(run)
            assert "message 0" in run.text() and is_whole(run)
            await run.press("k")
            await rest(run)
            assert focused(run) == 0
            for wanted in range(1, 30):
                await run.press("j")
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
            await rest(run)
            assert "message 29" in run.text()
            await run.press("G")
            await run.until(lambda: focused(run) == 119, "the last")
            await run.press("j")
            await run.until(lambda: run.app.focused is run.chat.composer.prompt, "the prompt")

    play(scene)


def test_walking_up_reaches_every_message(home: Path) -> None:
    long_chat(home, 46)

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            await rest(run)
            await run.press("up")
            for wanted in range(45, -1, -1):
                await run.until(lambda wanted=wanted: focused(run) == wanted, f"{wanted}")  # type: ignore[misc]
                await rest(run)
                await run.press("k")
            assert len(run.transcript.views) <= MOUNTED

    play(scene)


@pytest.mark.parametrize("number", [0, 501, 999])
def test_it_opens_at_a_message_anywhere(home: Path, number: int) -> None:
    long_chat(home, 1000)

    async def scene() -> None:
        async with chatting(home) as run:
            run.chat.post_message(OpenChat(CHAT, id_of(number)))
            await run.until(lambda: focused(run) == number, "the message")
            await rest(run)
            assert f"message {number}" in run.text() and is_whole(run)
            assert len(run.transcript.views) <= MOUNTED
            run.chat.post_message(OpenChat(CHAT, id_of(700)))
            await run.until(lambda: focused(run) == 700, "another message of the same chat")

    play(scene)


@pytest.mark.parametrize("round_", range(2))
def test_any_keys_in_any_order_leave_a_piece_of_the_chat_in_sight(home: Path, round_: int) -> None:
    """Keys faster than messages can be loaded, some of them for what is just being replaced."""
    print("LLMCHAT_TEST_SEED", SEED)
    chance = random.Random(SEED + round_)
    long_chat(home, 150, lines=chance.randint(1, 12))
    keys = ["pageup", "pageup", "pagedown", "g", "G", "k", "j", "home", "end", "up", "down", "escape"]

    async def scene() -> None:
        async with chatting(home, start=CHAT) as run:
            for _ in range(4):
                for key in chance.choices(keys, k=8):
                    await run.press(key)
                    if chance.random() < 0.2:
                        run.chat.post_message(OpenChat(CHAT, id_of(chance.randrange(150))))
                await rest(run)
                assert is_whole(run), (run.transcript._start, run.transcript._end, numbers(run))
                assert 0 < len(run.transcript.views) <= MOUNTED
                assert any(view.region.overlaps(run.transcript.region) for view in run.transcript.views)
            run.transcript.focus_last()
            await run.press("G")
            await run.until(lambda: focused(run) == 149, "the last")

    play(scene)
