"""A chat that is answered from documents: its collections, what is shown while it is searched, what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.documented import FILES
from tests.tui.screen.chatting import Chatting, play
from tests.tui.screen.command_hand import command, refused
from tests.tui.screen.documented_chat import OFF_TOPIC, WHEN, YEAR, answered, choose, documented, store_in
from tests.tui.screen.screen_stage import EVIL, assert_harmless

from llmchat_engine.testing import Script
from llmchat_rag.context import UNKNOWN
from llmchat_rag.errors import EmbedderMissing
from llmchat_tui.completing import collection_choices, wanted_at
from llmchat_tui.documents_words import as_typed, documents_line, searching_line, typed_names
from llmchat_tui.widgets.bars import ContextGauge


def test_a_chat_is_given_collections_that_are_kept_with_it(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            assert "docs notes" in run.text()
            await answered(run)
            chat = run.chat.talk.conversation_id
            assert run.history.conversation(chat).collections == ("notes",)
            await command(run, "/docs all")
            await run.until(lambda: run.history.conversation(chat).collections == ("*",), "all of them")
            assert "all documents" in run.text()
        async with documented(home, start=chat) as run:
            assert "all documents" in run.text()
            await command(run, "/docs off")
            assert run.chat.talk.collections == () == run.history.conversation(chat).collections
            await run.settle()
            assert "all documents" not in run.text()

    play(scene)


def test_the_gauge_has_what_the_documents_take_while_the_reply_comes(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, Script(f"{YEAR} and never this", hang_after=7)) as run:
            await choose(run)
            await run.send(WHEN)
            await run.until(lambda: "docs " in gauge_line(run), "the documents' tokens")
            shown = run.chat.query_one(ContextGauge).gauge
            assert shown is not None and shown.documents > 20 and shown.used + shown.free == shown.n_ctx
            await run.press("escape")
            await run.until(lambda: not run.chat.talk.running and "docs " not in gauge_line(run), "them to leave")

    play(scene)


def gauge_line(run: Chatting) -> str:
    """Returns the line over the keys."""
    return run.text().splitlines()[-2]


def test_the_sources_stand_under_the_reply_with_their_marks(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            assert "[1] ✓ rome.md:1" in run.text()
            chat = run.chat.talk.conversation_id
        async with documented(home, start=chat) as run:
            await run.until(lambda: "[1] ✓ rome.md:1" in run.text(), "the sources, read from disk")

    play(scene)


def test_what_the_documents_do_not_answer_is_said_without_the_model(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, "never said") as run:
            await choose(run)
            await run.say(OFF_TOPIC)
            shown = " ".join(run.text().split())
            assert "nothing in the documents answers this" in shown and UNKNOWN.split(".")[0] in shown
            assert run.replies()[-1].stats["reason"] == "abstained"
            chat = run.chat.talk.conversation_id
        async with documented(home, start=chat) as run:
            await run.until(lambda: "nothing in the documents answers this" in run.text(), "the line, from disk")

    play(scene)


def test_nothing_found_in_what_is_read_only_now_says_so(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home) as run:
            await choose(run)
            run.app.desk.updates.running = "notes"
            await run.say(OFF_TOPIC)
            await run.until(lambda: "notes is still being read" in run.notices(), "the reason")
            run.app.desk.updates.running = ""

    play(scene)


def test_a_low_screen_has_the_collections_beside_the_gauge(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, YEAR, size=(40, 10)) as run:
            await choose(run)
            await run.until(lambda: gauge_line(run).strip().startswith("docs notes   "), "the collections")
            assert "8,192 free" in gauge_line(run)
            await run.pilot.resize_terminal(80, 24)
            await run.until(lambda: "docs notes" not in gauge_line(run), "the header to have them")
            assert "docs notes" in run.text().splitlines()[0]
            await run.settle()

    play(scene)


def test_what_is_no_collection_is_refused_and_changes_nothing(home: Path) -> None:
    async def scene() -> None:
        async with documented(home) as run:
            await refused(run, "/docs notes", "there are no documents")
        store_in(home)
        async with documented(home) as run:
            await refused(run, "/docs notse", "notse")
            assert run.chat.talk.collections == ()

    play(scene)


def test_a_missing_embedder_is_told_when_the_chat_is_given_documents(home: Path) -> None:
    store_in(home)

    def missing(_passages: bool) -> object:
        raise EmbedderMissing("there is no embedder", "", "hf download it")

    async def scene() -> None:
        async with documented(home, open_embedder=missing) as run:
            await refused(run, "/docs notes", "there is no embedder")

    play(scene)


def test_collections_are_completed_behind_the_command(home: Path) -> None:
    store_in(home)
    store_in(home, {"a.md": "words"}, "my papers")

    async def scene() -> None:
        async with documented(home) as run:
            completions = run.chat.composer.completions
            await run.write("/docs m")
            await run.until(lambda: completions.choice is not None and completions.choice.name == "my papers", "it")
            await run.press("enter")
            await run.until(lambda: run.draft == '/docs "my papers" ', "the name in quotes")
            await run.until(lambda: completions.choice is not None and completions.choice.name == "notes", "the other")
            await run.press("enter")
            await run.until(lambda: run.chat.talk.collections == ("my papers",), "what was typed")
            await run.settle()

    play(scene)


def test_names_of_files_do_nothing_to_the_terminal(home: Path) -> None:
    name = EVIL.replace("/", "").replace("\x00", "")
    store_in(home, {f"{name}.md": FILES["rome.md"]})

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            await answered(run)
            assert "[red]" in run.text()
            assert_harmless(run.app)

    play(scene)


def test_a_search_is_told_while_it_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from llmchat_tui.documents import Documents, Retrieval

    store_in(home)
    may_go, before = threading.Event(), Documents.retrieve

    def held(self: Documents, *args: object, **more: object) -> Retrieval:
        assert may_go.wait(20)
        return before(self, *args, **more)  # type: ignore[arg-type]

    async def scene() -> None:
        async with documented(home, YEAR) as run:
            await choose(run)
            monkeypatch.setattr(Documents, "retrieve", held)
            await run.send(WHEN)
            await run.until(lambda: "searching notes" in run.text(), "what is being done")
            may_go.set()
            await run.until(lambda: bool(run.replies()) and "[1] ✓" in run.text(), "the answer")

    play(scene)


@pytest.mark.parametrize("names", [("notes",), ("my papers", "b"), ('a"b', "c\\d", "-x"), ("two words",)])
def test_names_are_typed_and_read(names: tuple[str, ...]) -> None:
    assert typed_names(" ".join(map(as_typed, names))) == names


def test_collections_in_words() -> None:
    assert [documents_line(names) for names in ((), ("a",), ("a", "b"), ("*",))] == [
        *("", "docs a", "docs a, b", "all documents"),
    ]
    assert [searching_line(names) for names in (("*",), ("a",), ("a", "b"))] == [
        *("searching all documents", "searching a", "searching 2 collections"),
    ]


def test_what_can_follow_the_command() -> None:
    def choices(text: str) -> list[str]:
        wanted = wanted_at(text, len(text), only_line=True)
        assert wanted is not None and wanted.kind == "collection"
        return [choice.text for choice in collection_choices(["notes", "my papers"], wanted)]

    assert choices("/docs ") == ["notes", '"my papers"', "all", "off"]
    assert choices('/docs "my') == ['"my papers"']
    assert choices("/docs notes ") == ['"my papers"']
    assert choices("/docs o") == ["off"]


_OPENED = """
import asyncio, sys
from pathlib import Path
from tests.tui.screen.chatting import chatting

async def scene():
    async with chatting(Path(sys.argv[1]), "hello") as run:
        await run.say("hi")
        print(sorted({"faiss", "onnxruntime", "numpy", "torch", "llmchat_rag.store"} & set(sys.modules)))

asyncio.run(scene())
"""


def test_a_chat_without_documents_imports_nothing_of_them(home: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _OPENED, str(home)], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
