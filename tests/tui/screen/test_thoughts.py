"""The thought of a reply: its last words while it grows, one line afterwards, all of it by a key; answering now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import command, engine_of, page, refused
from tests.tui.screen.screen_stage import EVIL, assert_harmless
from textual.widgets import Static

from llmchat_engine.testing import Script
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.recipe import Recipe
from llmchat_tui.screens.drafts import DraftsScreen
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.widgets.question import QuestionView
from llmchat_tui.widgets.reply import ReplyView
from llmchat_tui.widgets.thought import ThoughtView, last_lines

THOUGHT = "first I look at it,\nthen I turn it round,\nat last I know"
SOME = Script("It is round.", thought=THOUGHT)
HANGS = Script("It is round.", thought=THOUGHT, hang_after=10)
"""Stops in the middle of its thought, behind `turn it round,`."""


def thought_of(run: Chatting) -> ThoughtView:
    view = run.transcript.last_reply
    assert view is not None
    return view.thought


async def thinking(run: Chatting, tokens: int = 10) -> ThoughtView:
    """Asks, and waits until so much of the thought is painted."""
    await run.send("what is it?")
    await run.until(
        lambda: (view := run.transcript.last_reply) is not None and view.thought.thought.tokens == tokens, "the thought"
    )
    await run.until(lambda: not thought_of(run).is_behind, "its paint")
    await run.pilot.pause()
    return thought_of(run)


def add_reply(home: Path, text: str, *, status: str = "complete", thought: str = THOUGHT, count: int = 1) -> str:
    """Adds a chat of replies with a thought, and returns its id."""
    settings: dict[str, Any] = {"thought": {"text": thought, "tokens": 412, "seconds": 3.14}}
    with History.open(home / "chats.db") as history:
        chat = ""
        for number in range(count):
            parent = history.conversation(chat).leaf_id if chat else ""
            begun = history.begin(f"question {number}", conversation_id=chat, parent_id=parent)
            end = ReplyEnd(text, status, settings=settings)  # type: ignore[arg-type]
            history.finish(begun.reply_id, end)
            chat = begun.conversation_id
    return chat


def test_its_last_words_are_shown_while_it_grows_and_a_line_afterwards(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, HANGS, SOME) as run:
            await thinking(run)
            shown = run.text()
            assert "thinking…" in shown and "10 tokens" in shown
            assert "first I look at it," in shown and "then I turn it round," in shown
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.say("again")
            shown = run.text()
            assert "▸ thought 0.1 s · 14 tokens" in shown and "at last I know" not in shown
            assert "It is round." in shown and "thinking" not in shown

    play(scene)


def test_a_reply_that_was_stopped_inside_its_thought_says_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, HANGS) as run:
            await thinking(run)
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            live = run.text()
            assert "· 10 tokens · no answer came" in live
            assert "stopped   r again" in live and "c continue" not in live
            talk = run.chat.talk
            await run.chat.show_new()
            await run.chat.show_talk(run.chat.talks.open(run.history.conversation(talk.conversation_id)))
            await run.settle()
            assert "· 10 tokens · no answer came" in run.text() and "stopped   r again" in run.text()

    play(scene)


@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
def test_a_reply_from_disk_shows_it_folded_and_whole(home: Path, size: tuple[int, int]) -> None:
    chat = add_reply(home, "Answer.")

    async def scene() -> None:
        async with chatting(home, start=chat, size=size) as run:
            assert "▸ thought 3.1 s · 412 tokens" in run.text()
            await run.press("ctrl+t")
            await run.settle()
            await run.until(lambda: "▾ thought 3.1 s" in run.text(), "all of it")
            thought_of(run).scroll_visible(animate=False)
            await run.settle()
            assert "first I look at it," in run.text()
            await run.press("ctrl+t")
            await run.settle()
            assert "▸ thought 3.1 s" in run.text() and "first I look" not in run.text()

    play(scene)


def test_enter_on_a_reply_unfolds_its_own(home: Path) -> None:
    chat = add_reply(home, "Answer.", count=2)

    async def scene() -> None:
        async with chatting(home, start=chat, size=(80, 40)) as run:
            run.transcript.focus_last()
            await run.press("enter")
            await run.settle()
            assert run.text().count("▾ thought") == 1 and run.text().count("▸ thought") == 1
            assert run.text().index("▸ thought") < run.text().index("▾ thought")
            await run.press("enter")
            await run.settle()
            assert run.text().count("▸ thought") == 2 and not run.transcript.views[-1].query(".part")

    play(scene)


def test_what_comes_later_is_unfolded_too_and_what_is_mounted_anew(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, SOME, size=(80, 40)) as run:
            await command(run, "/thoughts")
            assert "shown whole" in run.notices()
            await run.say("what is it?")
            assert "▾ thought" in run.text() and "at last I know" in run.text()
            await run.transcript.show(run.chat.talk.leaf_id)
            await run.settle()
            assert "▾ thought" in run.text() and "at last I know" in run.text()

    play(scene)


def test_a_thought_that_is_unfolded_while_it_grows_grows_whole(home: Path) -> None:
    words = " ".join(f"word{number}" for number in range(900))

    async def scene() -> None:
        async with chatting(home, Script("Done.", thought=words, hang_after=880), size=(80, 40)) as run:
            await run.press("ctrl+t")
            view = await thinking(run, 880)
            await run.until(lambda: "word879" in run.text(), "its last words")
            parts = view.query(".part")
            assert len(parts) > 2
            whole = " ".join(str(part.render()) for part in parts.results(Static))
            assert whole.split() == words.split()[:880]
            await run.press("ctrl+t")
            await run.until(lambda: not view.query(".part"), "the fold")
            await run.until(lambda: "word879" in run.text() and "thinking…" in run.text(), "its last words")

    play(scene)


def test_every_word_of_a_long_thought_is_there_once(home: Path) -> None:
    lines = "\n".join(f"line {number} of it" for number in range(3000))
    chat = add_reply(home, "Answer.", thought=f"\n{lines}\n")

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            await run.press("ctrl+t")
            view = thought_of(run)
            await run.until(lambda: len(view.query(".part")) > len(lines) // 2100, "all pieces")
            await run.settle()
            whole = "\n".join(str(part.render()) for part in view.query(".part").results(Static))
            assert whole.split("\n") == lines.split("\n")

    play(scene)


def test_the_message_that_is_looked_at_stays_where_it_is(home: Path) -> None:
    chat = add_reply(home, "Answer.", count=4)

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            view = run.transcript.views[-2]
            view.focus()
            await run.settle()
            before = view.region.y
            await run.press("ctrl+t")
            await run.settle()
            assert view.region.y == before and "▾ thought" in run.text()
            await run.press("ctrl+t")
            await run.settle()

    play(scene)


def test_the_copied_and_exported_reply_is_the_answer_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr("llmchat_tui.app.ChatApp.copy_to_clipboard", lambda _app, text: kept.append(text))

    async def scene() -> None:
        async with chatting(home, SOME) as run:
            await run.say("what is it?")
            run.transcript.focus_last()
            await run.press("enter", "y")
            await run.until(lambda: bool(kept), "the copy")
            assert kept == ["It is round."]
            await run.press("escape")
            for name in ("chat.md", "chat.json"):
                await command(run, f"/export {home / name}")
                await run.until((home / name).exists, name)
            assert "turn it round" not in (home / "chat.md").read_text()
            assert "turn it round" in (home / "chat.json").read_text()

    play(scene)


def test_what_was_thought_is_harmless(home: Path) -> None:
    chat = add_reply(home, "Answer.", thought=EVIL * 3)

    async def scene() -> None:
        async with chatting(home, Script("Done.", thought=EVIL, hang_after=5), start=chat) as run:
            await run.press("ctrl+t")
            await run.settle()
            assert "[@click=app.quit]" in run.text()
            assert_harmless(run.app)
            await run.press("ctrl+t")
            await thinking(run, 5)
            assert_harmless(run.app)

    play(scene)


def test_a_key_has_the_model_answer_now_and_stands_below_only_meanwhile(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, HANGS) as run:
            assert "answer now" not in run.text()
            await thinking(run)
            assert "^Enter answer now" in run.text()
            engine = engine_of(run)
            await run.press("ctrl+enter")
            await run.until(lambda: bool(engine.concluded), "the word to the engine")
            assert engine.concluded == {engine.requests[0].id}
            engine.scripts = [SOME]
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert "answer now" not in run.text()

    play(scene)


def test_a_command_has_the_model_answer_now(home: Path) -> None:
    words = " ".join(f"word{number}" for number in range(2000))

    async def scene() -> None:
        async with chatting(home, Script("It is round.", thought=words), speed=400) as run:
            await refused(run, "/answer", "no thought is growing")
            await run.send("what is it?")
            await run.until(lambda: run.chat.is_thinking, "the thought")
            await command(run, "/answer")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            (reply,) = run.replies()
            assert reply.text == "It is round." and 0 < reply.thought_tokens < 2000
            assert not run.chat.is_thinking

    play(scene)


def test_a_chain_of_thought_can_be_told_to_answer_too(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, Script("Three and four", hang_after=3), Script("seven")) as run:
            run.chat.talk.recipe = Recipe(cot="zero-shot")
            await run.send("3+4?")
            await run.until(lambda: run.chat.is_thinking, "the reasoning")
            await run.press("ctrl+enter")
            await run.until(lambda: not run.chat.talk.running, "the end")
            (reply,) = run.replies()
            assert (reply.text, reply.thought) == ("seven", "Three and four")

    play(scene)


def test_the_thoughts_of_drafts_are_no_part_of_their_texts(home: Path) -> None:
    scripts = (Script("Red.", thought="a"), Script("Green."), Script("Blue.", thought="d e f", hang_after=2))

    async def scene() -> None:
        async with chatting(home, *scripts, size=(130, 30)) as run:
            await run.write("A colour?")
            await run.press("f6")
            await run.until(lambda: isinstance(run.app.screen, DraftsScreen), "the page")
            drafts = run.chat.talk.drafts
            assert drafts is not None
            await run.until(lambda: len(drafts.growing) == 1 and drafts.think, "the one that thinks")
            await run.until(lambda: "thinking… 2 tokens" in run.text() and "answer now" in run.text(), "its line")
            assert [draft.text for draft in drafts.each] == ["Red.", "Green.", ""]
            await run.press("right", "right", "ctrl+enter")
            await run.until(lambda: bool(engine_of(run).concluded), "the word to the engine")
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.until(lambda: "answer now" not in run.text(), "the keys as before")
            await run.press("1")
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            await run.settle()
            assert "▸ thought" in run.text() and "Red." in run.text()

    play(scene)


def test_a_question_with_words_around_it_is_shown_as_it_was_typed(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Nine.") as run:
            await command(run, "/cot zero-shot")
            await run.say("how many?")
            for _ in range(2):
                question = run.transcript.last_question
                assert isinstance(question, QuestionView) and question.text == "how many?"
                assert "step by step" not in run.text()
                question.focus()
                await run.press("enter")
                await run.settle()
                assert "the model was given:" in run.text() and "Let's think step by step." in run.text()
                await run.transcript.show(run.chat.talk.leaf_id)  # and from disk
                await run.settle()
            assert "Let's think step by step." in await page(run, "/prompt", InfoScreen)

    play(scene)


def test_a_question_tells_how_the_version_that_is_shown_was_asked(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Nine.", "Ten.") as run:
            await run.say("how many?")
            await command(run, "/cot zero-shot")
            run.transcript.focus_last()
            await run.press("r")
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "another reply")
            await run.settle()
            question = run.transcript.last_question
            assert question is not None
            question.focus()
            await run.press("enter")
            await run.until(lambda: "step by step" in run.text(), "how it was asked")
            run.transcript.focus_last()
            await run.press("left")
            await run.until(lambda: "Nine." in run.text() and "step by step" not in run.text(), "the plain question")
            await run.press("right")
            await run.until(lambda: "step by step" in run.text(), "the other way")

    play(scene)


def test_a_reply_that_goes_on_has_its_thought_still(home: Path) -> None:
    chat = add_reply(home, "It is round")

    async def scene() -> None:
        async with chatting(home, " and red.", start=chat) as run:
            run.transcript.focus_last()
            await run.press("c")
            await run.until(lambda: len(run.replies()) == 2 and not run.chat.talk.running, "the rest")
            await run.settle()
            reply = run.replies()[-1]
            assert (reply.text, reply.thought, reply.thought_seconds) == ("It is round and red.", THOUGHT, 3.14)
            assert "▸ thought 3.1 s" in run.text() and "It is round and red." in run.text()

    play(scene)


def test_the_last_lines_of_a_text() -> None:
    text = "one two three four\n\nfive six\n"
    assert [line.plain.strip() for line in last_lines(text, 9, 3)] == ["one two", "three", "four", "five six"][-3:]
    assert last_lines(text, 0, 3) == last_lines(text, 9, 0) == []
    assert [line.plain for line in last_lines("x" * 100_000, 10, 2)] == ["x" * 10] * 2


def test_a_reply_without_a_thought_has_no_line_for_it(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Plain.") as run:
            await run.say("what?")
            view = run.transcript.last_reply
            assert isinstance(view, ReplyView) and view.thought.size.height == 0
            view.focus()
            await run.press("enter")
            await run.settle()
            assert "thought" not in run.text()

    play(scene)
