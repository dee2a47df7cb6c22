"""`llmchat` and `llmchat chat`: open the full-screen chat, or with --plain the one that goes line by line.

Wires the desk; knows no widget. Textual is imported when everything that can be refused was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.ask_recipe import check_documents, open_sampling, sampling_for
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import (
    cache_options,
    keeps_cache,
    model_flags,
    model_options,
    option_pairs,
    overflow_unasked,
    sampling_from,
    sampling_given,
    sampling_options,
)
from llmchat_tui.cli.prompting_options import template_options
from llmchat_tui.errors import UsageError
from llmchat_tui.recipe import PLAIN, Recipe

if TYPE_CHECKING:
    from llmchat_engine import Engine, Sampling, Spec
    from llmchat_tui.config import Config
    from llmchat_tui.desk import Desk
    from llmchat_tui.history import Conversation, History
    from llmchat_tui.templates.values import ShotsBy


@click.command()
@click.option(
    "-m",
    "--model",
    default="",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Name, unique part of one, path of a GGUF file, or openai:NAME.",
)
@click.option("-s", "--system", metavar="TEXT", help="System prompt of new chats.")
@click.option("-c", "--continue", "resume", is_flag=True, help="Go on with the newest chat.")
@click.option("--cid", "--conversation", "conversation", default="", metavar="CHAT", help="Go on with this chat.")
@click.option("--docs", is_flag=True, help="Answer from all documents, or those of the chat that goes on.")
@click.option(
    "-d",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Answer from this collection of documents; repeatable.",
)
@template_options
@click.option("--plain", is_flag=True, help="Chat line by line, on any terminal.")
@sampling_options
@model_options
@cache_options("ask", "drop", "stop", "summarize")
@click.pass_obj
def chat(
    app: App,
    /,
    model: str,
    system: str | None,
    resume: bool,
    conversation: str,
    docs: bool,
    collections: tuple[str, ...],
    template: str,
    params: tuple[tuple[str, str], ...],
    plain: bool,
    overflow: Any,
    no_kv_cache: bool,
    options: Any,
    **flags: Any,
) -> int:
    """Open the chat. Everything is kept; `llmchat chats` lists it."""
    loading = model_flags(flags)
    given, pairs = flags, option_pairs(options)

    def sampling_over(base: Sampling) -> Sampling:
        return sampling_from(base, dict(given), pairs)

    begins = _begins(app, template, params, sampling_given(dict(given), pairs))
    names = _collections(app, docs, collections or begins.collections)
    check_documents(begins.recipe, names)
    system = begins.system if system is None else system
    if plain:
        from llmchat_tui.asked import by_settings
        from llmchat_tui.cli.plain_chat import Manner, run_plain

        settings, spec = app.config.settings, app.spec(model, **loading)
        own = app.own_options(spec)
        manner = Manner(
            lambda chat: begins.sampling_of(chat, own),
            own.get("system", settings.system) if system is None else system,
            overflow_unasked(overflow, settings),
            keeps_cache(no_kv_cache, settings),
            by_settings(settings),
            names,
            begins.recipe,
            begins.sampling,
        )
        run_plain(app, spec, manner, resume, conversation)
        return 0
    refuse_terminal(app.environ)
    with app.history() as history:
        desk = replace(
            _desk(app, history, model, loading, sampling_over),
            wanted_model=model,
            wanted_system=system,
            wanted_collections=names,
            wanted_recipe=begins.recipe,
            wanted_sampling=begins.sampling,
            wanted_overflow=overflow,
            no_kv_cache=no_kv_cache,
            start=_start(history, conversation, resume, names),
        )
        from llmchat_tui.app import run_chat

        return run_chat(desk)


@dataclass(frozen=True, slots=True)
class _Begins:
    """What new chats begin with, by the template of -t."""

    sampling_of: Callable[[Conversation | None, Mapping[str, Any]], Sampling]
    """Returns the sampling of a chat that goes on, or of a new one, with the settings that a model has to itself."""
    recipe: Recipe = PLAIN
    system: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """What the template says of it, and no flag and no variable does."""
    collections: tuple[str, ...] = ()


def _begins(app: App, name: str, params: Sequence[tuple[str, str]], given: Mapping[str, Any]) -> _Begins:
    """Returns what new chats begin with.

    Raises:
        UserError: there is no such template, it cannot be used, or a parameter is missing.
    """
    if not name:
        if params:
            raise UsageError("--param is about a template", "there is none", "add -t NAME")
        return _Begins(lambda chat, own: sampling_for(app.config, given, None, chat, own))
    from llmchat_tui.templates.applying import recipe_from
    from llmchat_tui.templates.finding import find_template

    found = find_template(name, app.paths.templates_dir)
    by: ShotsBy | None = "order" if found.shots_by == "similar" else None  # the chat keeps them for all its questions
    return _Begins(
        lambda chat, own: sampling_for(app.config, given, None if chat else found, chat, own),
        recipe_from(found, dict(params), by=by),
        found.system or None,
        {key: value for key, value in open_sampling(app.config, found.sampling).items() if key not in given},
        found.collections,
    )


def _start(history: History, conversation: str, resume: bool, collections: tuple[str, ...]) -> Conversation | None:
    """Returns the chat to go on with, answered from what the flags say; None begins a new one."""
    from llmchat_tui.asked import of_chat

    found = history.conversation(conversation) if conversation else history.latest() if resume else None
    return found and replace(found, collections=of_chat(collections, found.collections))


def _collections(app: App, every: bool, names: Sequence[str]) -> tuple[str, ...]:
    """Returns what new chats are answered from, by the flags.

    Raises:
        RagError: one of them is not there; before anything is opened.
    """
    from llmchat_tui.asked import ALL

    if not every and not names:
        return ()
    from llmchat_tui.cli.docs_common import chosen, open_library

    with open_library(app) as library:
        found = chosen(library, names)
    return tuple(one.name for one in found) if names else (ALL,)


def refuse_terminal(environ: Mapping[str, str]) -> None:
    """Raises where the screen cannot be painted.

    Raises:
        UsageError: no terminal, or one that understands text alone.
    """
    for name, stream in (("stdin", sys.__stdin__), ("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        if stream is None or not stream.isatty():
            raise UsageError("the chat needs a terminal", f"{name} is none", "llmchat ask 'a question'")
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        why = f"TERM is {environ.get('TERM') or 'not set'}: it can show lines, and nothing else"
        raise UsageError("this terminal cannot be painted on", why, "llmchat chat --plain, or llmchat ask 'a question'")


def _desk(app: App, history: History, model: str, loading: dict[str, Any], sampling_over: Any) -> Desk:
    from llmchat_tui.desk import Desk
    from llmchat_tui.remote_choice import flag_for

    def make_engine(spec: Spec) -> Engine:
        return app.new_engine(spec)

    def make_spec(name: str) -> Spec:
        address = flag_for(name, model, loading["base_url"], app.config.tables.remotes)
        return app.spec(name, **loading | {"base_url": address})

    def read_config() -> Config:
        app.forget_config()
        return app.config

    return Desk(
        paths=app.paths,
        environ=app.environ,
        history=history,
        make_engine=make_engine,
        make_spec=make_spec,
        read_config=read_config,
        sampling_over=sampling_over,
        own_options=app.own_options,
        config=app.config,
        forget_chat=app.forget_chat,
        open_embedder=lambda passages: app.embedder(passages=passages),
    )
