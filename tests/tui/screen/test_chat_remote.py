"""The chat over a server: it says where what is asked goes, and counts what can be counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.engine.scripted_server import ScriptedServer, chunk, hanging, refusing, saying
from tests.tui.screen.chatting import Chatting, chatting, play

from llmchat_engine import Engine, RemoteSpec, Spec
from llmchat_engine.remote import RemoteEngine
from llmchat_tui.screens.chat_actions import use_model
from llmchat_tui.widgets.bars import ContextGauge, Header


@asynccontextmanager
async def talking(home: Path, server: ScriptedServer, **more: Any) -> AsyncIterator[Chatting]:
    """Opens the chat with the only model of a server."""
    spec = RemoteSpec(server.url, timeout=20.0)

    def make_engine(wanted: Spec) -> Engine:
        assert isinstance(wanted, RemoteSpec)
        return RemoteEngine(wanted, {})

    desk = {"make_engine": make_engine, "make_spec": lambda _name: spec} | more
    async with chatting(home, size=(100, 30), **desk) as run:
        yield run


def test_the_header_and_a_notice_say_where_questions_go(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([saying("Hello", " there.")]) as server:
            async with talking(home, server) as run:
                assert f"→ {server.place} tiny" in run.text()
                told = f"what you ask now is sent to {server.place}: another program on this machine"
                assert told in " ".join(run.notices().split())
                await run.say("hi")
                assert run.replies()[-1].text == "Hello there."
                assert run.replies()[-1].settings["remote"] == server.place
                assert "Hello there." in run.text()

    play(scene)


def test_a_long_name_does_not_hide_where_questions_go(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([saying("x")], models=({"id": "Q" * 300},)) as server:
            async with talking(home, server) as run:
                run.app.clear_notifications()
                run.chat.query_one(Header).show_documents("asks handbook, letters and contracts")
                await run.until(lambda: f"→ {server.place} Q" in run.text().splitlines()[0], "the header")

    play(scene)


def test_the_notice_comes_once_for_each_server(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([saying("x")]) as server:
            async with talking(home, server) as run:
                run.app.clear_notifications()
                use_model(run.chat, "openai:again")
                await run.until(lambda: run.app.model is not None, "the model")
                await run.settle()
                assert "is sent to" not in run.notices()

    play(scene)


def test_the_gauge_does_not_claim_to_know(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([saying("x")], models=({"id": "tiny"},)) as server:
            async with talking(home, server) as run:
                await run.write("a draft of some words")
                gauge = run.chat.query_one(ContextGauge)
                await run.until(lambda: gauge.gauge is not None and bool(gauge.gauge.draft), "the count")
                assert gauge.gauge is not None
                assert (gauge.gauge.level, gauge.gauge.exact) == ("ok", False)
                used = gauge.gauge.used
                await run.until(lambda: f"about {used} tokens" in run.text(), "the gauge")
                assert "free" not in run.text().splitlines()[-2]
                assert server.counted == []

    play(scene)


def test_esc_stops_a_reply_and_keeps_it(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([hanging(chunk("half of it"))]) as server:
            async with talking(home, server) as run:
                await run.send("hi")
                await run.until(lambda: "half of it" in run.text(), "the text")
                await run.press("escape")
                await run.until(lambda: bool(run.replies()), "the end")
                assert (run.replies()[-1].text, run.replies()[-1].status) == ("half of it", "stopped")

    play(scene)


def test_a_failure_is_told_under_the_question_and_nothing_is_lost(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([refusing(500, {"error": {"message": "cuda gone"}}), saying("again")]) as server:
            async with talking(home, server) as run:
                await run.say("hi")
                assert run.replies()[-1].status == "failed"
                assert "failed" in run.text()
                await run.say("once more")
                assert run.replies()[-1].text == "again"

    play(scene)


def test_facts_of_the_model_are_those_of_the_server(home: Path) -> None:
    async def scene() -> None:
        with ScriptedServer([saying("x")]) as server:
            async with talking(home, server) as run:
                await run.send("/show model")
                await run.until(lambda: "privacy" in run.text(), "the page")
                assert f"{server.place}, vLLM" in run.text()

    play(scene)
