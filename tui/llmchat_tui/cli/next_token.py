"""`llmchat next`: the tokens that could come next, and what each filter makes of them.

Knows the flags and the request; how it is shown is in next_lines.py.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import model_flags, model_options, option_pairs, sampling_from, sampling_options

if TYPE_CHECKING:
    from llmchat_engine import Request, Sampling
    from llmchat_tui.console import Console

_EXAMPLE = "llmchat next 'The cat sat on the'"
_LOCAL = "llmchat next -m FILE.gguf 'The cat sat on the'"
_MOST = 1000


@click.command(name="next")
@click.argument("text", nargs=-1)
@click.option(
    "-m",
    "--model",
    default="",
    metavar="MODEL",
    shell_complete=complete_model,
    help="Name, unique part of one, or path of a GGUF file.",
)
@click.option("-k", "--top", type=click.IntRange(1, _MOST), default=10, metavar="N", help="So many tokens; 10.")
@click.option("--chat", is_flag=True, help="Take the text as a question, and show how the answer could begin.")
@click.option("-s", "--system", metavar="TEXT", help="System prompt; with --chat.")
@sampling_options
@model_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every number.")
@click.pass_obj
def next_token(
    app: App,
    /,
    text: tuple[str, ...],
    model: str,
    top: int,
    chat: bool,
    system: str | None,
    options: tuple[tuple[str, str], ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Show the tokens that could come next, with their probabilities.

    First what the model itself says, then what each sampler makes of it: how many tokens it leaves, which it takes,
    and the probabilities over what is left. TEXT is completed as it stands; what is piped in comes first.
    """
    from llmchat_engine import Loaded
    from llmchat_tui.cli.awaited import last_of
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.cli.model_path import local_spec
    from llmchat_tui.model_options import sampling_of

    spec, console = local_spec(app, model, _LOCAL, **model_flags(flags)), app.console()
    base = sampling_of(app.config, app.own_options(spec))
    sampling = sampling_from(base, flags, option_pairs(options))
    with catch_signals():
        request = _request(app, text, system, sampling, console, chat=chat)
        with app.engine(spec) as engine:
            loaded = last_of(engine.load(), console)
            peeked = last_of(engine.peek(request, top), console)
    name = loaded.model.name if isinstance(loaded, Loaded) else ""
    _print(name, peeked, request, console, as_json=as_json)


def _request(
    app: App, words: tuple[str, ...], system: str | None, sampling: Sampling, console: Console, *, chat: bool
) -> Request:
    """Returns what the model is given.

    Raises:
        UserError: there is no text, or stdin cannot be used.
    """
    from llmchat_engine import Message, Request
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import Limits, as_text, build_question, piped_stdin

    if system is not None and not chat:
        raise UsageError("--system is about a chat", "the text is completed as it stands", f"{_EXAMPLE} --chat -s …")
    stdin, limits = piped_stdin(), Limits(app.config.settings.stdin_limit_mib)
    try:
        question = build_question(words, (), stdin, limits, console.warn)
    except UsageError as error:
        raise UsageError(error.what.replace("question", "text"), error.why, _EXAMPLE) from error
    before = (Message("system", as_text(system)),) if system else ()
    return Request((*before, Message("user", question)), sampling, raw=not chat)


def _print(model: str, peeked: object, request: Request, console: Console, *, as_json: bool) -> None:
    from llmchat_engine.events import Peeked
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.next_lines import as_facts, lines
    from llmchat_tui.console import terminal_columns

    if not isinstance(peeked, Peeked):
        raise click.Abort  # somebody stopped it
    if as_json:
        print_json({"model": model, "text": request.messages[-1].text, "chat": not request.raw, **as_facts(peeked)})
    else:
        columns = terminal_columns(sys.stdout)
        print_rows(lines(peeked, model, columns, color=console.look.color_stdout))
