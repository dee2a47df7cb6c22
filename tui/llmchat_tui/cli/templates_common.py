"""What the commands of `llmchat templates` share: names that a shell completes, parameters, and the editor.

Knows no single command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of

if TYPE_CHECKING:
    from pathlib import Path

    from llmchat_tui.cli.app import App
    from llmchat_tui.templates.values import Template


def complete_template(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names that a shell offers behind what was typed."""
    from llmchat_tui.errors import UserError
    from llmchat_tui.templates.finding import template_files

    try:
        names = template_files(app_of(context).paths.templates_dir)
    except UserError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))


def _as_texts(
    _context: click.Context, _option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    if not pairs:
        return pairs
    from llmchat_tui.inputs import as_text

    return tuple((as_text(name), as_text(value)) for name, value in pairs)


param_option = click.option(
    "-p", "--param", "params", nargs=2, multiple=True, metavar="KEY VALUE", callback=_as_texts,
    help="A parameter of the template; repeatable.",
)  # fmt: skip
"""Adds the parameters of a template; they come as `params`, bytes that are no text replaced."""


def edited(app: App, text: str, name: str) -> str:
    """Returns a template's text as the user left it in the editor.

    Raises:
        UserError: there is no editor, or it failed.
    """
    from llmchat_tui.editor import edit_text, run_on_terminal

    return edit_text(text, app.environ, run_on_terminal, f"{name}.toml")


def write_checked(path: Path, text: str) -> Template:
    """Writes a template and returns it; one that is broken is written too, so that nothing typed is lost.

    Raises:
        TemplateInvalid: it cannot be used as it is.
        StorageUnwritable: it cannot be written.
    """
    from llmchat_tui.paths import write_private
    from llmchat_tui.templates.reading import read_template

    write_private(path, text.encode())
    return read_template(path)
