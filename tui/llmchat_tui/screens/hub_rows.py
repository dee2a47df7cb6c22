"""The rows of the hub's pages: what a search found, what the catalogue suggests, the variants of one repository. Pure.

All text is from outside. Knows no widget and asks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from llmchat_engine.models.hub.types import Found, HubRepo, Variant
from llmchat_tui.model_card import speed_text
from llmchat_tui.progress_words import shortened, size_text
from llmchat_tui.pulling import fits, speed
from llmchat_tui.sanitize import sanitize_line
from llmchat_tui.screens.model_facts import Fit
from llmchat_tui.screens.model_rows import FIT_PHRASES, FIT_STYLES, FIT_WORDS, cut

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.catalogue import Entry

_ROOMY = 66
"""Columns from which on the speed of a variant is told too."""
_SHOWN_QUANTS = 5
_LONGEST_QUANT = 12


def found_row(found: Found, machine: Machine | None, width: int) -> Content:
    """Returns the row of a repository that a search found.

    Args:
        found: the repository.
        machine: what it would run on; None while that is not known.
        width: of the list.
    """
    parts = [f"{count_text(found.downloads)} downloads", f"{count_text(found.likes)} likes"]
    parts += [sanitize_line(found.updated)] if found.updated else []
    sized = [variant for variant in found.variants if variant.size]
    fitting = sum(fits(variant.size, machine) in ("yes", "tight") for variant in sized) if machine else 0
    quants = [sanitize_line(variant.quant) for variant in found.variants if variant.quant != "?"]
    shown = " ".join(quants[:_SHOWN_QUANTS]) + (f" +{len(quants) - _SHOWN_QUANTS}" * (len(quants) > _SHOWN_QUANTS))
    told = f"{fitting} of {len(sized)} about fit" if machine and sized else ""
    gated: list[tuple[str, str]] = [("   gated", "$text-warning")] if found.gated else []
    below = " · ".join(part for part in (*parts, told, shown) if part)
    return Content.assemble(
        shortened(sanitize_line(found.repo), max(12, width - 9)),
        *gated,
        (f"\n  {cut(below, width - 2)}", "$text-muted"),
    )


def entry_row(
    entry: Entry, repo: HubRepo | None, variant: Variant | None, machine: Machine | None, width: int
) -> Content:
    """Returns the row of a model of the catalogue.

    Args:
        entry: the model.
        repo: what the hub says of it; None where it was not asked.
        variant: the one for this machine.
        machine: what it would run on; None while that is not known.
        width: of the list.
    """
    if variant is not None:
        fit = _fit(variant, machine)
        parts = [sanitize_line(variant.quant), size_text(variant.size), FIT_PHRASES[fit]]
        share = entry.active / entry.parameters if entry.active else 1.0
        parts += [_about(variant, machine, share)]
    else:
        unchecked = f"about {size_text(entry.size)}, size not checked"
        parts = [unchecked if repo is None else "nothing of it fits this machine"]
    licence = sanitize_line(repo.licence if repo and repo.licence else entry.licence)
    unsure = [] if entry.verified or repo else [("   not verified", "$text-muted")]
    head = shortened(sanitize_line(entry.name), max(12, width - 18))
    numbers = " · ".join(part for part in (*parts, licence) if part)
    below = f"{numbers} · {sanitize_line(entry.good_for)}" if entry.good_for else numbers
    return Content.assemble(("↓ ", "$text-accent"), head, *unsure, (f"\n  {cut(below, width - 2)}", "$text-muted"))


def variant_row(variant: Variant, machine: Machine, best: bool, width: int) -> Content:
    """Returns the row of one variant.

    Args:
        variant: the variant.
        machine: what it would run on.
        best: whether it suits this machine best.
        width: of the list.
    """
    fit, name = _fit(variant, machine), sanitize_line(variant.quant if variant.quant != "?" else variant.files[-1].path)
    size = f"{shortened(name, _LONGEST_QUANT):<{_LONGEST_QUANT}} {size_text(variant.size):>9}  "
    if width < _ROOMY:
        mark = ("  best", "$text-success") if best else ""
        return Content.assemble(size, (FIT_WORDS[fit], FIT_STYLES[fit]), mark)
    parts = f" {len(variant.files)} files" if len(variant.files) > 1 else ""
    mark = (" best for this machine", "$text-success") if best else ""
    return Content.assemble(
        size,
        (f"{FIT_PHRASES[fit]:<12}", FIT_STYLES[fit]),
        (f"{_about(variant, machine):<16}{parts}", "$text-muted"),
        mark,
    )


def repo_line(repo: HubRepo) -> str:
    """Returns what is told of a repository over its variants."""
    parts = ["gated: its terms are to be accepted on the hub first"] if repo.gated else []
    parts += [f"licence {repo.licence}" if repo.licence else "no licence is told"]
    parts += [f"{count_text(repo.downloads)} downloads", f"made from {repo.base_model}" if repo.base_model else ""]
    return sanitize_line(" · ".join(part for part in parts if part))


def _fit(variant: Variant, machine: Machine | None) -> Fit:
    """Returns whether a variant fits; `card` where that cannot be told."""
    return (fits(variant.size, machine) or "card") if machine else "card"


def _about(variant: Variant, machine: Machine | None, share: float = 1.0) -> str:
    """Returns about how fast a variant would write; empty where that is not known, or it does not fit.

    Args:
        variant: which.
        machine: what it would run on.
        share: part of it that is read for a token.
    """
    if machine is None or _fit(variant, machine) == "no":
        return ""
    words = speed_text(speed(round(variant.size * share), variant.quant, machine))
    return f"about {words}" if words else ""


def count_text(count: int) -> str:
    """Returns a count as hubs write it: 1.2M, 340K."""
    if count >= 999_950:
        return f"{count / 1e6:.1f}M"
    return f"{count / 1e3:.0f}K" if count >= 10_000 else f"{count:,}"
