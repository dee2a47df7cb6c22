"""The names of models for the shell: what can stand behind -m. Imported with every command that has a model: light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from llmchat_tui.cli.app import App


def complete_model(context: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Returns aliases, names of models and servers that begin so; files where it begins as a path.

    Names that a shell could stumble over are left out. A broken configuration is not told: there is no place for it.
    """
    from click.shell_completion import CompletionItem

    from llmchat_tui.cli.app import App

    if incomplete.startswith(("/", "./", "../", "~")):
        return [CompletionItem(incomplete, type="file")]
    app = context.find_object(App) or App()
    return [CompletionItem(name) for name in _names(app) if name.casefold().startswith(incomplete.casefold())]


def _names(app: App) -> list[str]:
    from llmchat_engine.models.library import find_models
    from llmchat_tui.errors import UserError

    others: list[str] = []
    try:
        tables = app.config.tables
        others = [*tables.aliases, *(f"openai:{name}" for name in tables.remotes)]
    except UserError:
        pass
    found = (model.name for model in find_models(app.paths.models_dir, app.environ))
    return sorted(name for name in {*others, *found} if name.isprintable())
