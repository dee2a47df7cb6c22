"""The slash commands of the chat screen: one function per name of commands.py. Knows no widget's inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmchat_engine import EngineError
from llmchat_tui.attachments import mention
from llmchat_tui.commands import Call
from llmchat_tui.config_values import sampling_value
from llmchat_tui.errors import UserError
from llmchat_tui.messages import Again, BranchHere, ContinueReply, Copied, EditMessage
from llmchat_tui.screens import (
    chat_actions,
    chat_documents,
    chat_drafts,
    chat_facts,
    chat_pulls,
    chat_ratings,
    chat_recipe,
    chat_tokens,
)
from llmchat_tui.widgets.answer import code_blocks

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen

Handler = Callable[["ChatScreen", str], None]


def run(screen: ChatScreen, call: Call) -> bool:
    """Does what a command says; what it cannot do it tells. Returns whether it could."""
    if call.command.needs_argument and not call.argument:
        screen.begin_command(call.command.name)
        return True
    try:
        _HANDLERS[call.command.name](screen, call.argument)
    except (UserError, EngineError) as error:
        screen.chat_app.tell_error(error)
        return False
    return True


def _help(screen: ChatScreen, _argument: str) -> None:
    from llmchat_tui.screens.help import HelpScreen

    screen.app.push_screen(HelpScreen(screen.desk.config.keys))


def _new(screen: ChatScreen, _argument: str) -> None:
    screen.run_worker(screen.action_new_chat(), group="show")


def _open(screen: ChatScreen, argument: str) -> None:
    from llmchat_tui.messages import OpenChat

    screen.post_message(OpenChat(screen.desk.history.conversation(argument).id))


def _search(screen: ChatScreen, argument: str) -> None:
    screen.action_search_chats()
    if argument:
        screen.chat_list.search_for(argument)


def _rename(screen: ChatScreen, argument: str) -> None:
    if screen.talk.conversation_id:
        chat_actions.rename(screen, screen.talk.conversation_id, argument)
    else:
        screen.chat_app.tell("this chat has no message yet", "warning")


def _delete(screen: ChatScreen, _argument: str) -> None:
    if screen.talk.conversation_id:
        chat_actions.delete_chat(screen, screen.talk.conversation_id)


def _model(screen: ChatScreen, argument: str) -> None:
    if argument:
        chat_actions.use_model(screen, argument)
    else:
        chat_actions.choose_model(screen)


def _system(screen: ChatScreen, argument: str) -> None:
    if not argument:
        chat_actions.open_chat_settings(screen)
        return
    chat_actions.configure(screen, screen.talk.key, argument, dict(screen.talk.sampling))
    screen.chat_app.tell("the system prompt of this chat is changed, from the next message on")


def _set(screen: ChatScreen, argument: str) -> None:
    """Takes `temperature 0.2`, Ollama's `parameter temperature 0.2`, and `system TEXT`."""
    name, _, value = argument.removeprefix("parameter ").strip().partition(" ")
    if name == "system":
        _system(screen, value)
        return
    name = name.replace("-", "_").lower()
    checked = sampling_value(name, value.strip())
    chat_actions.configure(screen, screen.talk.key, screen.talk.system, {**screen.talk.sampling, name: checked})
    screen.chat_app.tell(f"{name} is {value.strip()} in this chat")


def _again(screen: ChatScreen, _argument: str) -> None:
    if screen.talk.leaf_id or screen.talk.running:
        screen.post_message(Again(screen.talk.leaf_id))
    else:
        screen.chat_app.tell("there is nothing to answer yet", "warning")


def _edit(screen: ChatScreen, _argument: str) -> None:
    talk = screen.talk
    if not talk.leaf_id and not talk.running:
        screen.chat_app.tell("there is no question yet", "warning")
        return
    path = screen.desk.history.tail(talk.leaf_id, 2) if talk.leaf_id else ()
    question = next((message.id for message in reversed(path) if message.role == "user"), "")
    screen.post_message(EditMessage(question))


def _continue(screen: ChatScreen, _argument: str) -> None:
    if screen.talk.leaf_id or screen.talk.running:
        screen.post_message(ContinueReply(screen.talk.leaf_id))
    else:
        screen.chat_app.tell("there is no reply yet", "warning")


