"""`llmchat ls`: the models on this machine. Reads their headers and loads none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.columns import Column, room_of_stdout, table
from llmchat_tui.cli.common import console_of, print_json, print_rows
from llmchat_tui.console import fit_line
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_engine.models.brief import Brief
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.fit.plan import Plan
    from llmchat_engine.models.library import LocalModel
    from llmchat_tui.config import Config

_COLUMNS = (
    Column(" name", least=20),
    Column("size", right=True),
    Column("quant", least=4),
    Column("params", right=True, drops=2),
    Column("context", right=True, drops=3),
    Column("architecture", least=5, drops=4),
    Column("fits"),
    Column("about", right=True),
    Column("from", least=8, drops=1),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One model and what is told of it."""

    model: LocalModel
    brief: Brief
    plan: Plan | None
    """None where its header cannot be read."""
    problem: str
    """Why it cannot be used; empty where nothing is known against it."""
    aliases: tuple[str, ...]
    is_default: bool

    @property
    def size(self) -> int:
        """Bytes of all its parts."""
        return self.brief.header.file_size if self.brief.header else self.model.size

    @property
    def origin(self) -> str:
        """Where it comes from: its repository where it was pulled, else whose it is."""
        return self.model.repo if self.model.origin == "models" and self.model.repo else self.model.origin


@click.command()
@click.argument("words", nargs=-1)
@click.option("--fits", is_flag=True, help="Leave out those that do not fit into memory.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def ls(context: click.Context, words: tuple[str, ...], fits: bool, as_json: bool) -> None:
    """List the models on this machine: ours, and those of other programs.

    `*` marks the one that is asked where none is named. WORDS narrow the list: each is part of a name, an alias, an
    architecture, a quantisation or where it comes from. How quick a model would be is an estimate from the bandwidth of
    the memory.
    """
    app = context.ensure_object(App)
    rows = [row for row in rows_of(app) if _has(row, words) and not (fits and row.plan and row.plan.fits == "no")]
    if as_json:
        print_json([_facts(row) for row in rows])
    elif rows:
        print_rows(_lines(rows))
    else:
        hint = "no model has these words; llmchat ls lists all" if words else "there is no model yet: llmchat pull"
        console_of(app).info(hint)
    if not as_json and not words:
        _tell_unfinished(app)


def rows_of(app: App) -> list[Row]:
    """Returns the models on this machine with what their headers, the memory and earlier trials say."""
    from llmchat_engine.models.brief import read_brief
    from llmchat_engine.models.fit.machine import read_machine
    from llmchat_engine.models.fit.repack import cpu_features
    from llmchat_engine.models.trials import known_trial
    from llmchat_tui.cli.model_store import aliases_of, default_of, stock_of

    config, default = app.config, default_of(app)
    machine, features = read_machine(app.paths.state_dir), cpu_features()
    rows = []
    for model in stock_of(app).find():
        brief = read_brief(model.path, app.paths.cache_dir)
        trial = known_trial(model.path, app.paths.state_dir)
        problem = brief.problem or (trial.why if trial and not trial.ok else "")
        aliases = aliases_of(model, config.tables)
        is_default = default is not None and default.path == model.path
        rows.append(Row(model, brief, _plan(model, brief, machine, features, config), problem, aliases, is_default))
    return rows


def _plan(model: LocalModel, brief: Brief, machine: Machine, features: frozenset[str], config: Config) -> Plan | None:
    """Returns how it would be loaded, as the settings say."""
    from llmchat_engine.models.fit.plan import plan
    from llmchat_engine.models.fit.repack import repacked_bytes
    from llmchat_tui.model_options import names_of, options_of

    if brief.header is None:
        return None
    own, settings = options_of(config, names_of(model.path, model.name)), config.settings
    return plan(
        brief.header,
        machine,
        n_ctx=own.get("ctx", settings.ctx),
        gpu_layers=own.get("gpu_layers", settings.gpu_layers),
        cache_type_k=own.get("cache_type_k", settings.cache_type_k),
        cache_type_v=own.get("cache_type_v", settings.cache_type_v),
        repacked=repacked_bytes(brief.header, features),
    )


def _tell_unfinished(app: App) -> None:
    """Tells what stopped downloads take of the disk: nothing else shows them."""
    import shlex

    from llmchat_engine.models.hub.parts import PART, beside
    from llmchat_engine.models.hub.pulled import partial
    from llmchat_tui.progress_words import size_text

    for path in partial(app.paths.models_dir):
        with suppress(OSError):  # it may have come to its end meanwhile
            size = size_text(beside(path, PART).stat().st_size)
            console_of(app).info(f"unfinished: {size} of {path.name} · {shlex.join(['llmchat', 'rm', str(path)])}")


def _has(row: Row, words: Sequence[str]) -> bool:
    parts = (row.model.name, row.model.repo, row.origin, row.brief.architecture, row.brief.quantization, *row.aliases)
    text = " ".join(parts).casefold()
    return all(word.casefold() in text for word in words)


def _lines(rows: Sequence[Row]) -> list[str]:
    """Returns the table, with a line below each model that cannot be used."""
    room = room_of_stdout()
    head, *lines = table(_COLUMNS, [_cells(row) for row in rows], room)
    shown = [head]
    for row, line in zip(rows, lines, strict=True):
        shown.append(line)
        if row.problem:
            why = f"     {sanitize_line(row.problem)}"
            shown.append(fit_line(why, room)[0] if room else why)
    return shown


def _cells(row: Row) -> list[str]:
    from llmchat_tui.model_card import params_text, speed_text
    from llmchat_tui.progress_words import size_text

    brief, plan = row.brief, row.plan
    names = f"{'*' if row.is_default else ' '}{row.model.name}" + (
        f" ({', '.join(row.aliases)})" if row.aliases else ""
    )
    usable = plan is not None and plan.fits != "no" and not row.problem
    return [
        names,
        size_text(row.size),
        brief.quantization,
        params_text(brief.n_params) if brief.n_params else "",
        f"{brief.context_length:,}" if brief.context_length else "",
        brief.architecture,
        "broken" if row.problem else plan.fits if plan else "",
        speed_text(plan.tokens_per_second) if plan and usable else "",
        row.origin,
    ]


def _facts(row: Row) -> Mapping[str, Any]:
    """Returns one model as a JSON object."""
    brief, plan = row.brief, row.plan
    return {
        "name": row.model.name,
        "path": str(row.model.path),
        "origin": row.model.origin,
        "repo": row.model.repo,
        "aliases": list(row.aliases),
        "default": row.is_default,
        "size": row.size,
        "quantization": brief.quantization,
        "parameters": brief.n_params,
        "context": brief.context_length,
        "architecture": brief.architecture,
        "fits": plan.fits if plan else None,
        "why": plan.why if plan else "",
        "tokens_per_second": round(plan.tokens_per_second, 1) if plan and plan.tokens_per_second else None,
        "problem": row.problem,
    }
