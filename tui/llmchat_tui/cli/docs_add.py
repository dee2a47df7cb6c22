"""`llmchat docs add` and `docs update`: folders become collections, and stay what their folders are."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.cli.docs_common import as_name
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.errors import RagError
    from llmchat_rag.store import Collection, Library
    from llmchat_tui.cli.docs_indexing import Indexing, Updated

_verbose = click.option("-v", "--verbose", is_flag=True, help="Tell each file that is left out, and why.")
_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list of what was done.")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-d", "--collection", "--name", "name", metavar="NAME", help="Its name; else the folder's.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only files like this, as in .gitignore; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out files like this; repeatable.")
@_verbose
@_json
@click.pass_context
def add(
    context: click.Context,
    paths: tuple[str, ...],
    name: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Index folders or files, each as a collection.

    Left out by itself: what .gitignore and .llmchatignore name, secrets, binaries, generated files, and links. A file
    that cannot be read is told and stops nothing. Ctrl+C stops; the same command, or docs update, goes on from there.
    """
    from llmchat_tui.cli.docs_indexing import indexing
    from llmchat_tui.errors import UsageError

    called = None if name is None else as_name(name)
    if called and len(paths) > 1:
        raise UsageError("--collection names one folder", f"there are {len(paths)}", "llmchat docs add PATH -d NAME")
    app = app_of(context)
    roots = [_root(path) for path in paths]
    with indexing(app, console_of(app)) as run:
        with run.library.writing():  # where another process indexes, nothing is begun
            collections = [_added(run.library, called, root, include, exclude) for root in roots]
        _update_each(run, collections, as_json, verbose=verbose)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--accept-missing", is_flag=True, help="Forget files that are gone, also where they are half of all.")
@click.option("--force", is_flag=True, help="Read every file again; needed after another embedding model is chosen.")
@_verbose
@_json
@click.pass_context
def update(
    context: click.Context, names: tuple[str, ...], accept_missing: bool, force: bool, verbose: bool, as_json: bool
) -> None:
    """Bring collections to the state of their folders: those that are named, else all.

    An unchanged file costs a look at its time and size. Where half of the files are gone at once, nothing is forgotten
    unasked: a disk that is not mounted looks like this.
    """
    from llmchat_tui.cli.docs_indexing import indexing_of

    app = app_of(context)
    with indexing_of(app, console_of(app), names) as (run, found):
        _update_each(run, found, as_json, force=force, accept_missing=accept_missing, verbose=verbose)


def _update_each(run: Indexing, collections: Sequence[Collection], as_json: bool, **how: bool) -> None:
    """Updates one after the other; a folder that is not there keeps none of the others waiting.

    Raises:
        RagError: the last such failure, when the others are done.
    """
    from llmchat_rag.errors import FilesMissing, RootMissing

    done: list[Updated] = []
    failure: RagError | None = None
    for collection in collections:
        try:
            one = run.update(collection, **how)
        except (FilesMissing, RootMissing) as error:
            if failure is not None:
                run.console.error(failure.what, failure.why, failure.hint)
            failure = error
            continue
        done.append(one)
        run.tell_failures(one)
        if not as_json:
            print_rows([sanitize_line(one.line)])
    run.tell_waiting()
    if as_json:
        print_json([one.facts for one in done])
    if failure is not None:
        raise failure


def _root(path: str) -> Path:
    """Returns the folder or file that a path means.

    Raises:
        RootMissing: there is none, checked before anything is indexed.
    """
    from llmchat_rag.errors import RootMissing

    root = Path(os.path.realpath(os.path.expanduser(path)))
    if not root.is_dir() and not root.is_file():
        nearest = next(folder for folder in root.parents if folder.is_dir())
        raise RootMissing(
            f"{path} cannot be indexed", "there is no such folder or file", f"ls {shlex.quote(str(nearest))}"
        )
    return root


def _added(
    library: Library, name: str | None, root: Path, include: Sequence[str], exclude: Sequence[str]
) -> Collection:
    """Returns the collection of a folder; one that is there keeps its rules unless new ones are given.

    Raises:
        CollectionExists: the name belongs to another folder.
    """
    there = [one for one in library.collections() if one.root == root and name in (None, one.name)]
    if there and not include and not exclude:
        return there[0]
    known = there[0].name if there else name or as_name(root.stem if root.is_file() else root.name or "root")
    return library.add_collection(known, root, include, exclude)
