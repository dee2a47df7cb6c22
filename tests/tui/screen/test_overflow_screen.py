"""A full context: the plan before anything is dropped, each way out of it, and the line where what is seen begins."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.screen.chatting import MODEL, PATIENCE, Chatting, chatting, play
from tests.tui.screen.command_hand import command, engine_of
from tests.tui.screen.long_chats import CHAT, focused, id_of, long_chat, rest, roomy
from tests.tui.screen.screen_stage import SIZES, THEMES, Hand, Stage, answers, assert_harmless, assert_walk, words
from tests.tui.screen.screen_stage import play as play_screen

from llmchat_engine import ModelInfo, ModelSpec, Request
from llmchat_engine.events import Measured
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.fit.need import kv_bytes_per_token
from llmchat_engine.models.gguf import read_header
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.messages import OpenChat
from llmchat_tui.overflow import Plan
from llmchat_tui.screens import larger_context, overflow
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.larger_context import LargerContext
from llmchat_tui.screens.overflow import OverflowScreen, choices_of
from llmchat_tui.widgets.divider import Divider, LeftOutMark

WORDS = " ".join(f"w{number}" for number in range(30))
SMALL = replace(MODEL, n_ctx=130, n_ctx_train=130)
PLAN = Plan(left_out=4, turns=2, frees=1_020, needs=312, free=180, n_ctx=8_192, prompt=6_000)


def small(*scripts: Script | str, model: ModelInfo = SMALL) -> FakeEngine:
    """Returns an engine whose context holds two turns of WORDS."""
    return FakeEngine([Script(part) if isinstance(part, str) else part for part in scripts], 0.0, model)


async def filled(run: Chatting, turns: int = 2) -> None:
    """Fills the context."""
    for number in range(turns):
        await run.say(f"question {number}")


async def overflown(run: Chatting, text: str) -> None:
    """Sends a message that does not fit."""
    await run.write(text)
    await run.press("enter")
    await run.until(lambda: isinstance(run.app.screen, OverflowScreen), "the plan")
    await run.pilot.pause()


async def answered(run: Chatting, count: int) -> None:
    await run.until(lambda: len(run.replies()) == count and not run.chat.talk.running, "the reply")
    await run.settle()


def seen(run: Chatting) -> list[str]:
    """Returns what the model was given last."""
    return [message.text.partition(" w")[0] for message in engine_of(run).requests[-1].messages]


def test_nothing_is_dropped_before_the_user_says_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, engine=small(WORDS, WORDS, "Fine.")) as run:
            await filled(run)
            await overflown(run, "and now?")
            shown = " ".join(run.text().split())
            assert "This message needs" in shown and "are free" in shown
            assert "drop the oldest turn (keeps system prompt, frees" in shown
            assert "summarise it" in shown and "edit message" in shown and "larger context" not in shown
            await run.press("enter")  # at once: nothing happens
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            await run.settle()
            assert run.draft == "and now?" and run.app.focused is run.chat.composer.prompt
            assert len(run.stored()) == 4 and [view.text for view in run.transcript.views][-1] == WORDS

    play(scene)


def test_dropping_the_oldest_turns(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, engine=small(WORDS, WORDS, "Fine.", "Good.", "Again."), size=(80, 40)) as run:
            await filled(run)
            await overflown(run, "and now?")
            await run.press("d")
            await answered(run, 3)
            assert run.draft == ""
            assert seen(run) == ["question 1", "w0", "and now?"]
            assert [m.text for m in run.history.path(run.chat.talk.leaf_id)][-2:] == ["and now?", "Fine."]
            lines = [line.strip() for line in run.text().splitlines()]
            (at,) = (at for at, line in enumerate(lines) if line.startswith("── the model does not see the 2 messages"))
            assert "tokens) ──" in lines[at] and "question 1" in " ".join(lines[at:]) and "question 0" not in lines[at:]
            assert (
                run.transcript.children[run.transcript.children.index(run.transcript.query_one(Divider)) + 1]
                is (run.transcript.views[2])
            )
            shown = ""
            await command(run, "/context")
            await run.until(lambda: isinstance(run.app.screen, InfoScreen), "the page")
            await run.pilot.pause()
            shown = " ".join(run.text().split())
            assert "does not see the first 2 messages" in shown
            await run.press("escape")
            await run.until(lambda: run.app.screen is run.chat, "the chat")
            # What was left out stays so, without another question, and also in the chat that is opened again.
            chat = run.chat.talk.conversation_id
            await run.say("go on")
            assert seen(run)[0] == "question 1"
            await run.chat.show_new()
            await run.settle()
            assert not run.transcript.query(Divider)
            await run.chat.show_talk(run.chat.talks.open(run.history.conversation(chat)))
            await run.settle()
            assert "── the model does not see the 2 messages above ──" in run.text()

    play(scene)


def test_summarising_the_oldest_turns(home: Path) -> None:
    async def scene() -> None:
        engine = small(WORDS, WORDS, "They spoke of w0.", "Fine.", model=replace(SMALL, n_ctx=200, n_ctx_train=200))
        async with chatting(home, engine=engine, size=(80, 40)) as run:
            await filled(run)
            await overflown(run, "and now? " + WORDS)
            await run.press("s")
            await answered(run, 3)
            given = engine.requests[-1].messages
            assert given[0].role == "system" and "They spoke of w0." in given[0].text
            assert "── the model has a summary of the" in run.text()
            await run.until(lambda: "system" in run.text(), "the gauge")

    play(scene)


def test_a_larger_context_reloads_the_model(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ModelSpec] = []
    monkeypatch.setattr(overflow, "larger_context", lambda *_: LargerContext(320, 190_000_000))

    async def scene() -> None:
        engines = {0: small(WORDS, WORDS), 320: small("Fine.", model=replace(SMALL, n_ctx=320))}

        def make(spec: ModelSpec) -> FakeEngine:
            made.append(spec)
            return engines[spec.n_ctx]

        async with chatting(home, engine=engines[0], make_engine=make) as run:
            await filled(run)
            await overflown(run, "and now?")
            assert "larger context (320: +190 MB)" in run.text()
            await run.press("l")
            await answered(run, 3)
            assert made[-1].n_ctx == 320 and run.draft == ""
            assert engines[320].requests[-1].messages[0].text == "question 0"

    play(scene)


@pytest.mark.parametrize("what", ["again", "edit", "continue"])
def test_whatever_was_asked_for_is_asked_again(home: Path, what: str) -> None:
    """An answer to an earlier question, another question in its place, a reply that goes on: each can overflow too."""

    async def scene() -> None:
        engine = small(WORDS, WORDS, "Fine.", model=replace(SMALL, n_ctx=10_000))
        async with chatting(home, engine=engine) as run:
            await filled(run)
            engine.model = replace(SMALL, n_ctx=70)
            run.transcript.focus_last()
            if what == "again":
                await run.press("r")
            elif what == "continue":
                await run.press("e")
                await run.until(lambda: run.draft == WORDS, "the reply")
                await run.write("It is")
                await run.press("enter")
            else:
                await run.press("k", "e")
                await run.until(lambda: run.draft == "question 1", "the question")
                await run.write("better")
                await run.press("enter")
            await run.until(lambda: isinstance(run.app.screen, OverflowScreen), "the plan")
            await run.pilot.pause()
            assert run.draft == {"again": "", "edit": "better", "continue": "It is"}[what]
            assert (run.chat.editing is not None) == (what != "again")
            await run.press("d")
            await answered(run, 3)
            path = [m.text for m in run.history.path(run.chat.talk.leaf_id)]
            assert (
                path
                == {
                    "again": ["question 0", WORDS, "question 1", "Fine."],
                    "edit": ["question 0", WORDS, "better", "Fine."],
                    "continue": ["question 0", WORDS, "question 1", "It isFine."],
                }[what]
            )
            assert run.draft == "" and run.chat.editing is None
            assert engine.requests[-1].messages[0].text != "question 0"

    play(scene)


@dataclass
class Slow(FakeEngine):
    """An engine that counts when it is let."""

    may_measure: threading.Event = field(default_factory=threading.Event)

    def measure(self, request: Request) -> Measured:
        assert self.may_measure.wait(PATIENCE)
        return FakeEngine.measure(self, request)


def test_another_draft_stays_in_the_prompt(home: Path) -> None:
    async def scene() -> None:
        engine = Slow([Script(WORDS), Script(WORDS), Script("Fine.")], 0.0, SMALL)
        engine.may_measure.set()
        async with chatting(home, engine=engine) as run:
            await filled(run)
            engine.may_measure.clear()
            await run.send("and now?")
            await run.write("typed meanwhile")
            engine.may_measure.set()
            await run.until(lambda: isinstance(run.app.screen, OverflowScreen), "the plan")
            await run.press("d")
            await answered(run, 3)
            assert run.draft == "typed meanwhile"

    play(scene)


def test_the_settings_may_say_it_beforehand(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, engine=small(WORDS, WORDS, "Fine."), wanted_overflow="drop") as run:
            await filled(run)
            await run.say("and now?")
            assert "does not see" in run.text() and seen(run)[0] == "question 1"

    play(scene)


def test_a_message_that_never_fits_says_so(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, engine=small(WORDS, WORDS)) as run:
            await filled(run)
            await run.write(" ".join([WORDS] * 8))
            await run.press("enter")
            await run.until(lambda: "context" in run.notices() and not run.chat.talk.running, "the word")
            await run.settle()
            assert run.app.screen is run.chat and run.draft == " ".join([WORDS] * 8)
            assert len(run.stored()) == 4

    play(scene)


def test_the_line_goes_with_its_message(home: Path) -> None:
    """Also where that one is not mounted at first, or goes away again."""
    long_chat(home, 200, lines=8)
    with History.open(home / "chats.db") as history:
        begun = history.begin_reply(id_of(198))
        history.finish(begun.reply_id, ReplyEnd("the end", "complete", settings={"left_out": 120, "summary": "so"}))

    async def scene() -> None:
        async with chatting(home, engine=roomy("never"), start=CHAT) as run:
            await rest(run)
            assert not run.transcript.query(Divider)
            run.chat.post_message(OpenChat(CHAT, id_of(121)))
            await run.until(lambda: focused(run) == 121, "the message")
            await rest(run)
            children = list(run.transcript.children)
            at = children.index(run.transcript.query_one(Divider))
            assert getattr(children[at + 1], "message_id", "") == id_of(120)
            for _ in range(6):  # what is loaded above comes above the line
                await run.press("k")
                await rest(run)
            children = list(run.transcript.children)
            at = children.index(run.transcript.query_one(Divider))
            assert getattr(children[at + 1], "message_id", "") == id_of(120)
            assert getattr(children[at - 1], "message_id", "") == id_of(119)
            await run.press("G")
            await rest(run)
            assert not run.transcript.query(Divider)
            assert run.transcript.left_out == LeftOutMark(120, summary=True)

    play(scene)


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (LeftOutMark(12, 1_020), "the model does not see the 12 messages above (1,020 tokens)"),
        (LeftOutMark(2), "the model does not see the 2 messages above"),
        (LeftOutMark(2, 9, summary=True), "the model has a summary of the 2 messages above (9 tokens)"),
    ],
)
def test_the_words_of_the_line(mark: LeftOutMark, told: str) -> None:
    assert mark.words == told


# --- the dialog alone


def test_keys_of_the_dialog() -> None:
    larger = LargerContext(16_384, 190_000_000)
    cases = {
        "d": "drop",
        "s": "summarize",
        "l": "larger",
        "e": None,
        "escape": None,
        "enter": None,
        "up enter": "larger",
        "home enter": "drop",
    }
    found = answers((OverflowScreen(PLAN, larger), keys.split()) for keys in cases)
    assert dict(zip(cases, found, strict=True)) == {keys: [answer] for keys, answer in cases.items()}
    assert answers([(OverflowScreen(PLAN, None), ["l"])]) == [[]]


def test_the_choices_in_words() -> None:
    assert list(choices_of(PLAN, LargerContext(16_384, 190_000_000)).values()) == [
        "drop the two oldest turns (keeps system prompt, frees 1,020)",
        "summarise them",
        "larger context (16,384: +190 MB)",
        "edit message",
    ]
    assert list(choices_of(replace(PLAN, turns=1), None).values()) == [
        "drop the oldest turn (keeps system prompt, frees 1,020)",
        "summarise it",
        "edit message",
    ]
    assert choices_of(replace(PLAN, turns=1_200), None)["drop"].startswith("drop the 1,200 oldest turns")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_everything_is_in_sight(size: tuple[int, int], theme: str) -> None:
    async def steps(hand: Hand, app: Stage) -> None:
        assert_harmless(app)
        shown = words(app)
        assert "This message needs 312 tokens; 180 are free." in shown
        assert "edit message" in shown and "drop the two" in shown and "Enter do it" in shown
        await assert_walk(hand, app)

    play_screen(OverflowScreen(PLAN, LargerContext(16_384, 190_000_000)), steps, size, theme)


# --- how large


@pytest.mark.parametrize(
    ("n_ctx", "tokens", "trained", "found"),
    [(512, 600, 4_096, 1_024), (512, 3_000, 4_096, 4_096), (1_536, 3_500, 4_096, 4_096), (512, 5_000, 4_096, 0),
     (512, 513, 512, 0), (3_000, 3_500, 4_096, 4_096)],
)  # fmt: skip
def test_a_context_that_is_enough_and_was_trained_for(
    tmp_path: Path, n_ctx: int, tokens: int, trained: int, found: int
) -> None:
    path = tiny_llama(tmp_path / "tiny.gguf", n_ctx_train=trained)
    model = replace(MODEL, n_ctx=n_ctx, n_ctx_train=trained)
    larger = larger_context.larger_context(ModelSpec(path), model, tokens, Free(1 << 30, "a test"))
    assert (larger.n_ctx if larger else 0) == found
    if larger:
        header = read_header(path)
        assert larger.extra_bytes >= (found - n_ctx) * kv_bytes_per_token(header)


def test_no_larger_context_than_memory_holds(tmp_path: Path) -> None:
    spec = ModelSpec(tiny_llama(tmp_path / "tiny.gguf", n_ctx_train=1 << 20))
    model = replace(MODEL, n_ctx=512, n_ctx_train=1 << 20)
    assert larger_context.larger_context(spec, model, 1_000_000, Free(1 << 20, "a test")) is None
    assert larger_context.larger_context(spec, model, 1_000_000, Free(1 << 40, "a test")) is not None
    gone = replace(spec, path=tmp_path / "gone.gguf")
    assert larger_context.larger_context(gone, model, 1_000, Free(1 << 40, "a test")) is None
