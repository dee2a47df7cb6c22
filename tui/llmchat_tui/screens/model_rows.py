"""The rows of the list of models: columns where there is room, else two lines a model. Pure functions.

Knows no widget; rows of downloads are in pull_rows.py.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from textual.content import Content

from llmchat_engine.models.library import LocalModel
from llmchat_tui.model_card import speed_text
from llmchat_tui.model_tables import Remote
from llmchat_tui.progress_words import size_text
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.model_facts import Fit, ModelFacts

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine

_SIZE, _QUANT, _CONTEXT, _FITS, _ABOUT = 9, 9, 10, 7, 10
_GAP = 2
_LEAST_NAME, _LEAST_FROM = 20, 8
_ROOMY_NAME = 30
"""Characters of names from which on the context has a column too."""
_MARK = 2
FIT_WORDS: dict[Fit, str] = {"yes": "yes", "tight": "tight", "no": "no", "card": "?"}
FIT_STYLES: dict[Fit, str] = {"yes": "", "tight": "$text-warning", "no": "$text-warning", "card": "$text-muted"}
FIT_PHRASES: dict[Fit, str] = {"yes": "fits", "tight": "tight", "no": "does not fit", "card": ""}


@dataclass(frozen=True, slots=True)
class Note:
    """What is told in a line below a row: how a check goes, or went."""

    text: str
    style: str = "$text-muted"


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns are; no width for the origin means that there is room for two lines only."""

    width: int
    name: int
    origin: int
    context: int = 0
    """0 where there is no room for it."""


