"""The rows of the list of models: columns where there is room, else two lines a model. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.content import Content

from llmchat_engine.models.library import LocalModel
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.model_facts import ModelFacts, size_text

_SIZE, _QUANT, _CONTEXT, _FITS = 9, 9, 10, 7
_NUMBERS = _SIZE + _QUANT + _CONTEXT + _FITS
_LEAST_NAME, _LEAST_FROM = 20, 8
_MARK = 2
_FIT_WORDS = {"yes": "yes", "tight": "tight", "no": "no", "card": "?"}
_FIT_STYLES = {"yes": "", "tight": "$text-warning", "no": "$text-warning", "card": "$text-muted"}


@dataclass(frozen=True, slots=True)
class Columns:
    """How wide the columns are; no width for the origin means that there is room for two lines only."""

    width: int
    name: int
    origin: int


def columns_for(models: Sequence[LocalModel], models_dir: Path, width: int) -> Columns:
    """Returns the columns for a list of this width; a long origin gives way before a long name does."""
    rest = width - _MARK - _NUMBERS - 1
    if rest < _LEAST_NAME + _LEAST_FROM:
        return Columns(width, max(1, width - _MARK), 0)
    wanted = max((len(_origin(model, models_dir)) for model in models), default=0)
    origin = max(_LEAST_FROM, min(wanted, rest // 3))
    longest = max((len(model.name) for model in models), default=0)
    return Columns(width, max(_LEAST_NAME, min(longest + 1, rest - origin)), origin)


def header_row(columns: Columns) -> Content:
    """Returns the names of the columns."""
    numbers = f"{'size':>{_SIZE}}  {'quant':<{_QUANT - 2}}{'context':>{_CONTEXT}}  {'fits':<{_FITS - 2}} from"
    return Content(" " * _MARK + " " * columns.name + numbers)


def model_row(
    model: LocalModel, facts: ModelFacts | None, columns: Columns, current: bool, models_dir: Path
) -> Content:
    """Returns the row of one model, with a line below for what is wrong with it.

    Args:
        model: the model.
        facts: what its header says; None while it is not read.
        columns: the widths.
        current: whether it is in use.
        models_dir: what its folder is told relative to.
    """
    mark = ("● " if current else "  ", "$text-accent")
    name = _cut(sanitize_line(model.name), columns.name if not columns.origin else columns.name - 1)
    origin = _origin(model, models_dir)
    if columns.origin:
        head = [mark, name.ljust(columns.name), *_cells(model, facts), _cut(origin, columns.origin)]
    else:
        head = [mark, name, "\n  ", (_cut(_short(model, facts, origin), columns.width - _MARK), "$text-muted")]
    return Content.assemble(*head, *_below(facts))


def _cells(model: LocalModel, facts: ModelFacts | None) -> list[str | tuple[str, str]]:
    """Returns size, quantisation, context and fit in their columns."""
    size = f"{size_text(model.size):>{_SIZE}}  "
    if facts is None or facts.problem:
        return [(f"{size}{'…' if facts is None else '':<{_QUANT - 2}}".ljust(_NUMBERS + 1), "$text-muted")]
    told = f"{sanitize_line(facts.quantization)[: _QUANT - 3]:<{_QUANT - 2}}{facts.context:>{_CONTEXT},}  "
    return [(size + told, "$text-muted"), (f"{_FIT_WORDS[facts.fit]:<{_FITS - 1}}", _FIT_STYLES[facts.fit])]


def _short(model: LocalModel, facts: ModelFacts | None, origin: str) -> str:
    """Returns the same as one line for a narrow screen."""
    parts = [size_text(model.size)]
    if facts and not facts.problem:
        fits = {"yes": "fits", "tight": "tight", "no": "does not fit", "card": ""}[facts.fit]
        parts += [sanitize_line(facts.quantization), fits, f"{facts.context:,} ctx"]
    return " · ".join(part for part in (*parts, origin) if part)


def _below(facts: ModelFacts | None) -> list[tuple[str, str]]:
    """Returns the line that says why."""
    if facts is None or not (facts.problem or facts.why):
        return []
    style = "$text-error" if facts.problem else "$text-warning"
    return [(f"\n  {sanitize_line(facts.problem or facts.why)}", style)]


def _origin(model: LocalModel, models_dir: Path) -> str:
    """Returns where a model comes from: its folder under the models directory tells whose it is."""
    if model.origin == "package":
        return "package"
    folder = model.path.parent
    if folder.is_relative_to(models_dir):
        below = folder.relative_to(models_dir)
        return sanitize_line(str(below)) if below.parts else "models"
    return sanitize_line(str(folder))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
