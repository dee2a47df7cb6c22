"""`llmchat models alias`: other names of models, which stand in config.toml."""

from __future__ import annotations

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import console_of, print_json, print_rows
from llmchat_tui.cli.model_completion import complete_model


@click.command()
@click.argument("name", default="")
@click.argument("model", default="", shell_complete=complete_model)
@click.option("--rm", "remove", is_flag=True, help="Forget NAME; the model stays.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object of all aliases.")
@click.pass_context
def alias(context: click.Context, name: str, model: str, remove: bool, as_json: bool) -> None:
    """List the aliases, show one, or give MODEL the other NAME.

    An alias goes before all other names: `-m NAME` means MODEL everywhere. It may lead to a server too: openai:NAME.
    """
    app = context.ensure_object(App)
    _check(name, model, remove)
    if remove:
        _remove(app, name)
    elif model:
        _set(app, name, model)
    elif as_json:
        print_json(dict(app.config.tables.aliases))
    else:
        _show(app, name)


def _check(name: str, model: str, remove: bool) -> None:
    from llmchat_tui.errors import UsageError

    if remove and (not name or model):
        raise UsageError("--rm takes the name of one alias", "", "llmchat models alias NAME --rm")


def _set(app: App, name: str, model: str) -> None:
    """Keeps an alias; one for a model keeps what names it alone, so that it means the same when more models come."""
    from llmchat_engine.models.library import find_models, is_path
    from llmchat_tui.cli.model_store import call_of, named
    from llmchat_tui.config import set_value
    from llmchat_tui.errors import UsageError
    from llmchat_tui.model_options import meant

    aliases = app.config.tables.aliases
    if name != model and name in meant(model, app.config.tables):
        raise UsageError(f"{name} cannot mean {model}", f"{model} means {name} already", "llmchat models alias")
    if model.startswith("openai:") or (model in aliases and model != name):
        wanted = model
    else:
        found = named(app, model)
        models = find_models(app.paths.models_dir, app.environ)
        called = str(found.path.absolute()) if is_path(model) else call_of(found, models)
        # What it is called may be another model's alias.
        wanted = str(found.path.absolute()) if called in aliases and called != name else called
    set_value(app.paths.config_file, f'aliases."{name}"', wanted)
    console_of(app).info(f"{name} means {wanted}")


def _remove(app: App, name: str) -> None:
    from llmchat_tui.config import unset_value

    _require(app, name)
    unset_value(app.paths.config_file, f'aliases."{name}"')


def _show(app: App, name: str) -> None:
    from llmchat_tui.cli.columns import Column, room_of_stdout, table

    aliases = app.config.tables.aliases
    if name:
        _require(app, name)
    rows = [(alias, aliases[alias]) for alias in sorted(aliases) if name in ("", alias)]
    if not rows:
        console_of(app).info("there are no aliases; llmchat models alias NAME MODEL makes one")
        return
    print_rows(table((Column("alias", least=12), Column("model", least=20)), rows, room_of_stdout()))


def _require(app: App, name: str) -> None:
    from llmchat_tui.errors import NotFound

    if name not in app.config.tables.aliases:
        raise NotFound(f"there is no alias {name}", "", "llmchat models alias lists them")
