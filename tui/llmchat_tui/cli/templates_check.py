"""`llmchat templates check`: whether templates can be used, and what is wrong where. Loads no model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_rows
from llmchat_tui.cli.templates_common import complete_template
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from pathlib import Path

    from llmchat_tui.errors import UserError


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...", shell_complete=complete_template)
@click.pass_context
def check(context: click.Context, names: tuple[str, ...]) -> None:
    """Check templates, all of them where none is named. Exit code 3 where one cannot be used."""
    from llmchat_tui.errors import TemplateInvalid

    app = app_of(context)
    problems = _problems(names, app.paths.templates_dir)
    print_rows(f"ok  {sanitize_line(name)}" for name, problem in problems if problem is None)
    broken = [problem for _, problem in problems if problem is not None]
    for problem in broken:
        console_of(app).error(problem.what, problem.why, problem.hint)
    context.exit(TemplateInvalid.exit_code if broken else 0)


def _problems(names: tuple[str, ...], folder: Path) -> list[tuple[str, UserError | None]]:
    """Returns each template with what is wrong with it."""
    from llmchat_tui.templates.finding import all_templates

    if not names:
        return [(row.name, row.problem) for row in all_templates(folder)]
    return [(name, _problem(name, folder)) for name in names]


def _problem(name: str, folder: Path) -> UserError | None:
    from llmchat_tui.errors import UserError
    from llmchat_tui.templates.finding import find_template

    try:
        find_template(name, folder)
    except UserError as error:
        return error
    return None
