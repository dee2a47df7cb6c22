"""The context gauge of the whole chat: what it counts and when, its colours, and that typing never waits for it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.chatting import MODEL, Chatting, chatting, play
from tests.tui.stored import add_turn

from llmchat_engine import EngineDied, Event, Loaded, Request
from llmchat_engine.events import Measured
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui.gauge import Gauge
from llmchat_tui.history import History
from llmchat_tui.widgets.bars import ContextGauge

FULL = 120
"""Tokens of a small context."""


def tokens(*messages: str) -> int:
    """Returns what the fake engine counts: words, and one more for what stands around a message."""
    return sum(len(message.split()) + 1 for message in messages)


class Small(FakeEngine):
    """An engine with a small context, which can be told to wait or to fail when it measures."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(scripts or (Script(),), 0.0, replace(MODEL, n_ctx=FULL))
        self.may_measure = threading.Event()
        self.may_measure.set()
        self.measured = 0
        self.failures: list[EngineDied] = []
        self.loads = 0

    def load(self) -> Generator[Event, None, None]:
        self.loads += 1
        yield Loaded(self.model, 0.1)

    def measure(self, request: Request) -> Measured:
        self.measured += 1
        assert self.may_measure.wait(15)
        if self.failures:
            raise self.failures.pop()
        return FakeEngine.measure(self, request)


def gauge(run: Chatting) -> Gauge:
    """Returns what is shown; empty where nothing is."""
    return run.chat.query_one(ContextGauge).gauge or Gauge(0, 0, 0, 0)


async def shows(run: Chatting, **parts: int) -> Gauge:
    """Waits until parts of the gauge are as they should be."""

    def right() -> bool:
        return all(getattr(gauge(run), name) == count for name, count in parts.items())

    await run.until(right, f"{parts} in place of {gauge(run)}")
    await run.pilot.pause()
    return gauge(run)


def test_the_draft_is_counted_while_it_is_typed(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await run.press(*"one two")
            shown = await shows(run, draft=tokens("one two"))
            assert (shown.system, shown.history, shown.n_ctx) == (0, 0, 8192)
            assert "draft 3" in run.text() and "8,189 free" in run.text()
            await run.press(*["backspace"] * 7)
            await shows(run, draft=0)
            assert "draft" not in run.text()

    play(scene)


def test_typing_is_counted_once_it_rests(home: Path) -> None:
    """A count is as dear as reading the whole prompt: one for each key would keep the host busy."""

    async def scene() -> None:
        engine = Small()
        async with chatting(home, engine=engine) as run:
            await shows(run, n_ctx=FULL)
            engine.may_measure.clear()
            await run.press("a")
            before = engine.measured
            await run.until(lambda: engine.measured > before, "the first count")
            await run.press(*" b c d e f g")
            engine.may_measure.set()
            await shows(run, draft=tokens("a b c d e f g"))
            assert engine.measured <= before + 3

    play(scene)


def test_a_count_that_takes_long_keeps_no_key_waiting(home: Path) -> None:
    async def scene() -> None:
        engine = Small()
        async with chatting(home, engine=engine) as run:
            await shows(run, n_ctx=FULL)
            engine.may_measure.clear()
            await run.press(*"some words")
            await run.until(lambda: run.draft == "some words", "the words")
            assert "some words" in run.text() and gauge(run).draft == 0
            engine.may_measure.set()
            await shows(run, draft=tokens("some words"))

    play(scene)


def test_the_segments_are_those_of_the_chat(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, "two words", "and three more")
        history.configure(chat, system="be very brief")

    async def scene() -> None:
        async with chatting(home, start=chat, size=(140, 24)) as run:
            shown = await shows(run, system=tokens("be very brief"))
            assert shown.history == tokens("two words", "and three more")
            await run.write("a draft")
            await shows(run, draft=tokens("a draft"))
            assert "system 4  history 7  draft 3 ▕" in run.text()
            await run.chat.show_new()
            await shows(run, system=0, history=0, draft=0)

    play(scene)


def test_it_is_amber_from_80_percent_and_red_when_too_much(home: Path) -> None:
    levels = {80: "", 95: "", 96: "amber", 119: "amber", 120: "red", 200: "red"}

    async def scene() -> None:
        async with chatting(home, engine=Small()) as run:
            widget = run.chat.query_one(ContextGauge)
            for used, level in levels.items():
                await run.write(" ".join("w" * (used - 1)))
                shown = await shows(run, draft=used)
                assert [name for name in ("amber", "red") if widget.has_class(f"-{name}")] == ([level] if level else [])
                assert (f"{shown.free} free" if shown.free >= 0 else f"{-shown.free} too many") in run.text()

    play(scene)


def test_a_prompt_that_is_too_much_is_told_and_comes_back(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, engine=Small()) as run:
            await run.write(" ".join("w" * (FULL + 10)))
            await shows(run, draft=FULL + 11)
            await run.press("enter")
            await run.until(lambda: bool(run.replies()), "the refusal")
            await run.settle()
            (reply,) = run.replies()
            assert reply.status == "failed" and "does not fit" in reply.error
            assert "does not fit" in " ".join(run.text().split())

    play(scene)


def test_a_reply_takes_room_while_it_comes(home: Path) -> None:
    words = " ".join(f"w{number}" for number in range(90))

    async def scene() -> None:
        async with chatting(home, Script(words, hang_after=60)) as run:
            await run.send("go")
            await run.until(lambda: gauge(run).history > tokens("go"), "the growing reply")
            assert run.chat.talk.running
            before = gauge(run).history
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await shows(run, history=tokens("go") + 61)
            assert before <= tokens("go") + 61

    play(scene)


def test_editing_counts_what_would_be_asked_then(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await run.say("first question")
            await run.say("second one")
            first, second = tokens("first question", "One."), tokens("second one", "Two.")
            assert (await shows(run, history=first + second)).draft == 0
            await run.write("/edit")
            await run.press("enter")
            await shows(run, history=first, draft=tokens("second one"))
            await run.press("escape")
            await shows(run, history=first + second, draft=0)

    play(scene)


def test_a_system_prompt_that_is_changed_is_counted_at_once(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await run.write("/system three more words")
            await run.press("enter")
            await shows(run, system=tokens("three more words"))

    play(scene)


def test_counting_goes_on_after_the_host_died(home: Path) -> None:
    async def scene() -> None:
        engine = Small()
        async with chatting(home, engine=engine) as run:
            engine.failures.append(EngineDied("the engine stopped (SIGKILL)"))
            await run.write("a draft")
            await run.until(lambda: gauge(run).n_ctx == 0, "an empty gauge")
            await run.until(lambda: "SIGKILL" in run.text(), "what happened")
            await run.write("")
            await run.say("a question")
            await shows(run, history=tokens("a question", "Hello there."))
            assert "SIGKILL" not in run.text().splitlines()[0]

    play(scene)


@pytest.mark.parametrize("size", [(40, 10), (20, 6), (200, 60)])
def test_it_fits_into_its_line(home: Path, size: tuple[int, int]) -> None:
    async def scene() -> None:
        async with chatting(home, size=size) as run:
            await run.send("/system a b c")
            await run.write("d e")
            shown = await shows(run, system=tokens("a b c"), draft=tokens("d e"))
            widget = run.chat.query_one(ContextGauge)
            assert widget.size.height == 1
            assert f"{shown.free:,}" in run.text()

    play(scene)
