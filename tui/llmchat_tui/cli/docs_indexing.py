"""Brings collections to the state of their folders: progress while somebody watches, failures always, Ctrl+C any time.

Shared by `docs add`, `docs update` and `docs watch`. Knows no flags; the work itself is the document room's.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmchat_tui.cli.docs_common import agreed, can_ask, chosen, many, no_documents, open_library, vectors_of

if TYPE_CHECKING:
    from llmchat_rag.events import Done, Progress
    from llmchat_rag.ingest import Event
    from llmchat_rag.store import Collection, EmbedderMark, Library
    from llmchat_rag.types import Embedder, Skipped
    from llmchat_rag.vector_store import VectorStore
    from llmchat_tui.cli.app import App
    from llmchat_tui.console import Console

_TOLD = 5
"""Failures that are told one by one; `docs show NAME --failed` has them all."""


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did."""

    collection: Collection
    done: Done
    failed: tuple[Skipped, ...]
    left_out: int

    @property
    def line(self) -> str:
        """It in one line."""
        done = self.done
        parts = [
            f"{self.collection.name}: {many(done.indexed + done.unchanged, 'file')}, {many(done.chunks, 'passage')}",
            f"{done.indexed:,} read, {done.unchanged:,} unchanged, {done.removed:,} removed",
        ]
        if self.left_out:
            parts.append(f"{self.left_out:,} left out")
        if self.failed:
            parts.append(f"{len(self.failed):,} failed")
        return " · ".join([*parts, f"{done.embedded:,} embedded in {done.seconds:.1f} s"])

    @property
    def facts(self) -> dict[str, Any]:
        """It as a JSON object."""
        from dataclasses import asdict

        failed = [{"path": one.relative, "reason": one.reason} for one in self.failed]
        about = {"collection": self.collection.name, "root": str(self.collection.root)}
        return {**about, **asdict(self.done), "left_out": self.left_out, "failed": failed}


class Indexing:
    """One run: the store, the model and the parsers, each opened once."""

    def __init__(self, app: App, console: Console, library: Library, embedder: Embedder, stop: threading.Event) -> None:
        self._app = app
        self.console = console
        self.embedder = embedder
        """What makes the vectors."""
        self.library = library
        """Where everything goes."""
        self.stop = stop
        """Set where it is to end."""
        self._closing = ExitStack()

    def close(self) -> None:
        """Ends the parsers, and gives the connection to a vector server back."""
        self._closing.close()

    @property
    def mark(self) -> EmbedderMark:
        """The model, as the store remembers it."""
        from llmchat_rag.store import EmbedderMark

        return EmbedderMark(self.embedder.name, self.embedder.fingerprint, self.embedder.dimension)

    @cached_property
    def _vectors(self) -> VectorStore | None:
        found = vectors_of(self._app, self.library, self.embedder)
        if found is not None:
            self._closing.callback(found.close)
        return found

    @cached_property
    def _pool(self) -> Any:
        from llmchat_rag.parse.pool import ParserPool

        return self._closing.enter_context(ParserPool())

    def update(
        self,
        collection: Collection,
        *,
        force: bool = False,
        accept_missing: bool = False,
        verbose: bool = False,
        ask: bool = True,
    ) -> Updated:
        """Brings one collection to the state of its folder.

        Args:
            collection: which.
            force: read every file again.
            accept_missing: forget files that are gone, also where they are half of all.
            ask: where they are, ask somebody who is there.
            verbose: tell each file that is left out, and why.

        Raises:
            Cancelled: it was asked to stop; what was done is kept.
            RagError: see `ingest.update`.
        """
        from llmchat_rag.errors import FilesMissing

        try:
            return self._run(collection, force, accept_missing, verbose)
        except FilesMissing as missing:
            if not (ask and can_ask()) or not agreed(f"{missing}. Forget them?", missing.hint):
                raise
            return self._run(collection, force, True, verbose)

    def _run(self, collection: Collection, force: bool, accept_missing: bool, verbose: bool) -> Updated:
        from llmchat_rag.events import Done, Progress
        from llmchat_rag.ingest import update
        from llmchat_rag.types import Skipped

        console, skipped = self.console, list[Skipped]()
        events: Iterator[Event] = update(
            self.library,
            collection.name,
            self.embedder,
            self._pool,
            force=force,
            accept_missing=accept_missing,
            cancelled=self.stop.is_set,
            vectors=self._vectors,
        )
        console.status(f"{collection.name}: looking through {collection.root}")
        done: Done | None = None
        for event in events:
            if isinstance(event, Progress):
                console.status(f"{collection.name}: {progress_line(event)}")
            elif isinstance(event, Skipped):
                skipped.append(event)
                if verbose and not event.failed:
                    console.say(f"{collection.name}: {event.relative} {event.reason}")
            elif isinstance(event, Done):
                done = event
        console.clear_status()
        assert done is not None
        failed = tuple(one for one in skipped if one.failed)
        return Updated(collection, done, failed, len(skipped) - len(failed))

    def tell_failures(self, updated: Updated) -> None:
        """Warns of the files that could not be read: the first ones by name."""
        name, failed = updated.collection.name, updated.failed
        for one in failed[:_TOLD]:
            self.console.warn(f"{name}: {one.relative or updated.collection.root}: {one.reason}")
        if len(failed) > _TOLD:
            more = f"{len(failed) - _TOLD:,} more: llmchat docs show {shlex.quote(name)} --failed"
            self.console.warn(f"{name}: {more}")

    def tell_waiting(self) -> None:
        """Warns of collections that cannot be searched before they are read again, after the model was changed."""
        waiting = [row for row in self.library.status().collections if row.pending]
        if waiting:
            names = " ".join(shlex.quote(row.collection.name) for row in waiting)
            files = many(sum(row.pending for row in waiting), "file")
            self.console.warn(f"{files} cannot be searched until read again: llmchat docs update {names}")


