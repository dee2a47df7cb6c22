"""What the chat screen does about how its questions are asked: templates, thoughts, chains of thought, votes, schemas.

Functions over the screen. What goes together is decided in recipe_words.py, a template's recipe by its own room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from llmchat_engine import EngineError
from llmchat_tui.errors import UsageError, UserError
from llmchat_tui.recipe import MOST_VOTES, PLAIN, Recipe, packed
from llmchat_tui.recipe_words import check_beside_documents, recipe_line
from llmchat_tui.screens import chat_actions, chat_documents
from llmchat_tui.votes import poll_of

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen
    from llmchat_tui.talk import Talk
    from llmchat_tui.templates.values import ShotsBy, Template

FEWEST_VOTES = 2
_MOST_BUDGET = 1_000_000


def give(screen: ChatScreen, key: str, recipe: Recipe) -> None:
    """Has the questions of a chat asked in another way from now on, on disk too once it is there.

    Raises:
        UsageError: that does not go with its documents.
    """
    talk = screen.talks.get(key)
    if talk is None:
        return
    check_beside_documents(recipe, talk.collections)
    talk.recipe = recipe
    try:
        if talk.conversation_id:
            screen.desk.history.configure(talk.conversation_id, recipe=packed(recipe))
    except UserError as error:
        screen.chat_app.tell_error(error)
    screen.chat_app.tell(f"from the next question on: {recipe_line(recipe) or 'asked as you write it'}")
    screen.refresh_lines()


def change(screen: ChatScreen, **changes: Any) -> None:
    """Changes some of how the shown chat's questions are asked."""
    give(screen, screen.talk.key, replace(screen.talk.recipe, **changes))


# --- commands --------------------------------------------------------------------------------------------------------


def think(screen: ChatScreen, argument: str) -> None:
    """Takes `on`, `off`, `auto`, or the longest thought in tokens."""
    word = argument.lower()
    if word.isdecimal() and 0 < int(word) <= _MOST_BUDGET:
        change(screen, think="on", think_budget=int(word))
    elif word in ("on", "off", "auto", "0"):
        change(screen, think="off" if word == "0" else word, think_budget=None)
    else:
        raise UsageError(f"a model cannot think {argument!r}", "on, off, auto, or the longest thought in tokens", "")


def cot(screen: ChatScreen, argument: str) -> None:
    """Takes `off`, `zero-shot` or `few-shot`."""
    if argument not in ("off", "zero-shot", "few-shot"):
        raise UsageError(f"there is no chain of thought {argument!r}", "off, zero-shot or few-shot", "/cot zero-shot")
    change(screen, cot=argument)
    if argument == "few-shot" and not any(shot.reasoning for shot in screen.talk.recipe.shots):
        screen.chat_app.tell("no example of this chat shows how its answer was found; F7 has templates", "warning")


def votes(screen: ChatScreen, argument: str) -> None:
    """Takes how many chains vote, or `off`."""
    if argument in ("off", "0", "1"):
        change(screen, votes=0)
    elif argument.isdecimal() and FEWEST_VOTES <= int(argument) <= MOST_VOTES:
        change(screen, votes=int(argument))
    else:
        why = f"{FEWEST_VOTES} to {MOST_VOTES} chains can, or off"
        raise UsageError(f"{argument!r} chains cannot vote", why, "/votes 8")


def schema(screen: ChatScreen, argument: str) -> None:
    """Takes a JSON schema, a file with one, its short form, or `off`."""
    if argument == "off":
        change(screen, schema="", grammar="")
        return
    from llmchat_tui.schemas import schema_from

    change(screen, schema=schema_from(argument), grammar="")


def keep_thoughts(screen: ChatScreen, argument: str) -> None:
    """Takes `on` or `off`."""
    if argument not in ("on", "off"):
        raise UsageError(f"thoughts cannot be kept {argument!r}", "on or off", "/keep-thoughts on")
    change(screen, keep_thoughts=argument == "on")


def answer(screen: ChatScreen, _argument: str = "") -> None:
    """Has the model close its thought and answer."""
    running = screen.talk.running
    if running and running.thinks:
        screen.talks.conclude(screen.talk)
    else:
        screen.chat_app.tell("no thought is growing that could be closed", "warning")


