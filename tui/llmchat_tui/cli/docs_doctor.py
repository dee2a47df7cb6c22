"""`llmchat docs doctor`: is the store of the documents sound, and its repair. The checks are the document room's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, print_json, print_rows
from llmchat_tui.cli.docs_common import agreed, many, open_library
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_rag.doctor import Finding
    from llmchat_tui.cli.app import App


@click.command()
@click.option("--repair", is_flag=True, help="Put right what is wrong; nothing that is repaired can lose a document.")
@click.option("--yes", is_flag=True, help="With --repair: set a store that cannot be opened aside without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(context: click.Context, repair: bool, yes: bool, as_json: bool) -> None:
    """Check the store of the documents.

    Exit code 1 when something is wrong and --repair was not given. A store that is beyond repair is set aside, never
    deleted, and its collections are read again by docs update.
    """
    from llmchat_rag.errors import StoreDamaged

    app = app_of(context)
    try:
        found, total = _examined(app, repair)
    except StoreDamaged as error:
        if not repair or "docs doctor" not in error.hint:  # another program's file is not ours to set aside
            raise
        question = f"{error}. Set it aside and begin a new one?"
        if not yes and not agreed(question, "llmchat docs doctor --repair --yes"):
            raise
        _begin_anew(app.paths.docs_dir)
        return
    ok = repair or not found
    if as_json:
        print_json({"ok": ok, "repaired": repair, "findings": [{"what": f.what, "remedy": f.remedy} for f in found]})
    else:
        print_rows(sanitize_line(row) for row in _rows(found, total, repair))
    context.exit(0 if ok else 1)


def _examined(app: App, mend: bool) -> tuple[list[Finding], int]:
    """Returns what was found, and how many passages there are."""
    from llmchat_rag.doctor import examine, repair

    with open_library(app) as library:
        return (repair if mend else examine)(library), library.count()


def _rows(found: list[Finding], total: int, repaired: bool) -> list[str]:
    if not found:
        return [f"All is well: {many(total, 'passage')}."]
    rows = [line for one in found for line in (f"problem: {one.what}", f"    {one.remedy}")]
    return [*rows, "repaired; llmchat docs update reads again what is missing" if repaired else _REPAIR]


_REPAIR = "hint: llmchat docs doctor --repair"


def _begin_anew(folder: Path) -> None:
    from llmchat_rag.doctor import begin_anew

    aside = begin_anew(folder)
    print_rows([sanitize_line(f"the old store is now {aside}"), "llmchat docs update reads the documents again"])
