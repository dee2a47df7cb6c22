"""Ratings by keys and by command: the sign, taking it away, the note, and what stays on disk."""

from __future__ import annotations

from pathlib import Path

from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import command, refused

from llmchat_engine.testing import Script
from llmchat_tui.screens.dialogs import TextScreen


def rated(run: Chatting, at: int = -1) -> tuple[int, str]:
    reply = run.replies()[at]
    return reply.rating, reply.rating_note


async def on_the_reply(run: Chatting, *keys: str) -> None:
    """Goes to the newest reply and presses keys."""
    run.transcript.focus_last()
    await run.press(*keys)


def heading(run: Chatting, name: str = "fake-1B") -> str:
    """Returns the line of the newest reply that says who wrote it."""
    lines = (line.strip("▌▐█ ") for line in reversed(run.text().splitlines()))
    return next((line for line in lines if line.startswith(name)), "")


def test_a_key_rates_and_the_same_key_takes_it_away(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.say("first")
            before = run.stored()[0]
            await on_the_reply(run, "plus")
            await run.until(lambda: rated(run) == (1, ""), "the rating")
            await run.until(lambda: heading(run) == "fake-1B  +", "the sign")
            await run.press("plus")
            await run.until(lambda: rated(run) == (0, ""), "the end of it")
            await run.until(lambda: heading(run) == "fake-1B", "no sign")
            await run.press("k", "plus", "minus")
            await run.pilot.pause()
            assert run.stored()[0] == before, "a question is not rated"
            assert run.app.screen is run.chat

    play(scene)


def test_a_bad_reply_is_asked_why(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.say("first")
            await on_the_reply(run, "minus")
            await run.until(lambda: isinstance(run.app.screen, TextScreen), "the question")
            assert rated(run) == (-1, "")
            await run.press("escape")
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            assert rated(run) == (-1, "") and heading(run) == "fake-1B  −"
            await run.press("minus")
            await run.until(lambda: rated(run) == (0, ""), "the end of it")
            assert run.app.screen is run.chat
            await run.press("minus")
            await run.until(lambda: isinstance(run.app.screen, TextScreen), "the question")
            await run.press("b", "a", "d", "enter")
            await run.until(lambda: rated(run) == (-1, "bad"), "the note")
            await run.press("plus")
            await run.until(lambda: rated(run) == (1, ""), "another mind")

    play(scene)


def test_the_command_rates_the_last_reply_with_a_note(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await refused(run, "/rate +", "no reply to rate")
            await run.write("")
            await run.say("first")
            await run.say("second")
            await command(run, "/rate - too short by far")
            assert (rated(run), rated(run, 0)) == ((-1, "too short by far"), (0, ""))
            await command(run, "/rate +short")
            assert rated(run) == (1, "short")
            await refused(run, "/rate well", "'well' is no rating")

    play(scene)


def test_a_rating_is_there_in_the_next_session(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.") as run:
            await run.say("first")
            await command(run, "/rate +")
            chat = run.chat.talk.conversation_id
        async with chatting(home, "never", start=chat) as run:
            await run.until(lambda: heading(run) == "fake-1B  +", "the sign")
            await on_the_reply(run, "plus")
            await run.until(lambda: rated(run) == (0, ""), "the end of it")

    play(scene)


def test_a_reply_that_grows_is_not_rated_yet(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("and so on", hang_after=2)) as run:
            await run.send("first")
            await run.until(lambda: "and so" in run.text(), "some words")
            await refused(run, "/rate +", "still being written")
            await run.write("")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")

    play(scene)
