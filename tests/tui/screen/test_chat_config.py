"""Settings and keys of config.toml in the chat, and a chat that another program deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tui.screen.chatting import chatting, play
from tests.tui.screen.command_hand import command, engine_of
from tests.tui.stored import add_turn

from llmchat_tui.config import set_value
from llmchat_tui.history import History
from llmchat_tui.screens.settings import SettingsScreen


def test_changed_settings_apply_at_once(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "word " * 60, size=(120, 30)) as run:
            await run.say("first")
            path = run.app.desk.config.path
            for name, value in (("theme", "nord"), ("reading_width", "44"), ("chat_list", "hide")):
                set_value(path, name, value)
            assert run.chat.chat_list.display
            run.app.apply_settings(frozenset({"theme", "reading_width", "chat_list"}))
            await run.settle()
            assert run.app.theme == "nord"
            assert not run.chat.chat_list.display
            assert all(view.size.width <= 44 for view in run.transcript.views)
            await run.say("second")
            assert all(view.size.width <= 44 for view in run.transcript.views)

    play(scene)


def test_the_settings_page_applies_what_was_changed(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.", size=(120, 30)) as run:
            await run.press("f2")
            await run.until(lambda: isinstance(run.app.screen, SettingsScreen), "the page")
            await run.settle()
            set_value(run.app.desk.config.path, "system", "Be brief.")
            run.app.screen.dismiss(frozenset({"system"}))
            await run.until(lambda: run.app.screen is run.chat, "the chat again")
            await run.say("first")
            assert engine_of(run).requests[-1].messages[0].text == "Be brief."

    play(scene)


def test_a_new_chats_own_system_prompt_survives_a_change_of_the_settings(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            await command(run, "/system Be kind.")
            set_value(run.app.desk.config.path, "theme", "nord")
            run.app.apply_settings(frozenset({"theme"}))
            await run.say("first")
            assert engine_of(run).requests[-1].messages[0].text == "Be kind."

    play(scene)


def test_settings_that_cannot_be_read_any_more_are_told(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            run.app.desk.config.path.write_text("theme = \n")
            run.app.apply_settings(frozenset({"theme"}))
            await run.until(lambda: "not valid TOML" in run.notices(), "the reason")

    play(scene)


@pytest.mark.parametrize(("written", "key"), [("ctrl+b", "ctrl+b"), ("Ctrl+B", "ctrl+b"), ("f9, f10", "f10")])
def test_keys_of_the_config_work_in_place_of_the_built_in_ones(home: Path, written: str, key: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f'[keys]\nnew_chat = "{written}"\nagain = "x"\nsend = "f8"\n')

    async def scene() -> None:
        async with chatting(home, "One.", "Two.", size=(120, 30)) as run:
            await run.write("first")
            await run.press("f8")
            await run.until(lambda: len(run.replies()) == 1, "the reply")
            await run.settle()
            chat = run.chat.talk.conversation_id
            run.transcript.focus_last()
            await run.press("r")
            await run.pilot.pause()
            assert run.chat.talk.running is None and len(run.replies()) == 1
            await run.press("x")
            await run.until(lambda: len(run.replies()) == 2, "another reply")
            await run.settle()
            await run.press("ctrl+n")
            await run.settle()
            assert run.chat.talk.conversation_id == chat
            await run.press(key)
            await run.until(lambda: run.chat.talk.conversation_id == "", "a new chat")

    play(scene)


def test_a_chat_deleted_by_another_program_never_ends_this_one(home: Path) -> None:
    """Every key and command over a chat that is on the screen and not on the disk."""

    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("a question")
            chat = run.chat.talk.conversation_id
            with History.open(home / "chats.db") as other:
                other.delete(chat)
            for text in ("/again", "/edit", "/stats", "/context", "/prompt", "/rename x", "/system x", "/set seed 1",
                         "/export x.md", "/open a question", "/copy", "/delete"):  # fmt: skip
                if not run.chat.talk.conversation_id:
                    break
                await run.write(text)
                await run.press("enter")
                await run.settle()
                if run.app.screen is not run.chat:
                    await run.press("escape")
                    await run.settle()
            run.transcript.focus_last()
            await run.press("r", "k", "e", "escape")
            await run.settle()
            assert run.app.is_running and not run.app._exit

    play(scene)


def test_scrolling_in_a_chat_deleted_by_another_program_is_told_once(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = ""
        for number in range(40):
            chat = add_turn(history, f"question {number}", "line\n\n" * 30, chat)

    async def scene() -> None:
        async with chatting(home, start=chat) as run:
            with History.open(home / "chats.db") as other:
                other.delete(chat)
            for _ in range(40):
                await run.press("pageup")
            run.transcript.focus_last()
            await run.press("g", "G", "k", "j", "e", "r")
            await run.settle()
            assert run.app.is_running and "no message" in run.notices()

    play(scene)


def test_a_question_to_a_chat_deleted_by_another_program_comes_back(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await run.say("a question")
            with History.open(home / "chats.db") as other:
                other.delete(run.chat.talk.conversation_id)
            await run.write("another")
            await run.press("enter")
            await run.until(lambda: bool(run.notices()) and run.draft == "another", "the question back")
            assert run.chat.talk.running is None

    play(scene)
