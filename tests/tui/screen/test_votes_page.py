"""Votes in the chat: how they stand while chains end, the line afterwards, and the page of every chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting
from tests.tui.screen.chatting import play as play_chat
from tests.tui.screen.command_hand import command, refused
from tests.tui.screen.screen_stage import EVIL, SIZES, Hand, Stage, assert_harmless, painted, play, words
from tests.tui.stored import add_turn

from llmchat_engine.prompting.vote import Chain, Polled
from llmchat_engine.testing import Script
from llmchat_tui.growing import packed_vote
from llmchat_tui.history import History
from llmchat_tui.screens.chains import ChainsScreen
from llmchat_tui.votes import ended_vote

CHAINS = (
    Chain(0, "23 - 20 = 3\nand 6 more", "9", "9", "eog", 1040),
    Chain(1, "20 + 6", "26", "26", "eog", 41),
    Chain(2, "3 + 6", "9", "9", "eog", 42),
    Chain(3, "hm", "", "", "max_tokens", 43),
    Chain(4, "3 and 6", "", "", "cancelled", 4),
)
VOTE = Polled(CHAINS, (("9", 2), ("26", 1)), 5, 1170)


@pytest.mark.parametrize("size", SIZES)
def test_every_chain_is_listed_with_its_answer_and_whether_it_counted(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        shown = painted(app)
        assert ended_vote(VOTE) in words(app)
        rows = [line.strip() for line in shown.splitlines()]
        assert any(row.startswith("1 ✓ 9") and "1,040 tokens" in row for row in rows)
        assert any(row.startswith("2 · 26") for row in rows)
        assert any(row.startswith("4 ✗ no answer found") for row in rows)
        assert "23 - 20" not in shown

    play(ChainsScreen(VOTE), steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_enter_unfolds_the_reasoning_of_the_chain_under_the_cursor(size: tuple[int, int]) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("enter")
        await hand.settle()
        assert "23 - 20 = 3" in painted(app)
        await hand.press("down")
        await hand.settle()
        assert "20 + 6" in painted(app) and "23 - 20" not in painted(app)
        await hand.press("y", "enter")
        await hand.settle()
        assert "20 + 6" not in painted(app)
        await hand.press("escape")

    app = play(ChainsScreen(VOTE), steps, size)
    assert [copied.text for copied in app.copied] == ["20 + 6\n\n26"]
    assert app.results == [None]


@pytest.mark.parametrize("size", SIZES)
def test_what_chains_say_is_harmless(size: tuple[int, int]) -> None:
    chains = tuple(Chain(number, EVIL * 20, EVIL, EVIL, "eog", 3) for number in range(16))

    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        await hand.press("enter", "pagedown")
        await hand.settle()
        assert_harmless(app)

    play(ChainsScreen(Polled(chains, ((EVIL, 16),), 16)), steps, size)


def test_a_vote_without_any_chain_opens() -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        await hand.press("enter", "y", "down")
        assert "no chain found an answer" in words(app)

    assert play(ChainsScreen(Polled((), (), 8)), steps).copied == []


async def voting(run: Chatting, question: str) -> None:
    await command(run, "/votes 3")
    assert run.chat.talk.recipe.votes == 3
    await run.say(question)


def test_chains_vote_on_a_reply_and_the_page_shows_them(home: Path) -> None:
    scripts = (Script("So the answer is 42."), Script("The answer is 42."), Script("The answer is 41."))

    async def scene() -> None:
        async with chatting(home, *scripts) as run:
            await voting(run, "what is it?")
            (reply,) = run.replies()
            assert "42" in reply.text and len(reply.settings["votes"]["chains"]) == 3
            assert "→" in run.text() and "42" in run.text().partition("→")[2].splitlines()[0]
            await command(run, "/chains")
            await run.until(lambda: isinstance(run.app.screen, ChainsScreen), "the page")
            await run.settle()
            assert "Votes: " in run.text()
            await run.press("escape")
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            run.transcript.focus_last()
            await run.press("v")
            await run.until(lambda: isinstance(run.app.screen, ChainsScreen), "the page by its key")

    play_chat(scene)


def test_how_the_vote_stands_is_shown_while_chains_end(home: Path) -> None:
    scripts = (
        Script("The answer is 42."),
        Script("The answer is 41."),
        Script("The answer is 40 I think", hang_after=4),
    )

    async def scene() -> None:
        async with chatting(home, *scripts) as run:
            await command(run, "/votes 3")
            await run.send("what is it?")
            await run.until(lambda: "2 of 3 chains · 1/2 → 42" in run.text(), "how it stands")
            await run.until(lambda: "Esc stops" in [line.strip() for line in run.text().splitlines()], "the key alone")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert "→ 42" in run.text() and len(run.replies()[-1].settings["votes"]["chains"]) >= 2

    play_chat(scene)


def test_the_vote_of_a_reply_from_disk_stands_below_it(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, "how many?", "9", votes=packed_vote(VOTE))
        add_turn(history, "and now?", "none", chat)

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            assert ended_vote(VOTE) in run.text()
            await refused(run, "/chains", "no chains voted on this reply")

    play_chat(scene)


def test_votes_and_drafts_do_not_go_together(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Nine.") as run:
            await refused(run, "/votes many", "cannot vote")
            await refused(run, "/votes 17", "cannot vote")
            await command(run, "/votes 4")
            await run.write("how many?")
            await run.press("f6")
            await run.until(lambda: "votes come to one answer" in run.notices(), "the reason")
            await command(run, "/votes off")
            assert run.chat.talk.recipe.votes == 0

    play_chat(scene)
