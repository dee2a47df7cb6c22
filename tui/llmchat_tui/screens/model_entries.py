"""What the list of models has rows for: models, servers, downloads, what was typed. Pure but for one look at the disk.

Knows no widget; how a row is written is in model_rows.py and pull_rows.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llmchat_engine import RequestInvalid
from llmchat_engine.models.hub.types import Reference
from llmchat_engine.models.library import LocalModel
from llmchat_tui.model_tables import Remote
from llmchat_tui.pulls import Job
from llmchat_tui.remote_choice import PREFIX
from llmchat_tui.screens.model_facts import path_in


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the config."""

    name: str
    """As `-m` takes it."""
    remote: Remote


@dataclass(frozen=True, slots=True)
class Download:
    """What is downloaded, by its key: how far it is changes."""

    key: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What was typed names something on the hub."""

    text: str
    reference: Reference


@dataclass(frozen=True, slots=True)
class Search:
    """The way to the hub's page; the words may be empty."""

    words: str


Entry = LocalModel | Server | Download | Offer | Search


def entries_of(
    models: Sequence[LocalModel], remotes: Mapping[str, Remote], jobs: Iterable[Job], typed: str
) -> list[Entry]:
    """Returns the rows for what was typed: those whose name has it, or all where it is no word to look for.

    Args:
        models: those on this machine.
        remotes: servers by name.
        jobs: downloads; those that are done are among the models.
        typed: what stands in the field.
    """
    reference = reference_in(typed)
    words = "" if reference or path_in(typed) else typed.strip()
    found: list[Entry] = [Offer(typed.strip(), reference)] if reference else []
    found += [model for model in models if words.casefold() in model.name.casefold()]
    names = (f"{PREFIX}{name}" for name in remotes)
    servers = zip(names, remotes.values(), strict=True)
    found += [Server(name, remote) for name, remote in servers if words.casefold() in name.casefold()]
    found += [Download(job.key) for job in jobs if job.state != "done"]
    return found if path_in(typed) or reference else [*found, Search(words)]


def reference_in(text: str) -> Reference | None:
    """Returns what a text names on the hub; None where it names a file here, or is a word to look for."""
    from llmchat_engine.models.hub.names import looks_like_reference, parse_reference

    text = text.strip()
    if not text or text.startswith(("/", "./", "../", "~")) or not looks_like_reference(text):
        return None
    try:
        return None if os.path.exists(text) else parse_reference(text)
    except (RequestInvalid, ValueError, OSError):
        return None


def same(entry: Entry, other: Entry | None) -> bool:
    """Returns whether two rows are about the same thing, whatever was found out of it meanwhile."""
    if isinstance(entry, LocalModel) and isinstance(other, LocalModel):
        return entry.path == other.path
    return entry == other or (isinstance(entry, Search) and isinstance(other, Search))
