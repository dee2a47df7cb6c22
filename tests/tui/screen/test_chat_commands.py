"""Every slash command, typed into the real prompt: what is shown, what is on disk, what the next request carries."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.screen.command_hand import CODE, WRONG, command, engine_of, page, refused
from tests.tui.stored import add_turn
from textual.widgets import TextArea

from llmchat_engine import Event, Loading, ModelMissing, ModelSpec
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui import commands
from llmchat_tui.commands import COMMANDS
from llmchat_tui.config import load_config
from llmchat_tui.history import History
from llmchat_tui.presence import ModelReady
from llmchat_tui.screens.chat_settings import ChatSettingsScreen
from llmchat_tui.screens.help import HelpScreen
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.models import ModelsScreen
from llmchat_tui.screens.settings import SettingsScreen
from llmchat_tui.screens.themes import ThemesScreen


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    kept: list[str] = []
    monkeypatch.setattr("llmchat_tui.app.ChatApp.copy_to_clipboard", lambda _app, text: kept.append(text))
    return kept


def test_every_command_of_the_table_is_tried_here_or_beside() -> None:
    tried = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [command.name for command in COMMANDS if f"/{command.name}" not in tried] == []


PAGES: tuple[tuple[str, type, str], ...] = (
    ("/help", HelpScreen, "Ctrl"),
    ("/?", HelpScreen, "Ctrl"),
    ("/settings", SettingsScreen, "Settings"),
    ("/model", ModelsScreen, ""),
    ("/theme", ThemesScreen, "Colours"),
    ("/system", ChatSettingsScreen, ""),
    ("/show", InfoScreen, "quantisation"),
    ("/show info", InfoScreen, "fake-1B"),
    ("/show system", InfoScreen, "(none)"),
    ("/show parameters", InfoScreen, "temperature         the model decides"),
    ("/context", InfoScreen, "free"),
    ("/prompt", InfoScreen, "<|im_start|>user"),
)


def test_commands_that_open_a_page(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, size=(100, 30)) as run:
            await run.until(lambda: "free" in run.text(), "the gauge")
            for text, kind, said in PAGES:
                assert said in await page(run, text, kind), text
                assert run.app.focused is run.chat.composer.prompt

    play(scene)


def test_new_open_search_and_chats(home: Path) -> None:
    with History.open(home / "chats.db") as history:
        chat = add_turn(history, "the old question", "the old answer")
        add_turn(history, "another", "answer")

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/open the old question")
            await run.until(lambda: run.chat.talk.conversation_id == chat, "the chat")
            await command(run, "/new")
            await run.until(lambda: not run.chat.talk.conversation_id, "a new chat")
            await command(run, f"/load {chat[:20]}")
            await run.until(lambda: run.chat.talk.conversation_id == chat, "the chat")
            await refused(run, "/open nothing like it", "no chat")
            await command(run, "/search another")
            await run.until(lambda: run.chat.chat_list.query_text == "another", "the search")
            await run.press("escape")
            await run.until(lambda: run.chat.composer.prompt.has_focus, "the prompt")
            shown = run.chat.chat_list.display
            await command(run, "/chats")
            await run.until(lambda: run.chat.chat_list.display != shown, "the list")

    play(scene)


def test_rename_and_delete(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            await refused(run, "/rename too early", "no message yet")
            await command(run, "/delete")
            await run.say("first")
            chat = run.chat.talk.conversation_id
            await command(run, "/rename A [/x] better title")
            assert run.history.conversation(chat).title == "A [/x] better title"
            await run.until(lambda: "A [/x] better title" in run.text(), "the title")
            await command(run, "/delete")
            await run.until(lambda: run.chat.talk.conversation_id == "", "an empty chat")

    play(scene)
    with History.open(home / "chats.db") as history:
        assert history.conversations() == []


def test_a_command_that_needs_words_waits_for_them(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            for text in ("/rename", "/open", "/set", "/import", "/file"):
                await command(run, text)
                await run.until(lambda text=text: run.draft == f"{text} ", "the command")  # type: ignore[misc]
                assert run.app.focused is run.chat.composer.prompt

    play(scene)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("/set temperature 0.2", "temperature", 0.2),
        ("/set parameter temperature 0.2", "temperature", 0.2),
        ("/set top-k 5", "top_k", 5),
        ("/SET Max_Tokens 7", "max_tokens", 7),
        ('/set stop ["a", "b"]', "stop", ("a", "b")),
        ("/set stop END", "stop", ("END",)),
        ("/set seed 0", "seed", 0),
    ],
)
def test_a_sampling_value_reaches_the_next_request_and_the_disk(
    home: Path, text: str, field: str, value: object
) -> None:
    chats: list[str] = []

    async def setting() -> None:
        async with chatting(home, "Fine.") as run:
            await command(run, text)
            await run.say("first")
            assert getattr(engine_of(run).requests[-1].sampling, field) == value
            chats.append(run.chat.talk.conversation_id)

    async def coming_back() -> None:
        async with chatting(home, "Fine.", start=chats[0]) as run:
            await run.say("second")
            assert getattr(engine_of(run).requests[-1].sampling, field) == value

    play(setting)
    play(coming_back)


def test_a_value_that_does_not_fit_is_told_and_nothing_changes(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            for text in WRONG:
                run.app.clear_notifications()
                await run.write(f"/set {text}")
                await run.press("enter")
                await run.until(lambda: bool(run.notices()), f"the reason for {text}")
            assert dict(run.chat.talk.sampling) == {}

    play(scene)


def test_a_system_prompt_counts_from_the_next_message_on_and_stays(home: Path) -> None:
    chats: list[str] = []

    def roles(run: Chatting) -> list[tuple[str, str]]:
        return [(message.role, message.text) for message in engine_of(run).requests[-1].messages]

    async def setting() -> None:
        async with chatting(home, "One.", "Two.") as run:
            await command(run, "/system Be brief.")
            await run.say("first")
            assert roles(run)[0] == ("system", "Be brief.")
            await command(run, "/set system Be long.")
            await run.say("second")
            assert roles(run)[0] == ("system", "Be long.")
            chats.append(run.chat.talk.conversation_id)
            assert "Be long." in await page(run, "/show system", InfoScreen)
            await run.chat.show_new()
            await run.say("elsewhere")
            assert [role for role, _ in roles(run)] == ["user"]

    async def coming_back() -> None:
        async with chatting(home, "Three.", start=chats[0]) as run:
            await run.say("third")
            assert roles(run)[0] == ("system", "Be long.")

    play(setting)
    play(coming_back)


def test_the_settings_of_a_chat_can_be_edited_on_their_page(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.", size=(100, 40)) as run:
            await run.say("first")
            await run.press("f3")
            await run.until(lambda: isinstance(run.app.screen, ChatSettingsScreen), "the page")
            await run.settle()
            run.app.screen.query_one(TextArea).text = "Be kind."
            await run.press("ctrl+s")
            await run.until(lambda: run.app.screen is run.chat, "the chat again")
            assert run.history.conversation(run.chat.talk.conversation_id).system == "Be kind."
            await run.say("second")
            assert engine_of(run).requests[-1].messages[0].text == "Be kind."

    play(scene)


def test_another_model_answers_from_now_on(home: Path) -> None:
    asked: list[str] = []

    def make_spec(name: str) -> ModelSpec:
        asked.append(name)
        if name == "missing":
            raise ModelMissing("there is no model named missing", "", "llmchat models")
        return ModelSpec(home / f"{name or 'first'}.gguf")

    async def scene() -> None:
        async with chatting(home, "Fine.", make_spec=make_spec) as run:
            await command(run, "/model other")
            await run.until(
                lambda: isinstance(run.app.spec, ModelSpec) and run.app.spec.path.name == "other.gguf", "the model"
            )
            await run.until(lambda: run.app.model is not None, "its loading")
            await refused(run, "/model missing", "no model named missing")
            assert isinstance(run.app.spec, ModelSpec) and run.app.spec.path.name == "other.gguf"
            await run.say("still there")
            assert asked == ["", "other", "missing"]

    play(scene)


def test_news_of_a_model_that_was_replaced_are_not_taken_for_the_new_one(home: Path) -> None:
    waiting = threading.Event()

    class Loads(FakeEngine):
        def load(self) -> Generator[Event, None, None]:
            yield Loading(0.5)
            assert waiting.wait(15)

    def make_engine(spec: ModelSpec) -> FakeEngine:
        return Loads() if spec.path.name == "other.gguf" else FakeEngine()

    async def scene() -> None:
        async with chatting(home, make_engine=make_engine) as run:
            old, stale = run.app.spec, run.app.model_news
            assert old is not None and isinstance(stale, ModelReady)
            run.app._tell_model(old, stale)
            run.app.use_model(ModelSpec(home / "other.gguf"))
            await run.until(lambda: "loading the model 50%" in run.text(), "the new one")
            assert run.app.model is None
            waiting.set()

    play(scene)


def test_again_edit_and_stop(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "One.", "Two.", Script("a b c", hang_after=1)) as run:
            await refused(run, "/again", "nothing to answer yet")
            await refused(run, "/edit", "no question yet")
            await command(run, "/stop")
            await run.say("first")
            await command(run, "/regen")
            await run.until(lambda: len(run.replies()) == 2, "another reply")
            await run.settle()
            await command(run, "/edit")
            await run.until(lambda: run.draft == "first", "the question")
            await run.send("first, better")
            await run.until(lambda: run.chat.talk.running is not None, "the turn")
            await refused(run, "/again", "Esc stops it")
            await command(run, "/edit")
            await command(run, "/stop")
            await run.until(lambda: not run.chat.talk.running, "the end")
            await run.settle()
            assert run.replies()[-1].status == "stopped"

    play(scene)


def test_copying_a_reply_or_its_last_code(home: Path, copied: list[str]) -> None:
    async def scene() -> None:
        async with chatting(home, CODE, "No code.") as run:
            await refused(run, "/copy", "no reply yet")
            await run.say("first")
            await command(run, "/copy")
            await command(run, "/copy code")
            await run.until(lambda: len(copied) == 2, "both")
            assert copied == [CODE, "ls -l"]
            await run.say("second")
            await refused(run, "/copy code", "no code block")

    play(scene)


def test_stats_of_the_last_reply(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Two words.") as run:
            await refused(run, "/stats", "nothing was measured yet")
            await run.say("first")
            shown = await page(run, "/stats", InfoScreen)
            assert "2 tokens" in shown and "prompt_tokens" in shown and "temperature" in shown

    play(scene)


def test_the_context_adds_up(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "Two words.", size=(100, 30)) as run:
            await command(run, "/system Be brief.")
            await run.say("first")
            await run.until(lambda: "history" in run.text(), "the gauge")
            shown = await page(run, "/context", InfoScreen)
            counts = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in shown.splitlines()}
            assert counts["context"] == 8192
            assert counts["system"] + counts["history"] + counts["free"] == 8192

    play(scene)


def test_the_exact_prompt_holds_the_whole_path(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            await command(run, "/system Be brief.")
            await run.say("a question")
            shown = await page(run, "/prompt", InfoScreen)
            assert [part in shown for part in ("Be brief.", "a question", "An answer.")] == [True] * 3

    play(scene)


def test_a_theme_is_shown_and_remembered(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/theme nord")
            await run.until(lambda: run.app.theme == "nord", "the theme")
            assert load_config(run.app.desk.config.path, {}).settings.theme == "nord"

    async def coming_back() -> None:
        async with chatting(home) as run:
            assert run.app.theme == "nord"

    play(scene)
    play(coming_back)


def test_a_theme_that_cannot_be_remembered_is_told(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            run.app.desk.config.path.write_text("theme = [broken\n")
            await refused(run, "/theme nord", "not valid TOML")
            assert run.app.theme == "nord"

    play(scene)


def test_leaving(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/exit")
            await run.until(lambda: run.app._exit, "the end")

    play(scene)


def test_the_editor_that_cannot_be_opened_is_told(home: Path) -> None:

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/editor")
            await run.until(lambda: "editor" in run.notices(), "the reason")

    play(scene)


def test_an_unknown_command_keeps_the_text(home: Path) -> None:
    async def scene() -> None:
        async with chatting(home, "never") as run:
            for text in ("/nothing", "/modle x", "/hElpp"):
                await refused(run, text, "there is no command")
                assert run.draft == text
            assert engine_of(run).requests == []

    play(scene)


def test_aliases_do_what_their_commands_do() -> None:
    for alias, name in {"clear": "new", "bye": "exit", "quit": "exit", "retry": "again", "undo": "edit"}.items():
        call = commands.parse(f"/{alias}")
        assert call is not None and call.command.name == name