@contextmanager
def indexing(app: App, console: Console) -> Iterator[Indexing]:
    """Yields a run that the first signal stops between two steps, and the second at once.

    Raises:
        EmbedderError: there is no model, or it cannot be used; no store is begun then.
        Interrupted: a signal stopped it; the next run goes on from there.
    """
    embedder = app.embedder(passages=True)
    with stoppable(console) as stop, open_library(app, make=True) as library:
        run = Indexing(app, console, library, embedder, stop)
        try:
            yield run
        finally:
            run.close()


@contextmanager
def indexing_of(app: App, console: Console, names: Sequence[str]) -> Iterator[tuple[Indexing, list[Collection]]]:
    """Yields such a run with the collections of these names, all of them where none is named; makes no store.

    Raises:
        CollectionMissing: one of them is not there, or there is none at all.
    """
    if not app.paths.docs_dir.is_dir():
        raise no_documents()
    with indexing(app, console) as run:
        found = chosen(run.library, names)
        if not found:
            raise no_documents()
        yield run, found


@contextmanager
def stoppable(console: Console) -> Iterator[threading.Event]:
    """Yields what the first signal sets.

    Raises:
        Interrupted: it was set.
    """
    from llmchat_rag.types import Cancelled
    from llmchat_tui.cli.interrupts import Interrupted, catch_signals

    stop = threading.Event()
    with catch_signals() as interrupts:
        try:
            with interrupts.watch(stop.set):
                yield stop
        except Cancelled:
            console.warn("stopped; what was read is kept, and the next run goes on from there")
        finally:
            console.clear_status()
        if interrupts.code:
            raise Interrupted(interrupts.code)


def progress_line(progress: Progress) -> str:
    """Returns how far an update is: files, passages a second, time left."""
    parts = [f"{progress.files:,} of {many(progress.of_files, 'file')}"]
    if progress.chunks:
        parts.append(f"{progress.chunks:,} passages, {progress.chunks_per_second:,.0f} a second")
    if progress.seconds_left is not None and progress.files < progress.of_files:
        parts.append(f"{time_text(progress.seconds_left)} left")
    return " · ".join(parts)


def time_text(seconds: float) -> str:
    """Returns a time as a person would say it: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
