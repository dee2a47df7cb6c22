"""Drafts in the chat, by keys: asking for them, walking, stopping, choosing; at 80x24 and where little fits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tui.screen.chatting import Chatting, chatting
from tests.tui.screen.screen_stage import EVIL, assert_harmless

from llmchat_engine import ContextFull
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.screens.drafts import DraftsScreen
from llmchat_tui.widgets.draft_view import DraftText

COLOURS = (Script("Red, **surely**."), Script("A deep blue."), Script("Green it is."), Script("Black."))
HANGING = tuple(Script(f"{word} and more", hang_after=1) for word in ("Red", "Blue", "Green"))


def play(home: Path, steps: Callable[[Chatting], Awaitable[None]], *scripts: Script, **options: Any) -> None:
    async def run() -> None:
        async with chatting(home, *(scripts or COLOURS), **options) as run:
            await steps(run)

    asyncio.run(run())


async def opened(run: Chatting) -> DraftsScreen:
    """Waits for the page."""
    await run.until(lambda: isinstance(run.app.screen, DraftsScreen), "the page")
    page = run.app.screen
    assert isinstance(page, DraftsScreen)
    return page


async def closed(run: Chatting) -> None:
    await run.until(lambda: run.app.screen is run.chat, "the chat")
    await run.settle()


async def drafts(run: Chatting, keys: str = "f6", text: str = "A colour?") -> DraftsScreen:
    """Asks for drafts and waits until all that comes by itself is painted."""
    await run.write(text)
    await run.press(keys)
    page = await opened(run)
    await run.until(lambda: all(view.draft.text for view in page._views), "the first words")
    await run.until(lambda: not any(view.display and view.is_behind for view in page._views), "the paint")
    await run.pilot.pause()
    return page


def at(run: Chatting) -> int:
    """Returns which draft has the focus."""
    focused = run.app.focused
    return focused.number if isinstance(focused, DraftText) else -1


def test_three_stand_side_by_side_and_a_number_chooses(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await drafts(run)
        shown = run.text()
        assert "Red, surely." in shown and "A deep blue." in shown and "Green it is." in shown
        assert "1 ✓ 2 tokens" in shown and "A colour?" in shown
        await run.press("2")
        await closed(run)
        assert "A deep blue." in run.text() and "‹ 2/3 ›" in run.text()
        assert run.app.focused is run.chat.composer.prompt
        await run.say("Why?")
        assert [message.text for message in run.engine.requests[-1].messages] == [  # type: ignore[attr-defined]
            "A colour?",
            "A deep blue.",
            "Why?",
        ]

    play(home, steps, size=(120, 40))


def test_enter_goes_on_with_the_focused_one(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await drafts(run)
        await run.press("right", "right")
        await run.until(lambda: at(run) == 2, "the third")
        await run.press("enter")
        await closed(run)
        assert "Green it is." in run.text() and "‹ 3/3 ›" in run.text()

    play(home, steps)


def test_what_does_not_fit_is_a_key_away(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        page = await drafts(run)
        assert [view.display for view in page._views] == [True, True, False]
        assert "1 ✓  2 ✓  3 ✓" in run.text()
        await run.press("left")  # round
        await run.until(lambda: at(run) == 2, "the last")
        assert [view.display for view in page._views] == [False, True, True]
        await run.until(lambda: "Green it is." in run.text(), "its text")
        await run.press("tab")
        await run.until(lambda: at(run) == 0, "the first")
        await run.pilot.resize_terminal(40, 10)
        await run.until(lambda: [view.display for view in page._views] == [True, False, False], "one column")
        await run.pilot.resize_terminal(200, 60)
        await run.until(lambda: all(view.display for view in page._views), "all")

    play(home, steps)


def test_sixteen_have_their_place_on_80_columns(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.send("/drafts 16 A colour?")
        await opened(run)
        await run.until(lambda: "1✓ 2✓ 3✓" in run.text() and "15✓ 16✓" in run.text(), "all signs")
        await run.press("left")
        await run.until(lambda: at(run) == 15, "the last")
        await run.press("enter")
        await closed(run)
        assert "‹ 16/16 ›" in run.text()

    play(home, steps)


def test_the_page_names_the_question(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.say("Tell me of colours")
        await run.send("/drafts 2 Which is the darkest?")
        page = await opened(run)
        await run.until(lambda: "Which is the darkest?" in run.text(), "the heading")
        assert page._heading == "Which is the darkest?"
        await run.until(lambda: not run.chat.talk.running, "the end")

    play(home, steps)


def test_escape_stops_all_and_then_closes(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        page = await drafts(run)
        await run.press("escape")
        await run.until(lambda: not page._drafts.growing, "the stop")
        await run.until(lambda: "1 ■ 1 token · stopped" in run.text(), "the line")
        assert run.app.screen is page
        await run.press("escape")
        await closed(run)
        assert [(reply.text, reply.status) for reply in run.replies()] == [
            ("Red", "stopped"),
            ("Blue", "stopped"),
            ("Green", "stopped"),
        ]
        assert "‹ 1/3 ›" in run.text()

    play(home, steps, *HANGING)


def test_one_is_stopped_and_the_others_go_on(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        page = await drafts(run)
        await run.press("right", "x")
        engine = run.engine
        assert isinstance(engine, FakeEngine)
        await run.until(lambda: bool(engine.stopped), "the stop")
        assert {number for _, number in engine.stopped} == {1}
        assert len(page._drafts.growing) >= 2
        await run.press("escape")

    play(home, steps, *HANGING)


def test_the_chosen_one_goes_on_growing_among_the_messages(home: Path) -> None:
    slow = (Script("Red then more", hang_after=2), Script("Blue then green then white"))

    async def with_two(run: Chatting) -> None:
        await run.send("/drafts 2 A colour?")
        page = await opened(run)
        await run.until(lambda: all(view.draft.text for view in page._views), "the first words")
        await run.press("2")
        await run.until(lambda: run.app.screen is run.chat, "the chat")
        await run.until(lambda: not run.chat.talk.running, "the end")
        await run.settle()
        view = run.transcript.last_reply
        assert view is not None and view.text == "Blue then green then white"
        assert "‹ 2/2 ›" in run.text()
        assert [reply.status for reply in run.replies()] == ["stopped", "complete"]

    play(home, with_two, *slow, speed=30.0)


def test_the_last_question_is_answered_in_drafts(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.say("A colour?")
        await run.send("/drafts 2")
        await opened(run)
        await run.until(lambda: not run.chat.talk.running, "the end")
        await run.press("1")
        await closed(run)
        assert "‹ 2/3 ›" in run.text()
        run.transcript.focus_last()
        await run.press("f6")
        await opened(run)
        await run.until(lambda: not run.chat.talk.running, "the end")
        await run.press("escape")
        await closed(run)
        assert len(run.replies()) == 6

    play(home, steps)


def test_drafts_that_grow_behind_another_page_are_shown_when_asked_for(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await drafts(run)
        run.app.pop_screen()
        await run.until(lambda: run.app.screen is run.chat, "the chat")
        await run.press("f6")
        await opened(run)
        await run.press("escape")

    play(home, steps, *HANGING)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("/drafts 1", "there cannot be 1 drafts"),
        ("/drafts 17 hi", "there cannot be 17 drafts"),
        ("/drafts", "there is no question yet"),
    ],
)
def test_what_cannot_be_is_told(home: Path, typed: str, told: str) -> None:
    async def steps(run: Chatting) -> None:
        await run.write(typed)
        await run.press("enter")
        await run.until(lambda: told in run.notices(), "the notice")
        assert not run.stored()

    play(home, steps)


def test_documents_commands_and_a_running_reply_have_no_drafts(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.write("/tree")
        await run.press("f6")
        await run.until(lambda: "a command has no drafts" in run.notices(), "the notice")
        run.chat.talk.collections = ("notes",)
        await run.write("hi")
        await run.press("f6")
        await run.until(lambda: "from documents there is one answer" in run.notices(), "the notice")
        run.chat.talk.collections = ()
        await run.send("/drafts 2 hi")
        await opened(run)
        await run.press("escape")

    play(home, steps, *HANGING)


def test_while_a_reply_is_written_there_are_none(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.send("hi")
        await run.write("/drafts 2 and this?")
        await run.press("enter")
        await run.until(lambda: "a reply is being written" in run.notices(), "the notice")
        assert run.draft == "/drafts 2 and this?"
        await run.press("escape")

    play(home, steps, HANGING[0])


def test_a_crash_is_told_and_what_came_can_be_chosen(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.send("/drafts 2 hi")
        await opened(run)
        await run.until(lambda: "the engine stopped" in run.notices(), "the failure")
        await run.until(lambda: "1 ✗ 2 tokens · failed" in run.text(), "the line")
        await run.press("2")
        await closed(run)
        assert "Blue." in run.text() and "‹ 2/2 ›" in run.text() and "everything is saved" not in run.text()

    play(home, steps, Script("one two three", crash_after=2), Script("Blue."))


def test_a_failure_before_the_first_word_leaves_one_failed_reply(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.send("/drafts 3 hi")
        await opened(run)
        await run.until(lambda: "the prompt does not fit" in run.notices(), "the failure")
        await run.until(lambda: "1 ✗ failed before a word came" in run.text(), "the line")
        await run.press("escape")
        await closed(run)
        assert [reply.status for reply in run.replies()] == ["failed"]

    play(home, steps, Script(error=ContextFull(9000, 8192)))


def test_an_empty_draft_cannot_be_gone_on_with(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await run.send("/drafts 2 hi")
        page = await opened(run)
        await run.until(lambda: bool(page._views[0].draft.tokens), "a word")
        await run.press("escape")
        await run.until(lambda: not page._drafts.growing, "the end")
        await run.press("2")
        await run.until(lambda: "nothing was said in this draft" in run.notices(), "the notice")
        await run.press("escape")
        await closed(run)
        assert "‹" not in run.text()
        assert len(run.replies()) == 1

    play(home, steps, Script("one two", hang_after=1), Script("uno", hang_after=0))


def test_what_a_model_says_does_nothing_here(home: Path) -> None:
    async def steps(run: Chatting) -> None:
        await drafts(run, text=f"hi {EVIL}")
        assert_harmless(run.app)

    play(home, steps, Script(EVIL), Script("one"), Script("two"))
