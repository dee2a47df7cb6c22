"""`llmchat models search`: repositories of the hub with models in GGUF files, and what of them this machine can run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.columns import Column, room_of_stdout, table
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.progress_words import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.client import Hub
    from llmchat_engine.models.hub.types import Found, Variant
    from llmchat_tui.console import Console

_ASKED = 5
"""Repositories whose sizes are asked for: each takes a request of its own, some 0.2 s."""
_COLUMNS = (
    Column("repository", least=24),
    Column("downloads", right=True, drops=1),
    Column("likes", right=True, drops=3),
    Column("updated", drops=2),
    Column("best here"),
    Column("size", right=True),
    Column("fits"),
    Column("about", right=True),
    Column("", drops=4),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One repository that was found."""

    found: Found
    variants: tuple[Variant, ...]
    known: bool
    """Whether its sizes are the hub's; else they are estimates from the number of parameters, or 0."""
    best: Variant | None
    """What would be pulled here; None where nothing fits, or sizes are not known."""

    @property
    def shown(self) -> Variant | None:
        """What the row is about: the best for this machine, else the smallest."""
        return self.best or min(self.variants, key=lambda variant: variant.size, default=None)


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=20, metavar="N", help="The most to show; 20 without it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def search(context: click.Context, words: tuple[str, ...], limit: int, quiet: bool, as_json: bool) -> None:
    """Search the hub for models in GGUF files, the most downloaded first.

    `best here` is the quantisation that `llmchat pull` would take on this machine. Sizes with ~ are estimates.
    """
    from llmchat_engine.models.fit.machine import read_machine
    from llmchat_engine.models.hub.client import Hub
    from llmchat_tui.cli.interrupts import catch_signals
    from llmchat_tui.cli.model_store import stock_of

    app = context.ensure_object(App)
    console = app.console(quiet=quiet)
    with catch_signals():
        hub, machine = Hub(app.environ), read_machine(app.paths.state_dir)
        console.status(f"asking {stock_of(app).hub_name}")
        found = hub.search(" ".join(words), limit)
        rows = _rows(hub, found, machine, console)
        console.clear_status()
    if as_json:
        print_json([_facts(row, machine) for row in rows])
    elif rows:
        print_rows(table(_COLUMNS, [_cells(row, machine) for row in rows], room_of_stdout()))
    else:
        console.info("nothing was found; fewer words find more")


def _rows(hub: Hub, found: Sequence[Found], machine: Machine, console: Console) -> list[Row]:
    """Returns the rows; the first few with sizes as the hub has them."""
    from llmchat_engine import HubError

    rows = []
    for number, one in enumerate(found, 1):
        variants, known = one.variants, False
        if number <= _ASKED:
            console.status(f"asking for sizes: {number} of {min(len(found), _ASKED)}")
            with suppress(HubError):  # the search itself went well: what it told is shown
                variants, known = _sized(hub, one), True
        rows.append(Row(one, variants, known, _best(variants, machine)))
    return rows


def _sized(hub: Hub, found: Found) -> tuple[Variant, ...]:
    from llmchat_engine.models.hub.quants import variants
    from llmchat_engine.models.hub.types import Reference

    return variants(hub.repo(Reference(found.repo)).files)


def _best(variants: Sequence[Variant], machine: Machine) -> Variant | None:
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.quants import best_variant

    return best_variant(variants, room_of(machine), machine.bandwidth)


def _cells(row: Row, machine: Machine) -> list[str]:
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.pulling import fits, speed

    found, shown = row.found, row.shown
    size = shown.size if shown else 0
    fit = fits(size, machine)
    return [
        found.repo,
        f"{found.downloads:,}",
        f"{found.likes:,}",
        found.updated,
        shown.quant if shown else "",
        f"{'' if row.known else '~'}{size_text(size)}" if size else "",
        fit,
        speed_text(speed(size, shown.quant, machine)) if shown and fit not in ("", "no") else "",
        "gated" if found.gated else "",
    ]


def _facts(row: Row, machine: Machine) -> dict[str, Any]:
    """Returns one repository as a JSON object."""
    from llmchat_tui.pulling import fits

    found = row.found
    return {
        "repo": found.repo,
        "downloads": found.downloads,
        "likes": found.likes,
        "updated": found.updated,
        "gated": found.gated,
        "sizes_known": row.known,
        "best": row.best.quant if row.best else None,
        "variants": [
            {
                "quantization": variant.quant,
                "size": variant.size or None,
                "files": len(variant.files),
                "fits": fits(variant.size, machine) or None,
            }
            for variant in row.variants
        ],
    }
