"""`llmchat models options`: the settings that one model has to itself, which stand in config.toml."""

from __future__ import annotations

from typing import Any

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import console_of, print_json, print_rows
from llmchat_tui.cli.model_completion import complete_model


@click.command()
@click.argument("model", shell_complete=complete_model)
@click.argument("pairs", nargs=-1, metavar="[KEY VALUE]…")
@click.option("--unset", "unset", multiple=True, metavar="KEY", help="Take a setting back; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object of them.")
@click.pass_context
def options(context: click.Context, model: str, pairs: tuple[str, ...], unset: tuple[str, ...], as_json: bool) -> None:
    """Show, set or take back the settings that MODEL has to itself: they go over those of all models.

    KEY is any of sampling (temperature, top_p, seed and so on), ctx, gpu_layers, threads, batch, cache_type_k,
    cache_type_v, system or keepalive. Set under an alias, they hold where the model is asked by that alias.
    """
    from llmchat_tui.config import set_value, unset_value
    from llmchat_tui.errors import UsageError

    app = context.ensure_object(App)
    if len(pairs) % 2:
        raise UsageError(f"{pairs[-1]} has no value", "", "llmchat models options MODEL temperature 0.2")
    name = _name_of(app, model)
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        set_value(app.paths.config_file, _place(name, key), value)
    for key in unset:
        unset_value(app.paths.config_file, _place(name, key))
    app.forget_config()
    own = dict(app.config.tables.options.get(name, {}))
    if as_json:
        print_json(own)
    elif own or not (pairs or unset):
        _print(app, name, own)


def _name_of(app: App, model: str) -> str:
    """Returns the name that the settings stand under: the alias where it is one, else what the model is called."""
    from llmchat_engine.models.library import find_models
    from llmchat_tui.cli.model_store import call_of, named

    if model in app.config.tables.aliases or model.startswith("openai:"):
        return model
    found = named(app, model)
    return call_of(found, find_models(app.paths.models_dir, app.environ))


def _place(name: str, key: str) -> str:
    return f'models."{name}".{key.replace("-", "_").lower()}'


def _print(app: App, name: str, own: dict[str, Any]) -> None:
    from llmchat_tui.sanitize import sanitize_line
    from llmchat_tui.toml_edit import toml_value

    if own:
        print_rows(f"{key} = {sanitize_line(toml_value(value))}" for key, value in own.items())
    else:
        console_of(app).info(f"{name} has no settings of its own; llmchat models options MODEL KEY VALUE gives it some")
