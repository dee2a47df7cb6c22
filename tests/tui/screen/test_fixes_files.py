"""Names that lead nowhere, a working directory that is gone, imports, notices, settings and search."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.stored import add_turn
from textual.widgets import Input
from textual.widgets._toast import Toast, ToastRack

from llmchat_engine import ModelSpec
from llmchat_tui.attachments import expand
from llmchat_tui.config import set_value
from llmchat_tui.errors import StorageUnwritable, UsageError
from llmchat_tui.history import History
from llmchat_tui.inputs import Limits
from llmchat_tui.places import whole_path
from llmchat_tui.screens import chat_actions
from llmchat_tui.widgets.chat_list import around


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory that was removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()


async def told(run: Chatting, *parts: str) -> None:
    await run.until(lambda: all(part in run.notices() for part in parts), str(parts))


def test_a_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert whole_path("a b") == tmp_path / "a b"
    assert whole_path("~/x") == Path("/home/me/x")
    for name in ("~nosuchuser/x", "", "a\0b"):
        with pytest.raises(UsageError):
            whole_path(name)


@pytest.mark.usefixtures("gone")
def test_a_name_needs_a_directory_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="working directory was removed"):
        whole_path("x")
    assert whole_path("/x") == Path("/x")
    (tmp_path / "f.txt").write_text("data")
    assert expand("ask @someone", Limits(), None).question == "ask @someone"
    assert expand(f"see @{tmp_path}/f.txt", Limits(), None).question.startswith("--- ")
    for text in ("see @f.txt", 'see @"f"', "./f.txt"):
        with pytest.raises(UsageError, match="working directory was removed"):
            expand(text, Limits(), None)


def test_a_file_that_is_in_the_text_is_not_put_there_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    question = expand("what is in @a.txt", Limits(), tmp_path).question
    (tmp_path / "a.txt").write_text("after")
    assert expand(f"{question}?", Limits(), tmp_path).question == f"{question}?"


@pytest.mark.parametrize("name", ["~nosuchuser/x", ".", "..", "/"])
def test_an_export_to_nowhere_says_what_helps(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            monkeypatch.chdir(home)
            await run.say("a question")
            before = {*home.iterdir(), *home.parent.iterdir()}
            chat_actions.export(run.chat, name)
            await told(run, "cannot", "\n")
            assert {*home.iterdir(), *home.parent.iterdir()} == before

    play(scene)


@pytest.mark.usefixtures("gone")
def test_the_chat_works_where_the_working_directory_is_gone(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("a question to @someone")
            chat_actions.export(run.chat, "chat.md")
            await told(run, "chat.md cannot be found", "~/chat.md")
            chat_actions.import_file(run.chat, "in.json")
            await told(run, "in.json cannot be found")
            await run.write("see @f.txt")
            await run.press("enter")
            await told(run, "f.txt cannot be found")
            assert run.draft == "see @f.txt"

    play(scene)


def rows(folder: Path, *names: str) -> str:
    path = folder / "rows.json"
    path.write_text(json.dumps([{"id": name, "prompt": name, "response": name} for name in names]))
    return str(path)


def test_an_import_skips_what_is_here_but_not_what_is_being_deleted(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            chat_actions.import_file(run.chat, rows(home, "one"))
            await told(run, "1 chat was taken over")
            chat_actions.import_file(run.chat, rows(home, "one", "two"))
            await told(run, "1 chat was taken over; 1 was here already")
            run.chat.keeper.doom(run.history.conversation("one").id)
            chat_actions.import_file(run.chat, rows(home, "one", "two", "three"))
            await told(run, "2 chats were taken over; 1 was here already")

    play(scene)


def test_an_import_waits_for_no_pipe(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            os.mkfifo(home / "fifo")
            for name in (str(home / "fifo"), "/dev/zero"):
                chat_actions.import_file(run.chat, name)
                await told(run, "is not a file")
                run.app.clear_notifications()

    play(scene)


def test_an_import_that_fails_half_way_says_how_far_it_came(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add, added = History.add, list[object]()

    def add_two(self: History, *chat: object) -> str:
        added.append(chat)
        if len(added) > 2:
            raise StorageUnwritable("the disk is full")
        return add(self, *chat)  # type: ignore[arg-type]

    async def scene() -> None:
        async with chatting(home) as run:
            monkeypatch.setattr(History, "add", add_two)
            chat_actions.import_file(run.chat, rows(home, "one", "two", "three"))
            await told(run, "the disk is full", "2 chats were taken over")

    play(scene)


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
def test_notices_leave_the_prompt_free(home: Path, size: tuple[int, int]) -> None:
    async def scene() -> None:
        async with chatting(home, size=size) as run:
            await run.app.screen.mount(ToastRack(id="textual-toastrack"))  # the pilot opens screens without one
            run.app.tell_error(UsageError("it failed " * 30, "for this reason", "do that"))
            await run.until(lambda: bool(run.app.screen.query(Toast)), "the notice")
            await run.settle()
            (toast,) = run.app.screen.query(Toast)
            rack = run.app.screen.query_one(ToastRack).region
            assert (toast.region.y, toast.region.right <= size[0]) == (0, True)
            assert toast.region.width <= 60 and toast.region.height <= 3
            assert rack.bottom <= run.chat.composer.region.y
            assert "do that" in run.text()

    play(scene)


def test_a_notice_that_is_shown_is_not_shown_again(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            for _ in range(3):
                run.app.tell("the same")
                run.app.tell_error(UsageError("an error", "why"))
                await run.pilot.pause()
            run.app.tell("another")
            await told(run, "another")
            assert sorted(run.notices().split("\n")) == ["an error — why", "another", "the same"]

    play(scene)


def test_settings_of_loading_keep_the_model_that_was_picked(home: Path) -> None:
    asked: list[str] = []

    def make_spec(name: str) -> ModelSpec:
        asked.append(name)
        return replace(ModelSpec(Path(name or "/default.gguf")), threads=len(asked))

    async def scene() -> None:
        async with chatting(home, make_spec=make_spec) as run:
            chat_actions.use_model(run.chat, "/picked.gguf")
            run.app.apply_settings(frozenset({"threads"}))
            assert run.app.spec == ModelSpec(Path("/picked.gguf"), threads=3)
            set_value(run.app.desk.config.path, "model", "other")
            run.app.apply_settings(frozenset({"model", "threads"}))
            assert run.app.spec is not None and run.app.spec.path == Path("/default.gguf")

    play(scene)


def test_a_snippet_begins_shortly_before_its_match() -> None:
    text = "…and then they all went on to the old Théâtre at the end"
    assert around(text, "theatre") == "…to the old Théâtre at the end"
    assert around(text, "zoo THEAT") == "…to the old Théâtre at the end"
    assert around(text, "zoo") == text
    assert around("theatre first", "theatre") == "theatre first"


@pytest.mark.parametrize(("width", "room"), [(120, 44), (110, 30)])
def test_the_list_is_wider_while_it_is_searched(home: Path, width: int, room: int) -> None:
    with History.open(home / "chats.db") as history:
        add_turn(history, "Towers", "some words that come long before " * 3 + "the kookaburra laughs loudly")

    async def scene() -> None:
        async with chatting(home, size=(width, 30)) as run:
            before = run.chat.chat_list.size.width
            run.chat.chat_list.search_for("kooka")
            await run.until(lambda: "kookaburra" in run.text(), "the match")
            await run.settle()
            assert run.chat.chat_list.outer_size.width == room
            run.chat.chat_list.query_one(Input).value = ""
            await run.settle()
            assert run.chat.chat_list.size.width == before

    play(scene)
