"""Files in the chat: attached, exported, imported; what cannot be read or written is told and ends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tui.exports import TURN, chatgpt
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.command_hand import command, engine_of, refused
from tests.tui.stored import add_turn
from textual.widgets import Input

from llmchat_tui.history import History
from llmchat_tui.screens import chat_actions
from llmchat_tui.screens.dialogs import TextScreen


@pytest.mark.parametrize("text", ["/file {path}", "/read {path}", "/attach {path}"])
def test_a_file_is_attached_by_command(home: Path, text: str) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            path = home / "my notes.txt"
            path.write_text("the tower is in Paris")
            await command(run, text.format(path=path))
            await run.until(lambda: run.draft == f'@"{path}" ', "the mention")
            await run.say(f"{run.draft}where is it?")
            (question,) = [message for message in run.stored() if message.role == "user"]
            assert question.text.startswith("the tower") or "the tower is in Paris" in question.text
            assert engine_of(run).requests[-1].messages[-1].text == question.text

    play(scene)


def test_a_path_at_the_beginning_is_an_attachment_and_no_command(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            path = home / "notes.txt"
            path.write_text("the tower is in Paris")
            await run.say(f"{path} where is it?")
            assert "the tower is in Paris" in engine_of(run).requests[-1].messages[-1].text

    play(scene)


@pytest.mark.parametrize("name", ["chat.md", "chat.json", "chat"])
def test_an_export_replaces_no_file(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def scene() -> None:
        async with chatting(home, "An **answer**.") as run:
            monkeypatch.chdir(home)
            await run.say("a question")
            await command(run, f"/export {name}")
            await run.until(lambda: "written to" in run.notices(), "the notice")
            path = home / (name if "." in name else f"{name}.md")
            text = path.read_text()
            assert "An **answer**." in text and "a question" in text
            if path.suffix == ".json":
                assert json.loads(text)["format"] == "llmchat-chat"
            await refused(run, f"/export {name}", "exists already")
            assert path.read_text() == text

    play(scene)


def test_an_export_asks_for_a_name_where_none_was_given(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            monkeypatch.chdir(home)
            await refused(run, "/export", "nothing to export yet")
            await run.say("What is: this/that?")
            await command(run, "/export")
            await run.until(lambda: isinstance(run.app.screen, TextScreen), "the question")
            assert run.app.screen.query_one(Input).value == "what-is-this-that.md"
            await run.press("enter")
            await run.until(lambda: (home / "what-is-this-that.md").exists(), "the file")

    play(scene)


BAD_PLACES = ("/", ".", "..", "folder.md", "file/below.md", "~nosuchuser/chat.md/", "x" * 300 + ".md", "full.md")


def test_a_place_that_cannot_be_written_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            monkeypatch.chdir(home)
            await run.say("a question")
            for folder in ("folder.md", "~nosuchuser/chat.md"):
                (home / folder).mkdir(parents=True)
            (home / "file").touch()
            (home / "full.md").symlink_to("/dev/full")
            for name in BAD_PLACES:
                run.app.clear_notifications()
                chat_actions.export(run.chat, name)
                await run.until(lambda: "cannot" in run.notices(), f"the reason for {name}")
                assert "written to" not in run.notices()

    play(scene)


def test_an_export_before_anything_was_asked_is_told(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, f"/export {home / 'chat.md'}")
            await run.until(lambda: bool(run.notices()), "the reason")
            assert not (home / "chat.md").exists()

    play(scene)


def own_export(folder: Path) -> str:
    from llmchat_tui.export import to_json

    with History.in_memory() as history:
        chat = add_turn(history, "Where?", "There.")
        (folder / "export.json").write_bytes(to_json(history.conversation(chat), history.messages(chat)))
    return "export.json"


def chatgpt_export(folder: Path) -> str:
    (folder / "conversations.json").write_text(json.dumps([chatgpt(TURN)]))
    return "conversations.json"


def llm_export(folder: Path) -> str:
    row: dict[str, Any] = {"prompt": "Where?", "response": "There.", "conversation_id": "c", "id": "1", "model": "m"}
    (folder / "logs.json").write_text(json.dumps([row]))
    return "logs.json"


@pytest.mark.parametrize("write", [own_export, chatgpt_export, llm_export])
def test_chats_of_other_programs_are_taken_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], str]
) -> None:
    async def scene() -> None:
        async with chatting(home, size=(120, 30)) as run:
            monkeypatch.chdir(home)
            await command(run, f"/import {write(home)}")
            await run.until(lambda: "1 chat was taken over" in run.notices(), "the notice")
            (chat,) = run.history.conversations()
            assert [message.text for message in run.history.messages(chat.id)] == ["Where?", "There."]
            await run.until(lambda: chat.title in run.text(), "the list")

    play(scene)


def test_a_file_that_cannot_be_imported_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmchat_tui.imports.reading.MAX_BYTES", 1 << 20)
    monkeypatch.setattr("llmchat_tui.imports.MAX_BYTES", 1 << 20)

    async def scene() -> None:
        async with chatting(home) as run:
            monkeypatch.chdir(home)
            (home / "broken.json").write_text("{")
            for name in ("nothing.json", ".", "~nosuchuser/x.json", "broken.json", "x" * 300, "/dev/zero"):
                run.app.clear_notifications()
                await run.write(f"/import {name}")
                await run.press("enter")
                await run.until(lambda: bool(run.notices()), f"the reason for {name}")
            assert run.history.conversations() == []

    play(scene)
