"""What the slash commands tell on a page: the model, what is in force, the context, statistics, the exact prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmchat_engine import EngineError, ModelInfo, Request
from llmchat_tui.errors import UserError
from llmchat_tui.recipe_words import recipe_rows
from llmchat_tui.remote_choice import leaves_notice
from llmchat_tui.screens import chat_actions
from llmchat_tui.settings import SAMPLING_KEYS
from llmchat_tui.widgets.bars import ContextGauge
from llmchat_tui.widgets.ending import statistics_of

if TYPE_CHECKING:
    from llmchat_tui.screens.chat import ChatScreen


def show(screen: ChatScreen, argument: str) -> None:
    """Shows the system prompt, the sampling, or the model."""
    if argument == "system":
        _info(screen, "system prompt of this chat", screen.talk.system or "(none)")
    elif argument == "parameters":
        sampling = screen.talks.sampling_of(screen.talk)
        lines = [f"{name:<20}{_said(getattr(sampling, name))}" for name in sorted(SAMPLING_KEYS)]
        _info(screen, "sampling of this chat", "\n".join(lines))
    else:
        asked = [f"{name:<17}{value}" for name, value in recipe_rows(screen.talk.recipe)]
        _info(screen, "model", "\n".join([_model_facts(screen), "", "how this chat asks", *asked]))


def _said(value: object) -> str:
    return "the model decides" if value is None else str(value)


def _model_facts(screen: ChatScreen) -> str:
    model = screen.chat_app.model
    if model is None:
        return "no model is loaded"
    if model.remote:
        return _server_facts(model)
    facts = {
        "name": model.name,
        "file": model.path,
        "architecture": model.architecture,
        "quantisation": model.quantization,
        "parameters": f"{model.n_params:,}",
        "size": f"{model.size / 1e6:,.0f} MB",
        "context": f"{model.n_ctx:,} of {model.n_ctx_train:,} tokens it was trained on",
        "runs on": chat_actions.model_line(model).rpartition("· ")[2],
        "chat template": {"model": "its own", "chatml": "ChatML: it has none", "none": "none"}[model.template],
        "build": model.build,
    }
    return "\n".join(f"{name:<15}{value}" for name, value in facts.items())


def _server_facts(model: ModelInfo) -> str:
    """Returns what is known of a model on a server."""
    facts = {
        "name": model.name,
        "server": f"{model.remote}, {model.build}",
        "parameters": f"{model.n_params:,}" if model.n_params else "it does not tell",
        "context": f"{model.n_ctx:,} tokens" if model.n_ctx else "it does not tell",
        "privacy": leaves_notice(model.remote),
    }
    return "\n".join(f"{name:<15}{value}" for name, value in facts.items())


def context(screen: ChatScreen, _argument: str) -> None:
    """Shows what fills the context, and what was left out of it."""
    gauge = screen.query_one(ContextGauge).gauge
    if gauge is None:
        screen.chat_app.tell("the context is counted once the model is loaded", "warning")
        return
    known = [("free", gauge.free), ("context", gauge.n_ctx)] if gauge.n_ctx else [("all", gauge.used)]
    rows = [*gauge.segments(), *known]
    lines = [f"{name:<10}{count:>10,} tokens" for name, count in rows]
    lines += [] if gauge.exact else ["", "The server does not count for others: these are estimates."]
    if count := screen.transcript.left_out.messages:
        instead = "; it has a summary of them" if screen.transcript.left_out.summary else ""
        lines += ["", f"The model does not see the first {count:,} messages of this chat{instead}."]
    _info(screen, "what fills the context", "\n".join(lines))


def stats(screen: ChatScreen, _argument: str) -> None:
    """Shows how the last reply went."""
    talk = screen.talk
    message = screen.desk.history.tail(talk.leaf_id, 1)[0] if talk.leaf_id else None
    if message is None or not message.stats:
        screen.chat_app.tell("nothing was measured yet", "warning")
        return
    sampling = message.settings.get("sampling")
    drawn = sampling.items() if isinstance(sampling, dict) else ()
    lines = [statistics_of(message.stats), "", *(f"{name:<22}{value}" for name, value in message.stats.items())]
    lines += ["", *(f"{name:<22}{value}" for name, value in drawn)]
    _info(screen, "how the last reply went", "\n".join(lines))


def prompt(screen: ChatScreen, _argument: str) -> None:
    """Shows the exact prompt, with all that stands around the question; rendered in a thread: the host may be busy."""
    app, talk, recipe = screen.chat_app, screen.talk, screen.talk.recipe
    draft, spec = screen.composer.prompt.draft, screen.chat_app.spec
    if spec is None:
        app.tell("there is no model yet", "warning")
        return

    def work() -> None:
        from contextlib import closing

        from llmchat_tui.composing import compose
        from llmchat_tui.overflow import seen_of

        try:
            path = screen.desk.history.path(talk.leaf_id) if talk.leaf_id else ()
            with closing(screen.desk.make_engine(spec)) as engine:
                seen = seen_of(path)
                question = recipe.asks(screen.desk.with_files(draft) or "…")
                messages = compose(
                    talk.system, path, question, left_out=seen.left_out, summary=seen.summary, recipe=recipe
                )
                rendered = engine.render(Request(messages, think=recipe.think, keep_thoughts=recipe.keep_thoughts))
        except (UserError, EngineError) as error:
            app.call_later(app.tell_error, error)
            return
        title = f"the exact prompt: {len(rendered.token_ids):,} tokens"
        app.call_later(_info, screen, title, rendered.text)

    screen.run_worker(work, thread=True, group="prompt", exit_on_error=False)


def _info(screen: ChatScreen, title: str, text: str) -> None:
    from llmchat_tui.screens.info import InfoScreen

    screen.app.push_screen(InfoScreen(title, text))
