"""`llmchat show`: all that can be told of one model without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import print_json, print_rows, print_text
from llmchat_tui.cli.model_completion import complete_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmchat_engine.models.trials import Trial
    from llmchat_tui.model_card import Card


@click.command()
@click.argument("model", default="", shell_complete=complete_model)
@click.option("--template", is_flag=True, help="Print the chat template alone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def show(context: click.Context, model: str, template: bool, as_json: bool) -> None:
    """Tell everything about MODEL: shape, tensors, memory at several contexts, licence, where it comes from.

    MODEL is a name, a unique part of one, an alias or a path; without it, the default model.
    """
    from llmchat_tui.cli.model_store import named, stock_of

    app = context.ensure_object(App)
    stock, found = stock_of(app), named(app, model)
    card, trial = stock.card(found), stock.known_trial(found.path)
    if template:
        _print_template(card)
    elif as_json:
        print_json({**card.numbers, "template": card.template, "trial": _facts(trial)})
    else:
        print_rows(_lines(card, trial))


def _print_template(card: Card) -> None:
    from llmchat_tui.errors import NotFound

    if not card.template:
        raise NotFound(f"{card.name} has no chat template", "its header holds none", "llmchat ask --raw completes text")
    print_text(card.template if card.template.endswith("\n") else f"{card.template}\n")


def _lines(card: Card, trial: Trial | None) -> Iterator[str]:
    """Yields the facts, a heading above each group."""
    yield card.name
    width = max((len(line.label) for section in card.sections for line in section.lines), default=0)
    for section in card.sections:
        yield ""
        yield section.heading
        yield from (f"  {line.label:<{width}}  {line.value}" for line in section.lines)
    yield ""
    yield f"  {'loaded once':<{width}}  {_told(trial)}"
    yield f"  {'chat template':<{width}}  {'llmchat show --template prints it' if card.template else 'none'}"


def _told(trial: Trial | None) -> str:
    from llmchat_tui.sanitize import sanitize_line

    if trial is None:
        return "not yet: llmchat models verify tries it"
    return f"yes, in {trial.seconds:.1f} s" if trial.ok else f"it failed: {sanitize_line(trial.why)}"


def _facts(trial: Trial | None) -> dict[str, object] | None:
    return {"ok": trial.ok, "why": trial.why, "seconds": round(trial.seconds, 3)} if trial else None