def _branch(screen: ChatScreen, _argument: str) -> None:
    """Lets the next question stand beside the last one."""
    leaf_id = screen.talk.leaf_id
    replies = [m.id for m in screen.desk.history.tail(leaf_id, 3) if m.role == "assistant"] if leaf_id else []
    if len(replies) > 1:
        screen.post_message(BranchHere(replies[-2]))
    else:
        screen.chat_app.tell("there is no earlier reply that a question could follow", "warning")


def _file(screen: ChatScreen, argument: str) -> None:
    prompt = screen.composer.prompt
    prompt.load_draft(f"{prompt.draft.rstrip()} {mention(argument)} ".lstrip())


def _copy(screen: ChatScreen, argument: str) -> None:
    text = _last_reply(screen)
    if not text:
        screen.chat_app.tell("there is no reply yet", "warning")
        return
    if argument != "code":
        screen.post_message(Copied(text, "message"))
    elif blocks := code_blocks(text):
        screen.post_message(Copied(blocks[-1], "code block"))
    else:
        screen.chat_app.tell("there is no code block in the last reply", "warning")


def _last_reply(screen: ChatScreen) -> str:
    """Returns the newest reply, or what has come of it; what is mounted may be far from it."""
    talk, view = screen.talk, screen.transcript.last_reply
    if talk.running and view is not None:
        return view.text
    return screen.desk.history.tail(talk.leaf_id, 1)[0].text if talk.leaf_id else ""


def _export(screen: ChatScreen, argument: str) -> None:
    if argument:
        chat_actions.export(screen, argument)
    else:
        chat_actions.ask_export(screen)


def _editor(screen: ChatScreen, _argument: str) -> None:
    screen.composer.prompt.action_editor()


def _theme(screen: ChatScreen, argument: str) -> None:
    app = screen.chat_app
    if argument in app.available_themes:
        app.remember_theme(argument)
        return
    from llmchat_tui.screens.themes import ThemesScreen

    names = sorted(app.available_themes)
    app.push_screen(ThemesScreen(names, app.theme), lambda name: app.remember_theme(name) if name else None)


def _settings(screen: ChatScreen, _argument: str) -> None:
    from llmchat_tui.screens.settings import SettingsScreen

    app, desk = screen.chat_app, screen.desk
    page = SettingsScreen(desk.config.path, desk.environ)
    app.push_screen(page, lambda changed: app.apply_settings(changed) if changed else None)


_HANDLERS: dict[str, Handler] = {
    "help": _help,
    "new": _new,
    "open": _open,
    "search": _search,
    "rename": _rename,
    "delete": _delete,
    "model": _model,
    "pull": chat_pulls.pull,
    "system": _system,
    "docs": chat_documents.docs,
    "template": chat_recipe.template,
    "think": chat_recipe.think,
    "answer": chat_recipe.answer,
    "thoughts": lambda screen, _: screen.toggle_thoughts(),
    "keep-thoughts": chat_recipe.keep_thoughts,
    "cot": chat_recipe.cot,
    "votes": chat_recipe.votes,
    "chains": lambda screen, _: chat_recipe.chains(screen, screen.talk.leaf_id),
    "schema": chat_recipe.schema,
    "sources": lambda screen, _: chat_documents.show_sources(screen, screen.talk.leaf_id),
    "tokens": lambda screen, _: chat_tokens.show(screen, screen.talk.leaf_id),
    "rate": chat_ratings.command,
    "set": _set,
    "show": chat_facts.show,
    "again": _again,
    "drafts": chat_drafts.command,
    "edit": _edit,
    "continue": _continue,
    "branch": _branch,
    "tree": lambda screen, _: screen.action_tree(),
    "stop": lambda screen, _: screen.talks.stop(screen.talk),
    "file": _file,
    "copy": _copy,
    "export": _export,
    "import": lambda screen, name: chat_actions.import_file(screen, name),
    "context": chat_facts.context,
    "stats": chat_facts.stats,
    "prompt": chat_facts.prompt,
    "editor": _editor,
    "theme": _theme,
    "settings": _settings,
    "chats": lambda screen, _: screen.action_chat_list(),
    "exit": lambda screen, _: screen.chat_app.leave(0),
}
