"""`llmchat kv`: what the engine keeps of chats on disk, as the model saw them, so that they reopen at once.

Knows no file format: the engine's kvstore reads and removes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_rows
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmchat_engine.kvstore import Listing
    from llmchat_tui.cli.app import App


@click.group()
def kv() -> None:
    """List and remove what the engine keeps of chats on disk. All of it can be computed again."""


@kv.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def ls(context: click.Context, as_json: bool) -> None:
    """List what is kept, the one that was used last first."""
    from llmchat_engine.kvstore import listing

    app = app_of(context)
    root = app.paths.kv_dir
    found = listing(root)
    total, budget = _bytes_of(found), _budget(app, root)
    if as_json:
        print_json({"path": str(root), "bytes": total, "budget_bytes": budget, "files": [_facts(row) for row in found]})
    elif not found:
        console_of(app).info("nothing is kept")
    else:
        print_rows([_HEAD, *map(_row, found), _sum(found, total, budget)])


@kv.command()
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_context
def clear(context: click.Context, yes: bool) -> None:
    """Remove all that is kept. The chats stay: they are only read anew when they are opened."""
    from llmchat_engine.hosts import running_hosts
    from llmchat_engine.kvstore import clear as remove_all
    from llmchat_engine.kvstore import listing

    app = app_of(context)
    console, found = console_of(app), listing(app.paths.kv_dir)
    if found and not yes and not _agreed(found):
        console.info("nothing was removed")
        return
    files, size = remove_all(app.paths.kv_dir)
    console.info(f"removed {_files(files)}, {_size(size)}")
    if running_hosts(app.paths.runtime_dir):
        console.info("a model is loaded and may write its chats again; llmchat stop ends it")


_HEAD = f"{'model':<36}{'tokens':>9}{'size':>11}  {'last used':<16}  kind"


def _row(row: Listing) -> str:
    from llmchat_tui.export import local_time

    name = sanitize_line(row.model or "?")[:35]
    return f"{name:<36}{row.tokens:>9,}{_size(row.size):>11}  {local_time(row.used_at):<16}  {_kind(row)}"


def _kind(row: Listing) -> str:
    if row.damage:
        return f"damaged: {sanitize_line(row.damage)}"
    return f"shared by {row.chats} chats" if row.chats > 1 else row.kind


def _facts(row: Listing) -> dict[str, Any]:
    """Returns one file as a JSON object."""
    return {
        "path": str(row.path),
        "model": row.model,
        "tokens": row.tokens,
        "bytes": row.size,
        "used_at": row.used_at,
        "kind": row.kind,
        "chats": row.chats,
        "damage": row.damage,
    }


def _sum(found: Sequence[Listing], total: int, budget: int) -> str:
    return f"{_files(len(found))}, {_size(total)} of at most {_size(budget)}"


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _bytes_of(found: Sequence[Listing]) -> int:
    return sum(row.size for row in found)


def _budget(app: App, root: Path) -> int:
    """Returns the bytes that may be taken: the setting's, or what the engine would take by itself."""
    from llmchat_engine.kvstore import default_budget

    return int(app.config.settings.kv_cache_gib * 2**30) or default_budget(root)


def _size(count: int) -> str:
    from llmchat_tui.cli.checkup import size_text

    return size_text(count)


def _agreed(found: Sequence[Listing]) -> bool:
    """Asks whether all of it may go.

    Raises:
        UsageError: where nobody is there to ask.
    """
    from llmchat_tui.errors import UsageError

    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("cannot ask before removing", "stdin is not a terminal", "llmchat kv clear --yes")
    click.echo(f"{_files(len(found))}, {_size(_bytes_of(found))}", err=True)
    return click.confirm("Remove?", default=False, err=True)
