"""What `llmchat pull` offers to choose from: the catalogue of good models, and what one repository has.

Where nobody is there to choose, the table is all: it is printed, and nothing is pulled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.columns import Column, room_of_stdout, table
from llmchat_tui.cli.common import print_json, print_rows
from llmchat_tui.cli.docs_common import can_ask
from llmchat_tui.progress_words import size_text

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.catalogue import Entry
    from llmchat_engine.models.hub.client import Hub
    from llmchat_engine.models.hub.types import HubRepo
    from llmchat_tui.console import Console
    from llmchat_tui.pulling import Chosen

_NUMBER = Column("", right=True)
_CATALOGUE = (
    _NUMBER,
    Column("model"),
    Column("memory", right=True, drops=2),
    Column("size", right=True),
    Column("fits"),
    Column("about", right=True),
    Column("good for", least=24),
    Column("licence", drops=1),
    Column("pull", least=24, drops=3),
)
_VARIANTS = (
    _NUMBER,
    Column("quant"),
    Column("size", right=True),
    Column("fits"),
    Column("about", right=True),
    Column("", drops=1),
    Column("file", least=16, drops=2),
)


def choose_from_catalogue(hub: Hub, machine: Machine, console: Console, *, as_json: bool = False) -> str:
    """Shows the catalogue, and returns what to pull of it; empty where nothing is.

    Args:
        hub: asked for sizes; where it does not answer, they are estimates and say so.
        machine: what would fit.
        console: told how far that is.
        as_json: print it for programs, and choose nothing.
    """
    from llmchat_engine.models.hub.catalogue import catalogue

    entries = catalogue()
    sizes, why = _sizes(hub, entries, machine, console)
    if as_json:
        facts = [_entry_facts(entry, size, known, machine) for entry, (size, known) in zip(entries, sizes, strict=True)]
        print_json(facts)
        return ""
    rows = [
        _entry_cells(number, entry, size, known, machine)
        for number, (entry, (size, known)) in enumerate(zip(entries, sizes, strict=True), 1)
    ]
    print_rows(table(_CATALOGUE, rows, room_of_stdout()))
    if why:
        console.warn(f"sizes with ~ are estimates: {why}")
    if not all(entry.verified for entry in entries):
        console.info("? marks what has not been looked up on the hub since it was written down")
    if not can_ask():
        return ""
    chosen = entries[_number(len(entries), _suggested(entries, machine)) - 1]
    return f"{chosen.repo}:{chosen.quant}" if chosen.quant else chosen.repo


def choose_variant(repo: HubRepo, machine: Machine) -> Chosen | None:
    """Shows what a repository has, and returns what is chosen; None where nobody is there to choose.

    Raises:
        HubMissing: it has no model.
    """
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.quants import best_variant
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.pulling import chosen_of, fits, speed, variants_of

    found = variants_of(repo)
    best = best_variant(found, room_of(machine), machine.bandwidth)
    rows = []
    for number, variant in enumerate(found, 1):
        fit = fits(variant.size, machine)
        about = speed_text(speed(variant.size, variant.quant, machine)) if fit != "no" else ""
        mark = "best for this machine" if variant is best else ""
        rows.append((str(number), variant.quant, size_text(variant.size), fit, about, mark, variant.files[0].path))
    print_rows(table(_VARIANTS, rows, room_of_stdout()))
    if not can_ask():
        return None
    number = _number(len(found), found.index(best) + 1 if best else 0)
    return chosen_of(repo, found, found[number - 1])


def _number(count: int, default: int) -> int:
    """Asks for a number; Enter takes the default where there is one."""
    wanted = click.IntRange(1, count)
    return int(click.prompt("Which one?", type=wanted, default=default or None, err=True))


def _suggested(entries: Sequence[Entry], machine: Machine) -> int:
    """Returns the number of the entry that suits the machine best; 0 where none fits."""
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.catalogue import suggested

    best = next(iter(suggested(room_of(machine), machine.bandwidth)), None)
    return entries.index(best) + 1 if best else 0


def _sizes(
    hub: Hub, entries: Sequence[Entry], machine: Machine, console: Console
) -> tuple[list[tuple[int, bool]], str]:
    """Returns what would be pulled of each entry in bytes, and whether the hub said so; and why it did not.

    All are asked for at once: one after the other takes some five seconds, and a hub that is silent as long for each.
    """
    import threading

    from llmchat_engine import EngineError

    sizes, failures = dict[str, int](), list[str]()

    def look_up(entry: Entry) -> None:
        try:
            sizes[entry.repo] = _size_on(hub, entry, machine)
        except EngineError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=look_up, args=(entry,), daemon=True) for entry in entries]
    for thread in threads:
        thread.start()
    for number, thread in enumerate(threads, 1):
        console.status(f"asking for sizes: {number} of {len(entries)}")
        thread.join()
    console.clear_status()
    known = [(sizes.get(entry.repo, 0) or entry.size, entry.repo in sizes) for entry in entries]
    return known, min(failures, default="")


def _size_on(hub: Hub, entry: Entry, machine: Machine) -> int:
    """Returns the bytes of what would be pulled of an entry; where nothing fits, of its smallest."""
    from llmchat_engine.models.fit.machine import room_of
    from llmchat_engine.models.hub.quants import best_variant, named_variant
    from llmchat_engine.models.hub.types import Reference
    from llmchat_tui.pulling import variants_of

    reference = Reference(entry.repo, quant=entry.quant)
    found = variants_of(hub.repo(reference))
    if entry.quant:
        return named_variant(found, reference).size
    return (best_variant(found, room_of(machine), machine.bandwidth) or found[-1]).size


def _entry_cells(number: int, entry: Entry, size: int, known: bool, machine: Machine) -> list[str]:
    from llmchat_engine.models.hub.quants import CENTRE
    from llmchat_tui.model_card import speed_text
    from llmchat_tui.pulling import fits, speed

    fit = fits(size, machine)
    return [
        str(number),
        f"{entry.name}{'' if entry.verified else ' ?'}",
        f"{entry.tier} GiB",
        f"{'' if known else '~'}{size_text(size)}",
        fit,
        speed_text(speed(_read_of(entry, size), entry.quant or CENTRE, machine)) if fit != "no" else "",
        entry.good_for,
        entry.licence,
        entry.repo,
    ]


def _read_of(entry: Entry, size: int) -> int:
    """Returns the bytes of a model that are read for one token: of experts only some are."""
    return size * (entry.active or entry.parameters) // entry.parameters


def _entry_facts(entry: Entry, size: int, known: bool, machine: Machine) -> dict[str, Any]:
    from llmchat_tui.pulling import fits

    return {
        "name": entry.name,
        "repo": entry.repo,
        "quantization": entry.quant,
        "parameters": entry.parameters,
        "memory_gib": entry.tier,
        "size": size,
        "size_known": known,
        "fits": fits(size, machine) or None,
        "good_for": entry.good_for,
        "licence": entry.licence,
        "verified": entry.verified,
    }
