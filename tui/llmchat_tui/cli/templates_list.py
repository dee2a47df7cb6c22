"""`llmchat templates list` and `path`: which templates there are, what each is for, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, print_json, print_rows, print_text
from llmchat_tui.cli.templates_common import complete_template
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmchat_tui.templates.finding import Listed


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """List the templates: your own and those that come along."""
    from llmchat_tui.templates.finding import all_templates

    found = all_templates(app_of(context).paths.templates_dir)
    if as_json:
        print_json([_facts(row) for row in found])
    else:
        print_rows(_lines(found))


@click.command()
@click.argument("name", required=False, shell_complete=complete_template)
@click.pass_context
def path(context: click.Context, name: str | None) -> None:
    """Print the folder of your templates, or the file of one."""
    from llmchat_tui.templates.finding import full_name, template_files

    folder = app_of(context).paths.templates_dir
    if name is None:
        print_text(f"{folder}\n")
        return
    files = template_files(folder)
    print_text(f"{files[full_name(name, files)]}\n")


def _lines(found: Sequence[Listed]) -> list[str]:
    names = [sanitize_line(row.name) for row in found]
    width = max(map(len, names), default=0)
    return [
        f"{name:<{width}}  {'yours   ' if row.path else 'built in'}  {sanitize_line(_words(row))}"
        for name, row in zip(names, found, strict=True)
    ]


def _words(row: Listed) -> str:
    return f"broken: {row.problem}" if row.problem else row.description


def _facts(row: Listed) -> dict[str, Any]:
    """Returns one template as a JSON object."""
    from llmchat_tui.inputs import as_text

    return {
        "name": row.name,
        "description": row.description,
        "built_in": row.path is None,
        "path": as_text(str(row.path)) if row.path else None,
        "params": dict(row.template.params) if row.template else {},
        "problem": as_text(str(row.problem)) if row.problem else None,
    }
