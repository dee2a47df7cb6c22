"""What the documents have on a draft: two lines a moment after a key, only in a chat that asks documents."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, play
from tests.tui.screen.command_hand import command
from tests.tui.screen.documented_chat import OFF_TOPIC, WHEN, YEAR, choose, documented, store_in
from tests.tui.screen.screen_stage import EVIL, assert_harmless

from llmchat_tui.documents import Documents, Retrieval
from llmchat_tui.widgets.preview import LINES, DocumentPreview


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that was searched, and whether that was in the screen's own thread."""
    asked: list[str] = []
    retrieve = Documents.retrieve

    def told(self: Documents, question: str, *args: object, **more: object) -> Retrieval:
        assert threading.current_thread() is not threading.main_thread()
        asked.append(question)
        return retrieve(self, question, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Documents, "retrieve", told)
    return asked


def preview(run: Chatting) -> DocumentPreview:
    return run.chat.query_one(DocumentPreview)


def test_what_is_typed_is_looked_up_a_moment_later_and_only_once(home: Path, searched: list[str]) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            for length in range(10, len(WHEN) + 1):
                await run.write(WHEN[:length])
            await run.until(lambda: "rome.md:1  “Rome was founded" in run.text(), "the preview")
            assert searched == [WHEN] and preview(run).size.height <= LINES
            await run.press("enter")
            await run.until(lambda: bool(run.replies()) and not run.chat.talk.running, "the reply")
            await run.settle()
            assert not preview(run).display

    play(scene)


def test_a_chat_without_documents_looks_nothing_up(home: Path, searched: list[str]) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home) as run:
            await run.write(WHEN)
            await run.settle()
            assert preview(run)._timer is None and not preview(run).display
            await choose(run)
            await run.write("/sources and more")
            await run.write("short")
            await run.settle()
            assert preview(run)._timer is None
        assert searched == []

    play(scene)


def test_what_the_documents_do_not_have_shows_nothing(home: Path, searched: list[str]) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home) as run:
            await choose(run)
            await run.write(WHEN)
            await run.until(lambda: preview(run).display, "the preview")
            await run.write(OFF_TOPIC)
            await run.until(lambda: not preview(run).display, "it to go")
            assert searched == [WHEN, OFF_TOPIC]
            await command(run, "/docs off")
            await run.settle()

    play(scene)


def test_the_preview_obeys_nothing_of_a_document(home: Path) -> None:
    store_in(home, {"rome.md": f"Rome was founded by Romulus {EVIL}"})

    async def scene() -> None:
        async with documented(home) as run:
            await choose(run)
            await run.write(WHEN)
            await run.until(lambda: "[red]" in run.text(), "the preview")
            assert_harmless(run.app)

    play(scene)
