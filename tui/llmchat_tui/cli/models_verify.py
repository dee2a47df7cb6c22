"""`llmchat models verify`: whether model files are intact, read whole and loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.cli.model_completion import complete_model

if TYPE_CHECKING:
    from llmchat_engine.models.hub.verify import Verdict
    from llmchat_engine.models.library import LocalModel
    from llmchat_engine.models.trials import Trial
    from llmchat_tui.cli.interrupts import Interrupts
    from llmchat_tui.console import Console
    from llmchat_tui.stock import Stock

_BAD = 3
"""The exit code where one of them is not intact."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one model."""

    name: str
    path: Path
    verdict: Verdict
    trial: Trial | None
    """None where it was not loaded."""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it; that it could not be tried does not."""
        return self.verdict.ok and not (self.trial and not self.trial.ok and self.trial.lasting)


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL]…", shell_complete=complete_model)
@click.option("--all", "every", is_flag=True, help="Check all models on this machine.")
@click.option("--no-load", is_flag=True, help="Read the files, and load none of them.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def verify(
    context: click.Context, models: tuple[str, ...], every: bool, no_load: bool, quiet: bool, as_json: bool
) -> int:
    """Check models: their sha256 against what was pulled, their headers, their tensors; then each is loaded once.

    Loading happens in a process of its own, which computes one token. Exit code 3 where one is not intact.
    """
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.cli.model_store import stock_of

    app = context.ensure_object(App)
    stock, console = stock_of(app), app.console(quiet=quiet)
    chosen = _chosen(app, stock, models, every)
    with catch_signals() as interrupts:
        found: list[Checked] = []
        for model in chosen:
            found.append(_checked(stock, model, console, interrupts, load=not no_load))
            if not as_json:
                print_rows([_line(found[-1])])
    if as_json:
        print_json([_facts(one) for one in found])
    return 0 if all(one.ok for one in found) else _BAD


def _chosen(app: App, stock: Stock, names: Sequence[str], every: bool) -> list[LocalModel]:
    """Returns the models to check.

    Raises:
        UsageError: none is named, or some are named beside --all.
        ModelMissing: a name fits none or several; before anything is read.
    """
    from llmchat_tui.cli.model_store import named
    from llmchat_tui.errors import UsageError

    if every and names:
        raise UsageError("--all checks every model", "some are named too", "llmchat models verify --all")
    if every:
        return stock.find()
    if not names:
        raise UsageError("no model is named", "", "llmchat models verify MODEL, or --all of them")
    return list(dict.fromkeys(named(app, name) for name in names))


def _checked(stock: Stock, model: LocalModel, console: Console, interrupts: Interrupts, *, load: bool) -> Checked:
    """Returns the verdict about a model: of a split one that of the first part that is bad, else of the last one."""
    from llmchat_engine.models.hub.verify import verify
    from llmchat_tui.cli.bar import watch

    for part in _parts(model.path):
        verdict = watch(console, verify(part, stock.record(part)), interrupts)
        if not verdict.ok:
            break
    trial = None
    if load and verdict.ok:
        console.status(f"loading {model.name} once")
        trial = stock.try_model(model.path)
        console.clear_status()
    return Checked(model.name, model.path, verdict, trial)


def _parts(path: Path) -> tuple[Path, ...]:
    """Returns the files of a model, the first part first; only that one where its header cannot be read."""
    from llmchat_engine.errors import ModelError
    from llmchat_engine.models.gguf import read_header

    try:
        return read_header(path).parts or (path,)
    except ModelError:
        return (path,)


def _line(one: Checked) -> str:
    from llmchat_tui.sanitize import sanitize_line

    trial = one.trial
    why = one.verdict.why
    if trial is not None:
        why = f"{why}; loaded in {trial.seconds:.1f} s" if trial.ok else f"{why}; {trial.why}"
    return sanitize_line(f"{'ok ' if one.ok else 'BAD'}  {one.name}  {why}")


def _facts(one: Checked) -> dict[str, Any]:
    trial = one.trial
    return {
        "name": one.name,
        "path": str(one.path),
        "ok": one.ok,
        "why": one.verdict.why,
        "sha256": one.verdict.sha256,
        "trial": {"ok": trial.ok, "why": trial.why, "seconds": round(trial.seconds, 3)} if trial else None,
    }