def chains(screen: ChatScreen, message_id: str) -> None:
    """Opens the chains of thought that voted on a reply, or says that none did."""
    try:
        message = screen.desk.history.tail(message_id, 1)[0] if message_id else None
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    polled = poll_of(message.settings) if message else None
    if polled is None:
        screen.chat_app.tell("no chains voted on this reply; /votes 8 has eight vote", "warning")
        return
    from llmchat_tui.screens.chains import ChainsScreen

    screen.app.push_screen(ChainsScreen(polled))


# --- templates -------------------------------------------------------------------------------------------------------


def template(screen: ChatScreen, argument: str) -> None:
    """Takes the name of a template, or `off`; opens the list for none."""
    if not argument:
        open_templates(screen)
    elif argument == "off":
        take_away(screen)
    else:
        from llmchat_tui.templates.finding import find_template

        ask_params(screen, screen.talk.key, find_template(argument, screen.desk.paths.templates_dir))


def open_templates(screen: ChatScreen) -> None:
    """Opens the list of templates."""
    from llmchat_tui.screens.templates import TemplatesScreen
    from llmchat_tui.templates.finding import all_templates

    try:
        listed = all_templates(screen.desk.paths.templates_dir)
    except UserError as error:
        screen.chat_app.tell_error(error)
        return
    page = TemplatesScreen(listed, screen.talk.recipe.template)
    screen.app.push_screen(page, partial(_chosen, screen, screen.talk.key))


def _chosen(screen: ChatScreen, key: str, found: Template | None) -> None:
    if found is not None:
        ask_params(screen, key, found)


def ask_params(screen: ChatScreen, key: str, found: Template) -> None:
    """Asks for the parameters of a template where it has any, and uses it."""
    if not found.params:
        _use(screen, key, found, {})
        return
    from llmchat_tui.screens.template_params import TemplateParamsScreen

    page = TemplateParamsScreen(found.name, found.params)
    screen.app.push_screen(page, lambda params: None if params is None else _use(screen, key, found, params))


def _use(screen: ChatScreen, key: str, found: Template, params: Mapping[str, str]) -> None:
    """Uses a template from the next question on: its system prompt and sampling become the chat's own."""
    from llmchat_tui.templates.applying import recipe_from

    talk = screen.talks.get(key)
    if talk is None:
        return
    by: ShotsBy | None = (
        "order" if found.shots_by == "similar" else None
    )  # one choice for the chat: its beginning stays in the cache
    try:
        recipe = recipe_from(found, params, by=by)
        check_beside_documents(recipe, found.collections or talk.collections)
        give(screen, key, recipe)
    except (UserError, EngineError) as error:
        screen.chat_app.tell_error(error)
        return
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in found.sampling.items()}
    chat_actions.configure(screen, key, found.system or talk.system, {**talk.sampling, **own})
    if found.collections and talk is screen.talk:
        chat_documents.choose(screen, found.collections)
    if by and found.num_shots is not None and found.num_shots < len(found.shots):
        screen.chat_app.tell("the first examples are taken: the chat keeps the same ones for all its questions")


def take_away(screen: ChatScreen) -> None:
    """Has the shown chat asked as it is written again; what its template set of it goes too."""
    talk, name = screen.talk, screen.talk.recipe.template
    give(screen, talk.key, PLAIN)
    if found := _known(screen, name):
        system = screen.desk.system if found.system and talk.system == found.system else talk.system
        sampling = {key: value for key, value in talk.sampling.items() if not _is_from(found, key, value)}
        chat_actions.configure(screen, talk.key, system, sampling)


def _known(screen: ChatScreen, name: str) -> Template | None:
    """Returns a template that a chat uses, where it is still there."""
    from llmchat_tui.templates.finding import find_template

    try:
        return find_template(name, screen.desk.paths.templates_dir) if name else None
    except UserError:
        return None


def _is_from(found: Template, key: str, value: Any) -> bool:
    own = found.sampling.get(key)
    return own is not None and value == (list(own) if isinstance(own, tuple) else own)


def sent(talk: Talk, question: str) -> str:
    """Returns what the model is given in place of a question; empty where that is the question."""
    asked = talk.recipe.asks(question)
    return asked if asked != question else ""
