"""`llmchat tokenize`: the tokens that a text is read as, by one model or by several.

Knows the flags and what is asked; how tokens are shown is in token_lines.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.model_completion import complete_model
from llmchat_tui.cli.options import model_flags, model_options

if TYPE_CHECKING:
    from llmchat_engine import ModelSpec
    from llmchat_tui.cli.token_lines import Tokenized
    from llmchat_tui.console import Console

_LOCAL = "llmchat tokenize -m FILE.gguf 'a text'"
_EXAMPLE = "llmchat tokenize 'How are you?'"


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    shell_complete=complete_model,
    help="Name, unique part of one, or path of a GGUF file; repeat it to compare models.",
)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path), metavar="PATH", help="Read the text of a file.")
@click.option("--special", is_flag=True, help="Read names of special tokens, such as <|im_end|>, as these tokens.")
@click.option("--ids", "only_ids", is_flag=True, help="Print the ids alone, on one line.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every token.")
@model_options
@click.pass_obj
def tokenize(
    app: App,
    /,
    text: tuple[str, ...],
    models: tuple[str, ...],
    file: Path | None,
    special: bool,
    only_ids: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show the tokens that a text is read as: ids, pieces, bytes.

    TEXT is taken as it is, and so is what is piped in where there is none. Blanks are shown as · ↵ ⇥; bytes that are no
    whole character as such.
    """
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.cli.model_path import local_spec

    loading, console = model_flags(flags), app.console()
    with catch_signals():
        given = _text_of(app, text, file, console)
        specs = [
            local_spec(app, model, _LOCAL, **loading) for model in models or ("",)
        ]  # a wrong name fails before any is loaded
        found = [_tokenized(app, spec, given, special, console) for spec in specs]
    _print(given, found, console, only_ids=only_ids, as_json=as_json)


def _text_of(app: App, words: tuple[str, ...], file: Path | None, console: Console) -> str:
    """Returns what was given, exactly.

    Raises:
        UserError: nothing was, or it cannot be read.
    """
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import Limits, as_text, piped_stdin, read_stdin, read_text

    limits = Limits(app.config.settings.stdin_limit_mib)
    if file is not None and words:
        raise UsageError("TEXT and --file exclude each other", "", _EXAMPLE)
    if file is not None:
        try:
            return read_text(file, limits, console.warn)
        except OSError as error:
            raise UsageError(f"{file} cannot be read", error.strerror or "") from error
    if words and words != ("-",):
        return as_text(" ".join(words))
    if (stdin := piped_stdin()) is None:
        raise UsageError("there is no text", "", _EXAMPLE)
    return read_stdin(stdin, limits, console.warn)


def _tokenized(app: App, spec: ModelSpec, text: str, special: bool, console: Console) -> Tokenized:
    from llmchat_engine import Loaded
    from llmchat_tui.cli.awaited import last_of
    from llmchat_tui.cli.token_lines import Tokenized

    with app.engine(spec) as engine:
        loaded = last_of(engine.load(), console)
        name = loaded.model.name if isinstance(loaded, Loaded) else spec.path.stem
        return Tokenized(name, engine.pieces(text, special=special))


def _print(text: str, found: list[Tokenized], console: Console, *, only_ids: bool, as_json: bool) -> None:
    from llmchat_tui.cli.common import print_json, print_rows
    from llmchat_tui.cli.token_lines import as_facts, comparison, table

    if as_json:
        print_json({"text": text, "characters": len(text), "models": [as_facts(one, text) for one in found]})
    elif only_ids:
        print_rows(" ".join(str(piece.id) for piece in one.pieces) for one in found)
    elif len(found) > 1:
        print_rows(comparison(found, text, color=console.look.color_stdout))
    else:
        print_rows(table(found[0], text, color=console.look.color_stdout))
