"""`llmchat docs watch`: collections follow their folders until Ctrl+C. The only importer of watchfiles."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_rows
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.store import Collection
    from llmchat_tui.cli.docs_indexing import Indexing

_CALM_MS = 1000
"""A folder that has not changed for so long is read: editors and `git checkout` write in bursts."""
_AGAIN_MS = 1000
"""After it, what another process kept from being written is tried again."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_context
def watch(context: click.Context, names: tuple[str, ...]) -> None:
    """Keep collections up to date until Ctrl+C: those that are named, else all."""
    from llmchat_tui.cli.docs_indexing import indexing_of

    app = app_of(context)
    with indexing_of(app, console_of(app), names) as (run, found):
        run.console.info(f"watching {', '.join(one.name for one in found)}; Ctrl+C ends it")
        waiting = found  # read once it is watched: nothing falls between the two
        for changed in _changes([one.root for one in found], run.stop):
            waiting = _updated(run, [one for one in found if one in waiting or _touches(one, changed)])


def _updated(run: Indexing, collections: Sequence[Collection]) -> list[Collection]:
    """Updates collections; returns those that have to wait for another process."""
    from llmchat_rag.errors import FilesMissing, RootMissing, StoreBusy

    waiting: list[Collection] = []
    for collection in collections:
        try:
            updated = run.update(collection, ask=False)
        except StoreBusy:
            waiting.append(collection)
        except (FilesMissing, RootMissing) as error:  # a disk that comes back is a change again
            run.console.error(error.what, error.why, error.hint)
        else:
            run.tell_failures(updated)
            print_rows([sanitize_line(updated.line)])
    return waiting


def _changes(roots: Sequence[Path], stop: threading.Event) -> Iterator[set[Path]]:
    """Yields what changed, and nothing at all from time to time."""
    from watchfiles import watch as watch_files

    there = [root for root in roots if root.exists()]
    for changes in watch_files(
        *there,
        stop_event=stop,
        debounce=_CALM_MS,
        step=200,
        rust_timeout=_AGAIN_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    ):
        yield {Path(path) for _, path in changes}


def _touches(collection: Collection, changed: set[Path]) -> bool:
    return any(path.is_relative_to(collection.root) for path in changed)
