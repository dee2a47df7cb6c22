"""What the page of models finds out in threads: the machine, headers, whether files are intact. Messages and work.

Knows no widget; each function is called in a thread and posts what it found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from textual.message import Message

from llmchat_engine import EngineError
from llmchat_engine.models.library import LocalModel
from llmchat_tui.progress_words import amount_told
from llmchat_tui.screens.model_facts import ModelFacts, read_facts
from llmchat_tui.screens.model_rows import Note

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.verify import Verdict
    from llmchat_engine.models.trials import Trial
    from llmchat_tui.stock import Stock

_TELL_SECONDS = 0.25


@dataclass
class MachineRead(Message):
    """What models would run on is known."""

    machine: Machine
    total: int
    """Bytes of memory that it has; 0 where that is not known."""


@dataclass
class FactsRead(Message):
    """A header was read."""

    path: Path
    facts: ModelFacts
    typed: bool = False
    """Whether the user named the file by its path and waits for it."""


@dataclass
class AllRead(Message):
    """Every header was read."""


@dataclass
class Noted(Message):
    """A check of a file went on, or ended."""

    path: Path
    note: Note


@dataclass
class ModelsFound(Message):
    """The models on this machine were looked for again."""

    models: list[LocalModel]


@dataclass
class Told(Message):
    """Something cannot be done."""

    text: str


Post = Callable[[Message], object]


def read_all(
    stock: Stock, models: Sequence[LocalModel], known: frozenset[Path], post: Post, cancelled: Callable[[], bool]
) -> None:
    """Reads the header of each model.

    Args:
        stock: the models.
        models: those that are listed.
        known: files that were read already.
        post: takes what was found.
        cancelled: whether nobody waits any more.
    """
    machine = stock.machine()
    post(MachineRead(machine, total_memory()))
    for model in models:
        if cancelled():
            return
        if model.path not in known:
            post(FactsRead(model.path, facts_of(stock, model.path, machine)))
    post(AllRead())


def total_memory() -> int:
    """Returns the bytes of memory that this machine has; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def read_typed(stock: Stock, path: Path, post: Post) -> None:
    """Reads the header of the file that the user named."""
    post(FactsRead(path, facts_of(stock, path, stock.machine()), typed=True))


def facts_of(stock: Stock, path: Path, machine: Machine) -> ModelFacts:
    """Returns what is known of a file, also that it did not load when it was tried."""
    facts = read_facts(path, machine)
    trial = None if facts.problem else stock.known_trial(path)
    return facts if trial is None else after_trial(facts, trial)


def after_trial(facts: ModelFacts, trial: Trial) -> ModelFacts:
    """Returns what is known of a file that was tried; where memory ran out, it may load another time."""
    if trial.ok:
        return facts
    return replace(facts, problem=f"does not load: {trial.why}") if trial.lasting else replace(facts, why=trial.why)


def verify(stock: Stock, path: Path, post: Post, cancelled: Callable[[], bool]) -> None:
    """Reads all of a file, and tells whether it is what it should be."""
    told = 0.0
    try:
        with closing(stock.verify(path)) as work:
            while not cancelled():
                progress = next(work)
                if monotonic() - told >= _TELL_SECONDS:
                    told = monotonic()
                    post(Noted(path, Note(f"{progress.stage} {amount_told(progress)}".strip())))
    except StopIteration as end:
        post(Noted(path, _verdict(end.value)))
    except EngineError as error:
        post(Noted(path, Note(error.why or error.what, "$text-error")))


def _verdict(verdict: Verdict) -> Note:
    why = f": {verdict.why}" if verdict.why else ""
    return Note(f"intact{why}", "$text-success") if verdict.ok else Note(f"damaged{why}", "$text-error")


def remove(stock: Stock, path: Path, post: Post) -> None:
    """Removes a model that was pulled."""
    try:
        stock.remove(path)
    except EngineError as error:
        post(Told(f"{error}" + (f"   {error.hint}" if error.hint else "")))
    post(ModelsFound(stock.find()))
