"""`llmchat templates new`, `edit`, `import` and `rm`: a user's own templates. None that is there is replaced."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, console_of, print_text
from llmchat_tui.cli.templates_common import complete_template, edited, write_checked

if TYPE_CHECKING:
    from llmchat_tui.cli.app import App


@click.command()
@click.argument("name", shell_complete=complete_template)
@click.pass_context
def edit(context: click.Context, name: str) -> None:
    """Open a template in $EDITOR, and check it afterwards.

    One that comes along is copied to your own first; yours goes before it from then on.
    """
    from llmchat_tui.templates.files import read_file
    from llmchat_tui.templates.finding import full_name, template_files

    app = app_of(context)
    folder = app.paths.templates_dir
    files = template_files(folder)
    name = full_name(name, files)
    before = read_file(files[name])
    after = edited(app, before, name)
    if after == before:
        console_of(app).info("nothing was changed")
        return
    write_checked(folder / files[name].name, after)


@click.command()
@click.argument("name")
@click.option("--from", "source", metavar="NAME", shell_complete=complete_template, help="Begin with this template.")
@click.pass_context
def new(context: click.Context, name: str, source: str | None) -> None:
    """Make a template: from a skeleton that explains every key, or from another one.

    On a terminal $EDITOR opens; else the file is written and its path printed.
    """
    app = app_of(context)
    path = _free_path(app, name)
    text = _beginning(app, source)
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        text = edited(app, text, name)
    write_checked(path, text)
    print_text(f"{path}\n")


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Call it this; else it is called as the file.")
@click.pass_context
def import_(context: click.Context, file: Path, name: str | None) -> None:
    """Make a template of a role of aichat, or of a Modelfile of Ollama."""
    from llmchat_tui.templates.importing import import_template
    from llmchat_tui.templates.writing import save_template

    app = app_of(context)
    template, warnings = import_template(file)
    template = replace(template, name=name or template.name)
    path = save_template(template, app.paths.templates_dir, replace=False)
    for warning in warnings:
        console_of(app).warn(warning)
    print_text(f"{path}\n")


@click.command()
@click.argument("name", shell_complete=complete_template)
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.pass_context
def rm(context: click.Context, name: str, yes: bool) -> None:
    """Remove one of your templates."""
    from llmchat_tui.cli.docs_common import agreed
    from llmchat_tui.errors import StorageUnwritable, TemplateMissing, UsageError
    from llmchat_tui.inputs import as_text
    from llmchat_tui.templates.finding import is_built_in, template_files

    app = app_of(context)
    path = template_files(app.paths.templates_dir).get(as_text(name))
    if path is None:
        raise TemplateMissing(f"there is no template {name!r}", "", "llmchat templates list")
    if is_built_in(path):
        raise UsageError(f"the template {name} came along", "only your own can be removed")
    if not yes and not agreed(f"Remove {path}?", f"llmchat templates rm {name} --yes"):
        console_of(app).info("nothing was removed")
        return
    try:
        path.unlink()
    except OSError as error:
        raise StorageUnwritable(f"cannot remove {path}", error.strerror or "") from error


def _free_path(app: App, name: str) -> Path:
    """Returns the file of a new template.

    Raises:
        UsageError: the name cannot be one, or is taken.
    """
    from llmchat_tui.templates.writing import free_path

    return free_path(name, app.paths.templates_dir)


def _beginning(app: App, source: str | None) -> str:
    """Returns the text that a new template begins with."""
    from llmchat_tui.templates.files import read_file
    from llmchat_tui.templates.finding import SKELETON, full_name, template_files

    if source is None:
        return read_file(SKELETON)
    files = template_files(app.paths.templates_dir)
    return read_file(files[full_name(source, files)])
