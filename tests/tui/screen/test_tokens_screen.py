"""The tokens of a reply, by keys: opening, walking, the alternatives, branching, leaving; at every size and quick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from tests.tui.scored import FIRST_OTHER, TEXT, ScoringEngine, pieces, scored
from tests.tui.screen.chatting import MODEL, Chatting, chatting, play
from tests.tui.screen.command_hand import command, refused
from tests.tui.screen.screen_stage import EVIL, SIZES, THEMES, Hand, Stage, assert_harmless, painted, until, words
from tests.tui.screen.screen_stage import play as play_screen

from llmchat_engine import EngineDied
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.screens.tokens import TokensScreen
from llmchat_tui.token_view import ScoredReply
from llmchat_tui.widgets.alternatives import Alternatives
from llmchat_tui.widgets.token_text import TokenText

KEY_SECONDS = 0.05
ANSWER = "Rome was founded in 753 BC"


def page_of(found: ScoredReply) -> TokensScreen:
    def ask() -> Iterator[str | ScoredReply]:
        yield "reading 512 of 2,314 tokens"
        yield found

    return TokensScreen(ask, lambda: None)


async def told(hand: Hand, app: Stage) -> TokenText:
    """Waits for the tokens; returns their text."""
    text = app.screen.query_one(TokenText)
    await until(hand, lambda: text.has_focus and "p 0." in words(app))
    return text


class TestThePage:
    def test_tells_how_likely_the_token_at_the_cursor_was(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            text = await told(hand, app)
            assert "9 tokens · mean probability" in words(app)
            assert "p 0.97 · rank 1 · entropy 1.3 bits · token 1 of 9" in words(app)
            await hand.press("l", "right", "right", "left")
            assert "p 0.92" in words(app) and text.cursor == 2
            await hand.press("end")
            assert "token 9 of 9" in words(app)
            await hand.press("home")
            assert "token 1 of 9" in words(app)

        play_screen(page_of(scored(pieces("Rome was founded in 753 BC, so"))), steps)

    def test_goes_to_the_next_unlikely_token_and_round(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            text = await told(hand, app)
            seen = []
            for key in ("n", "n", "n", "N", "N"):
                await hand.press(key)
                seen.append(text.cursor)
            assert seen == [6, 8, 6, 8, 6]

        play_screen(page_of(scored(pieces("Rome was founded in 753 BC, as the"))), steps)

    def test_lines_are_walked_through_at_the_same_column(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            text = await told(hand, app)
            await hand.press(*["right"] * 6)
            at = text.cursor
            await hand.press("j", "j", "down")
            assert "token" in words(app) and text.cursor > at
            await hand.press("k", "up", "up")
            assert text.cursor == at

        play_screen(page_of(scored(pieces(TEXT))), steps)

    def test_an_alternative_is_chosen_with_its_prefix(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            await told(hand, app)
            await hand.press("right", "right", "tab", "down", "enter")

        (begins,) = play_screen(page_of(scored(pieces(ANSWER))), steps).results
        assert (begins.text, begins.token_ids) == ("Rome was maybe", (0, 1, FIRST_OTHER))

    def test_the_text_can_be_walked_from_the_alternatives(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            text = await told(hand, app)
            await hand.press("enter", "right", "l", "h")
            assert text.cursor == 1 and app.screen.query_one(Alternatives).has_focus
            await hand.press("tab")
            assert text.has_focus

        play_screen(page_of(scored(pieces(ANSWER))), steps)

    def test_the_token_that_came_is_in_sight_also_where_few_have_room(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            await told(hand, app)
            await hand.press("n")
            assert painted(app).count("●") == 1

        play_screen(page_of(scored(pieces("Rome was founded in 753 BC, as the"))), steps, (40, 10))

    def test_what_another_model_wrote_is_said_and_not_branched(self) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            await told(hand, app)
            assert "other-7B wrote this, it was read again" in words(app)
            await hand.press("tab", "enter")
            (notice,) = app._notifications
            assert "needs the tokens as they were written" in notice.message

        assert play_screen(page_of(scored(pieces(ANSWER), own=False)), steps).results == []

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("theme", [*THEMES, "ansi-dark"])
    def test_nothing_in_a_reply_acts_on_the_terminal(self, size: tuple[int, int], theme: str) -> None:
        async def steps(hand: Hand, app: Stage) -> None:
            await told(hand, app)
            assert_harmless(app)
            await hand.press("tab", "down")
            assert_harmless(app)
            await hand.press("escape")

        parts = [EVIL, "\x1b[31m", "\x07", "漢\n", "é" * 300, "\u0301", "", "\r", "[/]"]
        assert play_screen(page_of(scored(parts)), steps, size, theme).results == [None]

    def test_a_failure_is_told(self) -> None:
        def ask() -> Iterator[str | ScoredReply]:
            yield "reading"
            raise EngineDied("the engine stopped (SIGSEGV)", "of old age", "ask again")

        async def steps(hand: Hand, app: Stage) -> None:
            await until(hand, lambda: "SIGSEGV" in words(app))
            assert "ask again" in words(app)
            await hand.press("n", "tab", "escape")

        assert play_screen(TokensScreen(ask, lambda: None), steps).results == [None]

    def test_a_long_reply_is_as_quick_as_a_short_one(self) -> None:
        found = scored(pieces(TEXT * 25))
        assert len(found.tokens) > 2_000

        async def steps(hand: Hand, app: Stage) -> None:
            text = await told(hand, app)
            took = []
            for key in ["right"] * 10 + ["down"] * 10 + ["n"] * 10 + ["end", "pageup", "home", "pagedown"]:
                before, began = text.cursor, time.perf_counter()
                await hand.press(key)
                took.append(time.perf_counter() - began)
                assert text.cursor != before
            middle = median(took)  # one of them may meet the garbage collector
            print(f"{len(found.tokens):,} tokens: a key and its paint in {middle * 1000:.1f} ms")
            assert middle < KEY_SECONDS

        play_screen(page_of(found), steps, (120, 36))


def engine_for(*scripts: str) -> ScoringEngine:
    return ScoringEngine([Script(text) for text in scripts], model=MODEL, parts=pieces(scripts[0]))


async def opened(run: Chatting, engine: ScoringEngine) -> None:
    """Opens the page on the last reply with its key."""
    run.transcript.focus_last()
    await run.press("t")
    await run.until(lambda: isinstance(run.app.screen, TokensScreen), "the page")
    await run.until(lambda: bool(engine.scored), "the question")


class TestInTheChat:
    def test_a_branch_begins_with_the_tokens_before_it(self, home: Path) -> None:
        engine = engine_for(ANSWER, " or earlier.")

        async def scene() -> None:
            async with chatting(home, engine=engine) as run:
                await run.say("When?")
                await opened(run, engine)
                await run.until(lambda: "reading 512 of 2,314" in run.text(), "how far it is")
                engine.may_end.set()
                await run.until(lambda: "p 0.97" in run.text(), "the tokens")
                await run.press("right", "right", "enter", "down", "enter")
                await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "the branch")
                await run.settle()
                assert run.replies()[1].text == "Rome was maybe or earlier."
                assert "‹ 2/2 ›" in run.text() and "Rome was maybe or earlier." in run.text()
                assert engine.requests[-1].messages[-1].token_ids == (0, 1, FIRST_OTHER)
                assert run.chat.composer.prompt.has_focus and engine.closed

        play(scene)

    def test_esc_stops_the_question(self, home: Path) -> None:
        engine = engine_for(ANSWER)

        async def scene() -> None:
            async with chatting(home, engine=engine) as run:
                await run.say("When?")
                await opened(run, engine)
                await run.press("escape")
                await run.until(lambda: run.app.screen is run.chat, "the chat")
                asked = engine.scored[0][0].id
                await run.until(lambda: engine._cancelled[asked].is_set(), "the cancel")
                await run.settle()
                assert len(run.replies()) == 1

        play(scene)

    def test_there_are_none_while_a_reply_is_written(self, home: Path) -> None:
        async def scene() -> None:
            async with chatting(home, Script("and so on", hang_after=2)) as run:
                await refused(run, "/tokens", "no reply whose tokens")
                await run.send("first")
                await run.until(lambda: "and so" in run.text(), "some words")
                await run.write("/tokens")
                await run.press("enter")
                await run.until(lambda: "a reply is being written" in run.notices(), "the word")
                assert run.app.screen is run.chat
                await run.press("escape", "escape")
                await run.until(lambda: not run.chat.talk.running, "the end")

        play(scene)

    def test_the_engine_of_others_scores_too(self, home: Path) -> None:
        async def scene() -> None:
            async with chatting(home, engine=FakeEngine([Script(ANSWER)], model=MODEL)) as run:
                await run.say("When?")
                await command(run, "/tokens")
                await run.until(lambda: "6 tokens" in run.text(), "the tokens")

        play(scene)