def columns_for(names: Iterable[str], origins: Iterable[str], width: int) -> Columns:
    """Returns the columns for a list of this width; a long origin gives way before a long name does.

    Args:
        names: of all rows.
        origins: of all rows, as they are shown.
        width: of the list.
    """
    rest = width - _MARK - _SIZE - _QUANT - _FITS - _ABOUT - _GAP
    if rest < _LEAST_NAME + _LEAST_FROM:
        return Columns(width, max(1, width - _MARK), 0)
    context = _CONTEXT if rest - _CONTEXT >= _ROOMY_NAME + _LEAST_FROM else 0
    rest -= context
    origin = max(_LEAST_FROM, min(max(map(len, origins), default=0), rest // 3))
    name = max(_LEAST_NAME, min(max(map(len, names), default=0) + 1, rest - origin))
    return Columns(width, name, origin, context)


def header_row(columns: Columns) -> Content:
    """Returns the names of the columns."""
    context = f"{'context':>{_CONTEXT}}" if columns.context else ""
    numbers = f"{'size':>{_SIZE}}  {'quant':<{_QUANT - 2}}{context}  {'fits':<{_FITS - 2}}{'about':>{_ABOUT}}  from"
    return Content(" " * _MARK + " " * columns.name + numbers)


def model_row(
    model: LocalModel,
    facts: ModelFacts | None,
    columns: Columns,
    current: bool,
    models_dir: Path,
    note: Note | None = None,
) -> Content:
    """Returns the row of one model, with a line below for what is wrong with it.

    Args:
        model: the model.
        facts: what its header says; None while it is not read.
        columns: the widths.
        current: whether it is in use.
        models_dir: what its folder is told relative to.
        note: stands in a line of its own too.
    """
    name, origin = sanitize_line(model.name), origin_of(model, models_dir)
    if columns.origin:
        shown = cut(name, columns.name - 1).ljust(columns.name)
        head = [shown, *_cells(model, facts, columns), cut(origin, columns.origin)]
    else:
        told = cut(_short(model, facts, origin), columns.width - _MARK)
        head = [cut(name, columns.name), "\n  ", (told, "$text-muted")]
    return Content.assemble(_mark(current), *head, *_below(facts, columns.width), *_noted(note, columns.width))


def remote_row(name: str, remote: Remote, columns: Columns, current: bool) -> Content:
    """Returns the row of a server: its host, and that what is asked leaves this machine where it does.

    Args:
        name: as `-m` takes it.
        remote: the server.
        columns: the widths.
        current: whether it is in use.
    """
    shown = sanitize_line(name)
    if not columns.origin:
        return Content.assemble(_mark(current), cut(shown, columns.name), "\n  ", (_place(remote), "$text-muted"))
    numbers = columns.width - _MARK - columns.name
    return Content.assemble(
        _mark(current),
        cut(shown, columns.name - 1).ljust(columns.name),
        (cut(f"  {_place(remote)}", numbers), "$text-muted"),
    )


def offer_row(text: str, columns: Columns) -> Content:
    """Returns the row of what was typed and can be pulled."""
    return Content.assemble(("↓ ", "$text-accent"), f"pull {cut(sanitize_line(text), max(1, columns.width - 8))}")


def search_row(words: str, hub: str) -> Content:
    """Returns the row that leads to the hub.

    Args:
        words: to be searched for; empty where none were typed.
        hub: the host that is asked.
    """
    shown = f" for “{cut(sanitize_line(words), 40)}”" if words else ""
    return Content.assemble(
        ("/ ", "$text-accent"), f"search the hub{shown}", (f"   asks {sanitize_line(hub)}", "$text-muted")
    )


def head_line(machine: Machine | None, total: int) -> str:
    """Returns what models can run on, in one line; empty while that is not known.

    Args:
        machine: what was found of it.
        total: bytes of memory that the machine has.
    """
    if machine is None:
        return ""
    free = min(machine.free.bytes, total) if total else machine.free.bytes
    ram = f"RAM {size_text(total)} free {size_text(free)}" if total else f"RAM free {size_text(free)}"
    cards = [
        f"{sanitize_line(card.name)} {size_text(card.total)} free {size_text(card.free)}" for card in machine.cards
    ]
    return f"{ram} · GPU {', '.join(cards) or 'none'}"


def origin_of(model: LocalModel, models_dir: Path) -> str:
    """Returns where a model comes from: of ours its folder, which tells whose it is, else the program it belongs to."""
    if model.origin not in ("models", "path"):
        return model.origin
    folder = model.path.parent
    if folder.is_relative_to(models_dir):
        below = folder.relative_to(models_dir)
        return sanitize_line(str(below)) if below.parts else "models"
    return sanitize_line(str(folder))


def is_local(remote: Remote) -> bool:
    """Returns whether a server runs on this very machine, as far as its address says."""
    from llmchat_engine.remote.address import is_loopback

    return is_loopback(_host(remote)[0])


def columns_of(models: Sequence[LocalModel], remotes: Iterable[str], models_dir: Path, width: int) -> Columns:
    """Returns the columns for these models and servers."""
    names = [*(model.name for model in models), *remotes]
    return columns_for(names, (origin_of(model, models_dir) for model in models), width)


def _place(remote: Remote) -> str:
    told = sanitize_line(_host(remote)[1])
    return told if is_local(remote) else f"{told} · what you ask leaves this machine"


def _host(remote: Remote) -> tuple[str, str]:
    """Returns the host of a server, and host and port as they are written; a key in the address is not told."""
    try:
        parts = urlsplit(remote.base_url)
        return parts.hostname or "", parts.netloc.rpartition("@")[2] or remote.base_url
    except ValueError:
        return "", "?"


def _mark(current: bool) -> tuple[str, str]:
    return ("● " if current else "  ", "$text-accent")


def _cells(model: LocalModel, facts: ModelFacts | None, columns: Columns) -> list[str | tuple[str, str]]:
    """Returns size, quantisation, context, fit and speed in their columns."""
    size = f"{size_text(model.size):>{_SIZE}}  "
    numbers = _SIZE + _QUANT + columns.context + _FITS + _ABOUT + _GAP
    if facts is None or facts.problem:
        return [(f"{size}{'…' if facts is None else ''}".ljust(numbers), "$text-muted")]
    context = f"{facts.context:>{_CONTEXT},}" if columns.context else ""
    told = f"{sanitize_line(facts.quantization)[: _QUANT - 3]:<{_QUANT - 2}}{context}  "
    fits = (f"{FIT_WORDS[facts.fit]:<{_FITS - 2}}", FIT_STYLES[facts.fit])
    return [(size + told, "$text-muted"), fits, (f"{_speed(facts):>{_ABOUT}}  ", "$text-muted")]


def _short(model: LocalModel, facts: ModelFacts | None, origin: str) -> str:
    """Returns the same as one line for a narrow screen."""
    parts = [size_text(model.size)]
    if facts and not facts.problem:
        parts += [sanitize_line(facts.quantization), FIT_PHRASES[facts.fit], _speed(facts)]
    return " · ".join(part for part in (*parts, origin) if part)


def _speed(facts: ModelFacts) -> str:
    return "" if facts.fit == "no" else speed_text(facts.speed)


def below(text: str, width: int) -> str:
    """Returns a sentence as the lines under a row, each set in as far as its name."""
    return "".join(f"\n  {part}" for part in textwrap.wrap(sanitize_line(text), max(8, width - _MARK)))


def _below(facts: ModelFacts | None, width: int) -> list[tuple[str, str]]:
    """Returns the lines that say why."""
    if facts is None or not (facts.problem or facts.why):
        return []
    style = "$text-error" if facts.problem else "$text-warning"
    return [(below(facts.problem or facts.why, width), style)]


def _noted(note: Note | None, width: int) -> list[tuple[str, str]]:
    return [(below(note.text, width), note.style)] if note else []


def cut(text: str, width: int) -> str:
    """Returns as much of a text as has room."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
