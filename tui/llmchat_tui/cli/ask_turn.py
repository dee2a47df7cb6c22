"""From the flags of `llmchat ask` to its `Turn`: the question from arguments, stdin and files, and the chat before it.

Starts no engine and prints nothing. What is left out or replaced on the way is told through `warn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmchat_tui.cli.app import App
from llmchat_tui.cli.ask_flags import AskFlags
from llmchat_tui.cli.ask_recipe import asked_by, recipe_for, sampling_for

if TYPE_CHECKING:
    from llmchat_engine import Request
    from llmchat_tui.history import Conversation, StoredMessage
    from llmchat_tui.inputs import Limits
    from llmchat_tui.templates.values import Template
    from llmchat_tui.turn import Turn


def read_question(app: App, flags: AskFlags, warn: Callable[[str], None]) -> str:
    """Returns the question from files, stdin and arguments; empty where there is none and --save may do without.

    Raises:
        UserError: there is none, or a file or stdin cannot be used.
    """
    from llmchat_tui.inputs import build_question, piped_stdin

    needed = not flags.prompting.save
    return build_question(flags.prompt, flags.files, piped_stdin(), _limits(app), warn, needed=needed)


@dataclass(frozen=True, slots=True)
class Basis:
    """What is known of a turn before its question is read."""

    template: Template | None
    """The one of -t."""
    chat: Conversation | None
    """The one that goes on."""
    earlier: tuple[StoredMessage, ...]
    asked: Template
    """How it is asked: the flags over the template, or over the chat."""
    given: Mapping[str, Any]
    """What was typed of sampling."""


def basis_of(
    app: App, flags: AskFlags, template: Template | None, given: Mapping[str, Any], warn: Callable[[str], None]
) -> Basis:
    """Returns what a turn is made from.

    Args:
        app: settings, chats, templates.
        flags: what was typed.
        template: the one of -t.
        given: what was typed of sampling.
        warn: told what was replaced.

    Raises:
        UserError: a file cannot be used, flags exclude each other, or there is no such chat.
    """
    chat, earlier = _chat(app, flags) if flags.resume or flags.conversation else (None, ())
    asked = asked_by(app, flags.prompting, template, chat, warn)
    flags.check_together(asked)
    return Basis(template, chat, earlier, asked, given)


def make_turn(
    app: App,
    flags: AskFlags,
    basis: Basis,
    question: str,
    warn: Callable[[str], None],
    own: Mapping[str, Any] = MappingProxyType({}),
) -> Turn:
    """Returns what is asked.

    Args:
        app: settings, documents.
        flags: what was typed.
        basis: what is known of it already.
        question: from arguments, stdin and files.
        warn: told what was replaced.
        own: the settings that the model has to itself.

    Raises:
        UserError: a file cannot be used, or a parameter of the template is missing.
        RagError: examples are chosen by similarity, and nothing can tell it.
    """
    from llmchat_tui.cli.options import keeps_cache, overflow_unasked
    from llmchat_tui.inputs import as_text
    from llmchat_tui.turn import Turn

    settings, template, chat = app.config.settings, basis.template, basis.chat
    system = system_of(app, flags, warn)
    if system is None:
        system = (template.system if template else "") or (chat.system if chat else own.get("system", settings.system))
    sampling = sampling_for(app.config, basis.given, template, chat, own)
    turn = Turn(
        question,
        earlier=basis.earlier,
        conversation_id=chat.id if chat and not flags.no_log else "",
        title=" ".join(word for word in flags.prompt if word != "-"),  # not the file that stands before it
        system=system,
        sampling=sampling,
        own_sampling=template.sampling if template else {},
        raw=flags.raw,
        recipe=recipe_for(app, flags.prompting, basis.asked, question, sampling.seed),
        prefill=as_text(flags.prefill),
        logprobs=flags.prompting.told_logprobs,
        overflow=overflow_unasked(flags.overflow, settings),
        store=keeps_cache(flags.no_kv_cache, settings) and not flags.no_log,
        private=flags.no_log,
        answers=flags.answers,
        beams=flags.beams or 0,
        length_penalty=1.0 if flags.length_penalty is None else flags.length_penalty,
    )
    if not flags.asks_documents:
        return turn
    from llmchat_tui.cli.ask_docs import grounded

    return grounded(turn, flags, settings, chat)


def request_of(turn: Turn, documents: str = "") -> Request:
    """Returns what the model would be given, were the chat to fit: without what it does not see any more."""
    from llmchat_engine import Message, Request
    from llmchat_tui.composing import compose
    from llmchat_tui.overflow import seen_of

    seen, recipe = seen_of(turn.earlier), turn.recipe
    messages = compose(
        turn.system,
        turn.earlier,
        turn.asks,
        left_out=seen.left_out,
        summary=seen.summary,
        documents=documents,
        recipe=recipe,
        raw=turn.raw,
    )
    if turn.prefill:
        messages = (*messages, Message("assistant", turn.prefill))
    began = turn.earlier[0].created_at if turn.earlier else 0.0
    return Request(
        messages,
        turn.sampling,
        raw=turn.raw,
        now=began,
        think=recipe.think,
        think_budget=recipe.think_budget,
        keep_thoughts=recipe.keep_thoughts,
    )


def _limits(app: App) -> Limits:
    from llmchat_tui.inputs import Limits

    return Limits(app.config.settings.stdin_limit_mib)


def _chat(app: App, flags: AskFlags) -> tuple[Conversation, tuple[StoredMessage, ...]]:
    """Returns the chat to go on with, and its newest path."""
    from llmchat_tui.errors import NotFound

    with app.history() as history:
        chat = history.conversation(flags.conversation) if flags.conversation else history.latest()
        if chat is None:
            raise NotFound("there is no chat to go on with", hint="llmchat ask 'a first question'")
        return chat, history.path(chat.leaf_id)


def system_of(app: App, flags: AskFlags, warn: Callable[[str], None]) -> str | None:
    """Returns the system prompt that was given; None where none was.

    Raises:
        UserError: its file cannot be used.
    """
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import as_text, read_text

    if flags.system_file is None:
        return None if flags.system is None else as_text(flags.system)
    try:
        return read_text(flags.system_file, _limits(app), warn).strip()
    except OSError as error:
        raise UsageError(f"{flags.system_file} cannot be read", error.strerror or "") from error
