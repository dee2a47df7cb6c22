"""`llmchat docs ls`, `show` and `rm`: which collections there are, what is in one, and forgetting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.cli.docs_common import agreed, as_name, many, open_library
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.store import CollectionStatus, Document, StoreStatus

_NAME = 20


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def ls(context: click.Context, as_json: bool) -> None:
    """List the collections."""
    from llmchat_rag.store import Library

    app = app_of(context)
    if not Library.is_there(app.paths.docs_dir):
        if as_json:
            print_json({"path": str(app.paths.docs_dir), "embedder": None, "bytes": 0, "collections": []})
        console_of(app).info("there are no documents yet; llmchat docs add PATH")
        return
    with open_library(app) as library:
        status = library.status()
    if as_json:
        print_json(_facts(status, str(app.paths.docs_dir)))
    else:
        print_rows([_HEAD, *map(_row, status.collections), _sum(status)])


@click.command()
@click.argument("name")
@click.option("--failed", is_flag=True, help="Only what could not be read, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def show(context: click.Context, name: str, failed: bool, as_json: bool) -> None:
    """List the files of a collection: passages of each, or why it could not be read."""
    with open_library(app_of(context)) as library:
        found = library.documents(as_name(name))
    if failed:
        found = [document for document in found if document.status == "refused"]
    if as_json:
        print_json([_document(document) for document in found])
        return
    print_rows(_document_row(document) for document in found)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_context
def rm(context: click.Context, names: tuple[str, ...], yes: bool) -> None:
    """Forget collections and all that was read for them. The files themselves are not touched."""
    app = app_of(context)
    with open_library(app) as library:
        # Every name is looked up before the first collection goes, so a wrong one removes nothing.
        wanted = {library.collection(as_name(name)).name for name in names}
        rows = [row for row in library.status().collections if row.collection.name in wanted]
        for row in rows if not yes else ():
            click.echo(sanitize_line(_row(row)), err=True)
        if not yes and not agreed("Forget? The files stay.", "add --yes to remove without asking"):
            console_of(app).info("nothing was removed")
            return
        for row in rows:
            library.remove_collection(row.collection.name)


_HEAD = f"{'name':<{_NAME}}{'files':>8}{'passages':>10}{'failed':>8}  {'updated':<16}  folder"


def _row(row: CollectionStatus) -> str:
    from llmchat_tui.export import local_time

    collection = row.collection
    when = local_time(collection.updated_at) if collection.updated_at else "not finished"
    name = sanitize_line(collection.name)
    numbers = f"{row.files:>8,}{row.chunks:>10,}{row.refused:>8,}"
    waiting = f"  ({row.pending:,} to be read again)" if row.pending else ""
    return f"{name:<{_NAME - 1}} {numbers}  {when:<16}  {sanitize_line(str(collection.root))}{waiting}"


def _sum(status: StoreStatus) -> str:
    from llmchat_tui.cli.checkup import size_text

    made_by = f", embedded with {sanitize_line(status.embedder.name)}" if status.embedder else ""
    total = f"{many(len(status.collections), 'collection')}, {many(status.chunks, 'passage')}"
    return f"{total}, {size_text(status.bytes)}{made_by}"


def _facts(status: StoreStatus, path: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "path": path,
        "embedder": asdict(status.embedder) if status.embedder else None,
        "bytes": status.bytes,
        "collections": [
            {
                "name": row.collection.name,
                "root": str(row.collection.root),
                "include": row.collection.include,
                "exclude": row.collection.exclude,
                "updated_at": row.collection.updated_at,
                "files": row.files,
                "failed": row.refused,
                "pending": row.pending,
                "passages": row.chunks,
                "bytes": row.bytes,
            }
            for row in status.collections
        ],
    }


def _document(document: Document) -> dict[str, Any]:
    """Returns one file as a JSON object."""
    return {
        "path": document.path,
        "title": document.title,
        "status": document.status,
        "reason": document.error,
        "passages": document.chunks,
        "bytes": document.size,
        "parser": document.parser,
        "indexed_at": document.indexed_at,
    }


def _document_row(document: Document) -> str:
    told = {
        "refused": f"failed: {document.error}",
        "empty": f"nothing to read: {document.error}" if document.error else "nothing to read",
        "pending": "to be read again: llmchat docs update",
    }
    return sanitize_line(
        f"{document.chunks:>8,}  {document.path}" + (f"  {told[document.status]}" if document.status in told else "")
    )
