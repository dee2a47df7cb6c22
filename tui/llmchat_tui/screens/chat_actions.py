"""What the chat screen does when it is asked to: models, chats of the list, copying, exporting, settings.

Functions over the screen. Knows no turn and paints nothing itself.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from llmchat_engine import EngineError, ModelInfo, ModelSpec, RemoteSpec
from llmchat_engine.types import Spec
from llmchat_tui.errors import UsageError, UserError
from llmchat_tui.history import title_of
from llmchat_tui.messages import ChatListChanged
from llmchat_tui.places import whole_path
from llmchat_tui.recipe_words import recipe_line
from llmchat_tui.remote_choice import PREFIX, sent_to
from llmchat_tui.widgets.ending import short_name

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.screens.chat_settings import ChatSettings
    from llmchat_tui.screens.chat_turns import ChatTurns
    from llmchat_tui.screens.models import ModelChosen


def model_line(model: ModelInfo) -> str:
    """Returns the model in a few words: name, quantisation, what it runs on; of one on a server, where that is."""
    if model.remote:  # a header cuts what is too long at its end: where things go is seen first
        return f"{sent_to(model.remote)} {short_name(model.name)}"
    place = (
        ", ".join(model.devices)
        if model.gpu_layers and model.devices
        else f"CPU {model.threads} thread{'s' * (model.threads != 1)}"
    )
    return f"{short_name(model.name)} · {model.quantization} · {place}"


def with_files(screen: ChatScreen | ChatTurns, text: str) -> str:
    """Returns a message with the files that it names in front of it; what was replaced in them is told.

    Raises:
        UserError: a file is too large or not text.
    """
    expanded = screen.desk.expand(text)
    for warning in expanded.warnings:
        screen.chat_app.tell(warning, "warning")
    return expanded.question


# --- models ----------------------------------------------------------------------------------------------------------


def choose_model(screen: ChatScreen, reason: str = "") -> None:
    """Opens the list of models."""
    from llmchat_tui.screens.models import ModelsScreen

    app, desk = screen.chat_app, screen.desk
    picker = ModelsScreen(desk.models(), name_of(app.spec), desk.stock, desk.pulls, reason)
    app.push_screen(picker, partial(_chosen, screen))


def name_of(spec: Spec | None) -> str:
    """Returns what is in use as `-m` takes it: the path of a file, or a server."""
    match spec:
        case ModelSpec(path=path):
            return str(path)
        case RemoteSpec(name=name, model=model):
            return f"{PREFIX}{name or model}"
        case _:
            return ""


def _chosen(screen: ChatScreen, chosen: ModelChosen | None) -> None:
    if chosen is None:
        return
    use_model(screen, chosen.name, default=chosen.make_default)


def use_model(screen: ChatScreen, name: str, *, default: bool = False) -> None:
    """Uses a model from now on; a failure is told and the old one stays."""
    app = screen.chat_app
    try:
        spec = screen.desk.make_spec(name)
        app.use_model(spec)
        if default:
            app.make_default(str(spec.path) if isinstance(spec, ModelSpec) else name)
            app.tell("this model is the default now")
    except (UserError, EngineError) as error:
        app.tell_error(error)


def choose_first_model(screen: ChatScreen, error: UserError | EngineError) -> None:
    """Lets the user choose where the settings lead to no model: a list where there are some, else a page."""
    desk = screen.desk
    own = [model for model in desk.models() if model.origin != "package"]
    if own and not desk.wanted_model and not desk.config.settings.model:
        choose_model(screen, "which model shall answer? Enter uses one, d uses it at every start")
        return
    from llmchat_tui.screens.welcome import WelcomeScreen

    page = WelcomeScreen(error, desk.stock, desk.pulls, desk.models)
    screen.app.push_screen(page, partial(_welcomed, screen))


def _welcomed(screen: ChatScreen, name: str | None) -> None:
    if name is None:
        screen.chat_app.leave(0)
    else:
        use_model(screen, name)


# --- chats of the list -----------------------------------------------------------------------------------------------


def keep_list(screen: ChatScreen, action: str, conversation_id: str) -> None:
    """Renames, deletes or brings back a chat."""
    if action == "rename_chat":
        ask_title(screen, conversation_id)
    elif action == "delete_chat":
        delete_chat(screen, conversation_id)
    else:
        undo_delete(screen)


def ask_title(screen: ChatScreen, conversation_id: str) -> None:
    """Asks for another title."""
    from llmchat_tui.screens.dialogs import TextScreen

    try:
        title = screen.desk.history.conversation(conversation_id).title
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    screen.app.push_screen(TextScreen("title of the chat", title), partial(rename, screen, conversation_id))


def rename(screen: ChatScreen, conversation_id: str, title: str | None) -> None:
    """Gives a chat another title."""
    if title is None or not title.strip():
        return
    try:
        screen.desk.history.rename(conversation_id, title)
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    if talk := screen.talks.of_conversation(conversation_id):
        talk.title = title_of(title)
    screen.refresh_lines()


def delete_chat(screen: ChatScreen, conversation_id: str) -> None:
    """Hides a chat; it is deleted for good after ten seconds."""
    talk = screen.talks.of_conversation(conversation_id)
    if talk and talk.running:
        screen.chat_app.tell("a reply is being written in this chat; stop it first", "warning")
        return
    screen.keeper.doom(conversation_id)
    screen.chat_app.tell("deleted; u in the list takes it back, for ten seconds", seconds=10)
    if talk is screen.talk:
        screen.run_worker(screen.show_new(), group="show")
    else:
        screen.post_message(ChatListChanged())


def undo_delete(screen: ChatScreen) -> None:
    """Takes back the last deletion."""
    if screen.keeper.spare():
        screen.chat_app.tell("the chat is back")
    else:
        screen.chat_app.tell("there is no deletion to take back", "warning")
    screen.post_message(ChatListChanged())


# --- export, import, settings ----------------------------------------------------------------------------------------


def ask_export(screen: ChatScreen) -> None:
    """Asks where to write the chat."""
    from llmchat_tui.screens.dialogs import TextScreen

    if not screen.talk.conversation_id:
        screen.chat_app.tell("there is nothing to export yet", "warning")
        return
    name = re.sub(r"[^\w]+", "-", screen.talk.title.lower()).strip("-")[:40] or "chat"
    title = "export to a file: .md is for reading, .json keeps everything"
    screen.app.push_screen(TextScreen(title, f"{name}.md"), partial(export, screen))


def export(screen: ChatScreen, target: str | None) -> None:
    """Writes the chat to a file, as Markdown or JSON by its ending; replaces none."""
    from llmchat_tui.export_file import write_export

    if not target or not target.strip():
        return
    try:
        path = _export_path(target.strip())
        write_export(str(path), _exported(screen, path.suffix), force=False)
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    screen.chat_app.tell(f"written to {path}", seconds=8)


def _export_path(name: str) -> Path:
    """Returns the file to write.

    Raises:
        UsageError: the name leads nowhere, to a directory, or to a file that is there.
    """
    path = whole_path(name)
    if os.path.isdir(path):
        raise UsageError(f"cannot write {path}", "it is a directory", f"/export {path / 'chat.md'}")
    if path.suffix not in (".md", ".json"):
        path = path.with_name(f"{path.name}.md")
    if os.path.isfile(path):
        raise UsageError(f"cannot write {path}", "it exists already", f"/export {path.with_stem(path.stem + '-2')}")
    return path


def _exported(screen: ChatScreen, suffix: str) -> str:
    from llmchat_tui.export import to_json, to_markdown

    history, talk = screen.desk.history, screen.talk
    conversation = history.conversation(talk.conversation_id)
    if suffix == ".json":
        return to_json(conversation, history.messages(talk.conversation_id)).decode()
    return to_markdown(conversation, history.path(talk.leaf_id))


def import_file(screen: ChatScreen, name: str) -> None:
    """Takes over the chats of a file, in a thread."""

    def work() -> None:
        from llmchat_tui.imports import MAX_BYTES, read_export
        from llmchat_tui.taking import ALL, Taken, read_import, take_over

        app, taken, left = screen.chat_app, Taken(), ""
        try:
            imported = read_export(read_import(whole_path(name.strip()), MAX_BYTES), name)
            left = f"; left out: {'; '.join(imported.left_out[:3])}" if imported.left_out else ""
            here, _hits = screen.keeper.look("", ALL)  # not those that are about to be deleted
            take_over(imported.chats, screen.desk.history, here, taken)
        except UserError as error:
            app.call_later(app.tell_error, error)
            if not taken.new:
                return
        app.call_later(app.tell, f"{taken}{left}", "information", 8)
        screen.post_message(ChatListChanged())

    screen.run_worker(work, thread=True, group="import", exit_on_error=False)


def open_chat_settings(screen: ChatScreen) -> None:
    """Opens system prompt and sampling of the shown chat."""
    from llmchat_tui.screens.chat_settings import ChatSettingsScreen

    talk = screen.talk
    asked = recipe_line(talk.recipe)
    page = ChatSettingsScreen(talk.title or "new chat", talk.system, talk.sampling, screen.desk.sampling(), asked)
    screen.app.push_screen(page, partial(_configured, screen, talk.key))


def _configured(screen: ChatScreen, key: str, settings: ChatSettings | None) -> None:
    if settings is not None:
        configure(screen, key, settings.system, settings.sampling)


def configure(screen: ChatScreen, key: str, system: str, sampling: dict[str, object]) -> None:
    """Gives a chat its system prompt and sampling, on disk too once it is there."""
    talk = screen.talks.get(key)
    if talk is None:
        return
    talk.system, talk.sampling = system, sampling
    try:
        if talk.conversation_id:
            screen.desk.history.configure(talk.conversation_id, system=system, sampling=sampling)
    except UserError as error:
        screen.chat_app.tell_error(error)
    screen.count()
