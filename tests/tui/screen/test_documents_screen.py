"""The page of the collections: adding a folder, updating, failures, forgetting, and choosing one for the chat."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.rag.doubles import PlainPool
from tests.tui.documented import FILES
from tests.tui.screen.chatting import Chatting, play
from tests.tui.screen.documented_chat import documented, store_in
from tests.tui.screen.screen_stage import EVIL, assert_harmless, words
from textual.widgets import Input, OptionList

from llmchat_rag.errors import EmbedderMissing
from llmchat_rag.events import Done
from llmchat_rag.ingest import Event
from llmchat_rag.types import Cancelled, Found, Parsed, Refused
from llmchat_tui.screens.documents import CollectionList, DocumentsScreen, UpdatesChanged
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.shelf import Shelf
from llmchat_tui.updates import Updates


class Pool(PlainPool):
    """Reads files as they are, in this process; a file named so is refused."""

    held: threading.Event | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def parse_all(self, items: Iterable[Found]) -> Iterator[tuple[Found, Parsed | Refused]]:
        for found, parsed in super().parse_all(items):
            if self.held is not None:
                assert self.held.wait(20)
            yield found, Refused("it is broken") if "broken" in found.relative else parsed


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> type[Pool]:
    monkeypatch.setattr(Pool, "held", None)
    monkeypatch.setattr("llmchat_rag.parse.pool.ParserPool", Pool)
    return Pool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "papers"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text)
    return made


async def opened(run: Chatting) -> DocumentsScreen:
    await run.press("ctrl+l")
    await run.until(lambda: isinstance(run.app.screen, DocumentsScreen), "the page")
    await run.settle()
    page = run.app.screen
    assert isinstance(page, DocumentsScreen)
    return page


async def add(run: Chatting, page: DocumentsScreen, path: Path | str) -> None:
    await run.press("a")
    field = page.query_one(Input)
    await run.until(lambda: field.has_focus, "the field")
    field.value = str(path)
    await run.press("enter")


async def to_the_list(run: Chatting, page: DocumentsScreen) -> None:
    page.query_one(OptionList).focus()
    await run.settle()


def test_a_folder_is_added_read_and_used_in_the_chat(home: Path, folder: Path) -> None:
    async def scene() -> None:
        async with documented(home) as run:
            page = await opened(run)
            assert "There are no documents yet" in run.text()
            await add(run, page, folder)
            await run.until(lambda: "3 files · 3 passages" in run.text() and "3 read" in run.text(), "the collection")
            await to_the_list(run, page)
            await run.press("enter")
            await run.until(lambda: run.chat.talk.collections == ("papers",), "the chat's collection")
            await run.settle()
            page = await opened(run)
            assert "● papers" in run.text()
            await run.press("enter")
            await run.until(lambda: run.chat.talk.collections == (), "it to be used no longer")
            await run.settle()

    play(scene)


def test_what_cannot_be_read_is_listed_with_its_reason(home: Path, folder: Path) -> None:
    (folder / "broken.md").write_text("x")

    async def scene() -> None:
        async with documented(home) as run:
            page = await opened(run)
            await add(run, page, folder)
            await run.until(lambda: "1 failed" in run.text() and "f failed" in run.text(), "the failure")
            await to_the_list(run, page)
            await run.press("f")
            await run.until(lambda: isinstance(run.app.screen, InfoScreen), "the reasons")
            await run.settle()
            assert "broken.md: it is broken" in run.text()

    play(scene)


def test_a_collection_is_forgotten_when_it_is_said_twice(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home) as run:
            await opened(run)
            await run.press("d")
            await run.until(lambda: "d once more forgets notes: 3 passages" in run.text(), "the question")
            assert len(run.app.desk.shelf.rows()) == 1
            await run.press("d")
            await run.until(lambda: "There are no documents yet" in run.text(), "an empty page")
            assert run.app.desk.shelf.rows() == ()
            assert (home / "notes-files" / "rome.md").is_file() or not (home / "notes-files").exists()

    play(scene)


def test_an_update_is_stopped_and_goes_on_later(home: Path, folder: Path, pool: type[Pool]) -> None:
    pool.held = threading.Event()

    async def scene() -> None:
        async with documented(home) as run:
            page = await opened(run)
            await add(run, page, folder)
            await run.until(lambda: run.app.desk.updates.running == "papers", "the update")
            await run.until(lambda: "papers" in run.text(), "its row")
            await to_the_list(run, page)
            await run.press("x")
            assert pool.held is not None
            pool.held.set()
            await run.until(lambda: "stopped; u goes on" in run.text(), "the end")
            await run.press("u")
            await run.until(lambda: "3 files · 3 passages" in run.text(), "all of it")

    play(scene)


def test_half_of_the_files_are_gone_and_the_user_says_yes(home: Path, folder: Path) -> None:
    async def scene() -> None:
        async with documented(home, size=(100, 24)) as run:
            page = await opened(run)
            await add(run, page, folder)
            await run.until(lambda: "3 files · 3 passages" in run.text(), "the collection")
            assert "forget missing" not in run.text()
            for name in ("rome.md", "bread.md"):
                (folder / name).unlink()
            await run.press("u")
            await run.until(lambda: "2 of 3 files are gone" in run.text(), "the question")
            await run.until(lambda: "y forgets these files, u looks again" in words(run.app), "what can be done")
            assert "y forget missing" in run.text()
            assert run.app.desk.shelf.rows()[0].files == 3
            await run.press("y")
            await run.until(lambda: "1 file · 1 passage" in run.text() and "2 removed" in run.text(), "the yes")
            assert "forget missing" not in run.text() and "are gone" not in run.text()

    play(scene)


def test_all_are_updated_one_after_the_other(home: Path) -> None:
    store_in(home)
    store_in(home, {"a.md": "words"}, "papers")

    async def scene() -> None:
        async with documented(home) as run:
            await opened(run)
            await run.press("U")
            await run.until(lambda: run.text().count("nothing has changed") == 2, "both")

    play(scene)


def test_an_update_takes_no_question_back(home: Path, folder: Path, pool: type[Pool]) -> None:
    store_in(home)
    pool.held = threading.Event()

    async def scene() -> None:
        async with documented(home) as run:
            page = await opened(run)
            await add(run, page, folder)
            rows = page.query_one(CollectionList)
            # The row of what was added takes the cursor when it is there; its name stands in the field before that.
            await run.until(lambda: run.app.desk.updates.running == "papers" and rows.highlighted == 1, "the update")
            await run.press("home")
            await run.until(lambda: rows.highlighted == 0, "the first row")
            await run.press("d")
            await run.until(lambda: "d once more forgets notes" in run.text(), "the question")
            page.post_message(UpdatesChanged())
            await run.settle()
            assert "d once more forgets notes" in run.text()
            await run.press("down")
            await run.until(lambda: "once more" not in run.text(), "it to be taken back")
            await run.press("d")
            await run.until(lambda: "papers is being updated; x stops that first" in run.text(), "the refusal")
            assert pool.held is not None
            pool.held.set()
            await run.until(lambda: not run.app.desk.updates.running, "the end")

    play(scene)


async def close_while_it_updates(run: Chatting, folder: Path, pool: type[Pool]) -> None:
    """Has a folder added, leaves the page, and lets the update go on."""
    page = await opened(run)
    await add(run, page, folder)
    await run.until(lambda: run.app.desk.updates.running == "papers", "the update")
    await run.press("escape")
    await run.until(lambda: run.app.screen is run.chat, "the chat")
    assert pool.held is not None
    pool.held.set()


def test_what_ends_behind_the_closed_page_is_told(home: Path, folder: Path, pool: type[Pool]) -> None:
    pool.held = threading.Event()

    async def scene() -> None:
        async with documented(home) as run:
            await close_while_it_updates(run, folder, pool)
            await run.until(lambda: "papers: 3 read, 0 unchanged" in run.notices(), "the word about it")

    play(scene)


def test_a_path_is_completed_and_stays_where_it_was_wrong(home: Path, folder: Path) -> None:
    async def scene() -> None:
        async with documented(home) as run:
            page = await opened(run)
            await run.press("a")
            field = page.query_one(Input)
            await run.until(lambda: field.has_focus, "the field")
            field.value = f"{folder.parent}/pap"
            field.cursor_position = len(field.value)
            await run.until(lambda: field._suggestion == f"{folder}/", "the suggestion")
            await run.press("tab")
            await run.until(lambda: field.value == f"{folder}/", "the whole path")
            field.value = "/no/such/folder"
            await run.press("enter")
            await run.until(lambda: "cannot be indexed" in run.text(), "the failure")
            assert field.value == "/no/such/folder" and field.has_focus

    play(scene)


def test_an_update_goes_on_when_the_page_is_closed(home: Path, folder: Path, pool: type[Pool]) -> None:
    pool.held = threading.Event()

    async def scene() -> None:
        async with documented(home) as run:
            await close_while_it_updates(run, folder, pool)
            await run.until(lambda: run.app.desk.updates.running == "", "the end")
            await opened(run)
            await run.until(lambda: "3 files · 3 passages" in run.text(), "what was read")

    play(scene)


def test_what_goes_wrong_is_told_on_the_page(home: Path, folder: Path) -> None:
    def missing(_passages: bool) -> object:
        raise EmbedderMissing("there is no embedder", "", "hf download it")

    async def scene() -> None:
        async with documented(home, open_embedder=missing, size=(120, 24)) as run:
            page = await opened(run)
            await add(run, page, "/no/such/folder")
            await run.until(lambda: "/no/such/folder cannot be indexed" in run.text(), "the failure")
            await add(run, page, folder)
            await run.until(lambda: "there is no embedder   hf download it" in run.text(), "the reason")

    play(scene)


def test_names_of_collections_do_nothing_to_the_terminal(home: Path) -> None:
    store_in(home, name=EVIL.replace("/", "").replace("\x00", ""))

    async def scene() -> None:
        async with documented(home, size=(120, 24)) as run:
            await opened(run)
            assert "[red]" in run.text()
            assert_harmless(run.app)

    play(scene)


def test_updates_wait_for_one_another_and_are_told(home: Path, folder: Path) -> None:
    from llmchat_rag.embed.fake import HashEmbedder

    other = folder.parent / "other.md"
    other.write_text(FILES["rome.md"])
    shelf = Shelf(home / "docs", HashEmbedder)
    names = [shelf.add(str(folder)), shelf.add(str(other))]
    updates, ended = Updates(shelf), threading.Event()
    updates.listener = lambda: None if updates.running or updates._waiting else ended.set()
    for name in (*names, *names):
        updates.start(name)
    assert ended.wait(20)
    updates.close(5)
    assert [(row.collection.name, row.files) for row in shelf.rows()] == [("other", 1), ("papers", 3)]
    assert shelf.add(str(folder)) == "papers"
    assert updates.lines["papers"] in ("3 read, 0 unchanged", "nothing has changed")


def test_a_start_behind_a_stop_is_not_lost() -> None:
    began, may_go, ended = threading.Event(), threading.Event(), threading.Event()
    asked: list[str] = []

    class Slow:
        def update(self, name: str, cancelled: Callable[[], bool], *, accept_missing: bool) -> Iterator[Event]:
            asked.append(name)
            began.set()
            assert may_go.wait(20)
            if cancelled():
                raise Cancelled
            yield Done(1, 0, 0, 0, 1, 1, 0.1)

    updates = Updates(Slow())
    updates.ended = lambda _name: ended.set()
    updates.start("first")
    assert began.wait(20)
    updates.start("never")
    updates.stop()
    updates.start("second")
    may_go.set()
    assert ended.wait(20)
    updates.close(5)
    assert asked == ["first", "second"] and updates.lines["first"] == "stopped; u goes on"


def test_a_failure_that_nobody_thought_of_leaves_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    done = threading.Event()

    class Broken:
        def update(self, name: str, cancelled: Callable[[], bool], *, accept_missing: bool) -> Iterator[Event]:
            if name == "broken":
                raise KeyError(name)
            yield Done(1, 0, 0, 0, 1, 1, 0.1)

    updates, quiet = Updates(Broken()), threading.Event()
    updates.listener = lambda: None if updates.running else quiet.set()
    updates.start("broken")
    assert quiet.wait(20)
    updates.ended = lambda _name: done.set()
    updates.start("next")
    assert done.wait(20)
    updates.close(5)
