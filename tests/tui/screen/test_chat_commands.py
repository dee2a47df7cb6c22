"""Every slash command, typed into the real prompt: what is shown, what is on disk, what the next request carries."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tests.tui.exports import TURN, chatgpt
from tests.tui.screen.chatting import Chatting, chatting, play
from tests.tui.stored import add_turn
from textual.widgets import Input, TextArea

from llmchat_engine import Event, Loading, ModelMissing, ModelSpec
from llmchat_engine.testing import FakeEngine, Script
from llmchat_tui import commands
from llmchat_tui.commands import COMMANDS
from llmchat_tui.config import load_config, set_value
from llmchat_tui.history import History
from llmchat_tui.presence import ModelReady
from llmchat_tui.sanitize import sanitize
from llmchat_tui.screens import chat_actions
from llmchat_tui.screens.chat_settings import ChatSettingsScreen
from llmchat_tui.screens.dialogs import TextScreen
from llmchat_tui.screens.help import HelpScreen
from llmchat_tui.screens.info import InfoScreen
from llmchat_tui.screens.models import ModelsScreen
from llmchat_tui.screens.settings import SettingsScreen
from llmchat_tui.screens.themes import ThemesScreen

CODE = "First:\n\n```python\nprint(1)\n```\n\nthen:\n\n```sh\nls -l\n```\n\ndone."


def engine_of(run: Chatting) -> FakeEngine:
    assert isinstance(run.engine, FakeEngine)
    return run.engine


async def command(run: Chatting, text: str) -> None:
    """Types a command and sends it."""
    await run.write(text)
    await run.press("enter")
    await run.until(lambda: run.draft != text, f"{text} to be taken")
    await run.pilot.pause()


async def refused(run: Chatting, text: str, why: str) -> None:
    """Types something that is told to be wrong."""
    before = run.notices()
    await run.write(text)
    await run.press("enter")
    await run.until(lambda: why in run.notices().removeprefix(before), f"{why!r} about {text}\n{run.notices()}")


async def page(run: Chatting, text: str, kind: type) -> str:
    """Sends a command that opens a page; returns what it shows, and closes it."""
    await command(run, text)
    await run.until(lambda: isinstance(run.app.screen, kind), f"the page of {text}")
    await run.settle()
    shown = "\n".join(area.text for area in run.app.screen.query(TextArea)) or run.text()
    await run.press("escape")
    await run.until(lambda: run.app.screen is run.chat, "the chat again")
    return shown


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal was asked to keep."""
    kept: list[str] = []
    monkeypatch.setattr("llmchat_tui.app.ChatApp.copy_to_clipboard", lambda _app, text: kept.append(text))
    return kept


def test_every_command_of_the_table_is_tried_here() -> None:
    tried = Path(__file__).read_text()
    assert [command.name for command in COMMANDS if f'"/{command.name}' not in tried] == []


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
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
    ],
)
def test_commands_that_open_a_page(home: Path, text: str, kind: type, said: str) -> None:
    async def scene() -> None:
        async with chatting(home, size=(100, 30)) as run:
            await run.until(lambda: "free" in run.text(), "the gauge")
            assert said in await page(run, text, kind)
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


@pytest.mark.parametrize("name", ["rename", "open", "set", "import", "file"])
def test_a_command_that_needs_words_waits_for_them(home: Path, name: str) -> None:
    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, f"/{name}")
            await run.until(lambda: run.draft == f"/{name} ", "the command in the prompt")
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


@pytest.mark.parametrize(
    "text",
    ["/set temperature", "/set temperature hot", "/set temperature -1", "/set temperature nan", "/set colour red",
     "/set seed 99999999999999999999", "/set parameter", "/set top_p 1.5", "/set stop [", "/set \u202e 1", "/set = ="],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_and_nothing_changes(home: Path, text: str) -> None:
    async def scene() -> None:
        async with chatting(home, "Fine.") as run:
            await run.write(text)
            await run.press("enter")
            await run.until(lambda: bool(run.notices()), "the reason")
            await run.until(lambda: run.draft == sanitize(text), "the words back")
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
            await run.until(lambda: run.app.spec is not None and run.app.spec.path.name == "other.gguf", "the model")
            await run.until(lambda: run.app.model is not None, "its loading")
            await refused(run, "/model missing", "no model named missing")
            assert run.app.spec is not None and run.app.spec.path.name == "other.gguf"
            await run.say("still there")
            assert asked == ["", "other", "missing"]

    play(scene)


def test_news_of_a_model_that_was_replaced_are_not_taken_for_the_new_one(home: Path) -> None:
    """The first one's end of loading may be on its way when the second is chosen."""
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
            await refused(run, "/edit", "Esc stops it")
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
    """A test has no terminal to give away."""

    async def scene() -> None:
        async with chatting(home) as run:
            await command(run, "/editor")
            await run.until(lambda: "editor" in run.notices(), "the reason")

    play(scene)


# --- files


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


@pytest.mark.parametrize("text", ["/nothing", "/modle x", "/hElpp"])
def test_an_unknown_command_keeps_the_text(home: Path, text: str) -> None:
    async def scene() -> None:
        async with chatting(home, "never") as run:
            await refused(run, text, "there is no command")
            assert run.draft == text
            assert engine_of(run).requests == []

    play(scene)


# --- export and import


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


@pytest.mark.parametrize(
    "name", ["/", ".", "..", "folder.md", "file/below.md", "~nosuchuser/chat.md/", "x" * 300 + ".md", "full.md"]
)
def test_a_place_that_cannot_be_written_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def scene() -> None:
        async with chatting(home, "An answer.") as run:
            monkeypatch.chdir(home)
            await run.say("a question")
            for folder in ("folder.md", "~nosuchuser/chat.md"):
                (home / folder).mkdir(parents=True)
            (home / "file").touch()
            (home / "full.md").symlink_to("/dev/full")
            chat_actions.export(run.chat, name)
            await run.until(lambda: "cannot" in run.notices(), "the reason")
            await run.pilot.pause()
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


@pytest.mark.parametrize("name", ["nothing.json", ".", "~nosuchuser/x.json", "broken.json", "x" * 300, "/dev/zero"])
def test_a_file_that_cannot_be_imported_is_told(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("llmchat_tui.imports.reading.MAX_BYTES", 1 << 20)
    monkeypatch.setattr("llmchat_tui.imports.MAX_BYTES", 1 << 20)

    async def scene() -> None:
        async with chatting(home) as run:
            monkeypatch.chdir(home)
            (home / "broken.json").write_text("{")
            await command(run, f"/import {name}")
            await run.until(lambda: bool(run.notices()), "the reason")
            assert run.history.conversations() == []

    play(scene)


# --- settings and keys


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


def test_aliases_do_what_their_commands_do() -> None:
    for alias, name in {"clear": "new", "bye": "exit", "quit": "exit", "retry": "again", "undo": "edit"}.items():
        call = commands.parse(f"/{alias}")
        assert call is not None and call.command.name == name
