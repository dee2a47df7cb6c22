"""What the pages of the hub ask in threads, and the messages that bring the answers. Knows no widget."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from llmchat_engine import EngineError, HubUnreachable
from llmchat_engine.models.hub.types import Found, HubRepo, Reference, Variant
from llmchat_tui.stock import Stock

if TYPE_CHECKING:
    from llmchat_engine.models.fit.machine import Machine
    from llmchat_engine.models.hub.catalogue import Entry


@dataclass(frozen=True, slots=True)
class Picked:
    """What the user wants of the hub."""

    reference: Reference
    repo: HubRepo | None = None
    variant: Variant | None = None


@dataclass
class Suggested(Message):
    """What the catalogue has for this machine."""

    entries: tuple[Entry, ...]
    machine: Machine


@dataclass
class EntryRead(Message):
    """The hub told of a model of the catalogue."""

    name: str
    repo: HubRepo
    variant: Variant | None


@dataclass
class Hits(Message):
    """A search has ended."""

    words: str
    found: tuple[Found, ...]
    machine: Machine


@dataclass
class RepoRead(Message):
    """The hub told of a repository."""

    repo: HubRepo
    variants: tuple[Variant, ...]
    best: Variant | None
    machine: Machine


@dataclass
class Refused(Message):
    """The hub did not answer as it should, or does not have it."""

    text: str


Post = Callable[[Message], object]
Question = Callable[[Post, Callable[[], bool]], None]
"""What is asked in a thread: it posts what it finds, and may look whether nobody waits for it any more."""


class Asking:
    """Asks one question at a time: what an older one finds out later is dropped.

    The thread is a daemon: a hub that says nothing must not keep the program from leaving.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._newest: object = None

    def ask(self, question: Question) -> None:
        """Begins with a question, in place of the one before."""
        mine = self._newest = object()

        def is_over() -> bool:
            return mine is not self._newest

        def post(message: Message) -> None:
            if not is_over():
                with suppress(RuntimeError):  # the loop has gone: the program is leaving
                    self._post(message)

        threading.Thread(target=question, args=(post, is_over), name="hub", daemon=True).start()

    def stop(self) -> None:
        """Drops whatever is still found."""
        self._newest = None


def suggest(stock: Stock, post: Post, cancelled: Callable[[], bool]) -> None:
    """Tells the catalogue at once, then asks the hub of each model in it until it does not answer."""
    machine = stock.machine()
    entries = stock.suggested(machine)
    post(Suggested(entries, machine))
    for entry in entries:
        if cancelled():
            return
        try:
            repo = stock.repo(Reference(entry.repo))
            variant = stock.chosen(repo, Reference(entry.repo, entry.quant))
        except HubUnreachable as error:
            post(Refused(words_of(error)))
            return
        except EngineError:
            continue
        post(EntryRead(entry.name, repo, variant))


def search(stock: Stock, words: str, post: Post) -> None:
    """Searches the hub."""
    try:
        post(Hits(words, stock.search(words), stock.machine()))
    except EngineError as error:
        post(Refused(words_of(error)))


def read_repo(stock: Stock, reference: Reference, post: Post) -> None:
    """Asks the hub of one repository, and looks which variant suits this machine."""
    try:
        repo = stock.repo(reference)
        variants = stock.variants(repo)
    except EngineError as error:
        post(Refused(words_of(error)))
        return
    machine = stock.machine()
    post(RepoRead(repo, variants, stock.best(variants, machine), machine))


def words_of(error: EngineError) -> str:
    """Returns an error as one line, with what helps."""
    return f"{error}" + (f"   {error.hint}" if error.hint else "")
