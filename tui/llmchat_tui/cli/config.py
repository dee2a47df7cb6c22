"""`llmchat config`: the settings of this run, where each comes from, and how to change one.

Knows no TOML; what it prints is a valid config.toml all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmchat_tui.cli.common import app_of, console_of, print_json, print_text
from llmchat_tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from llmchat_tui.config import Config


@click.group()
def config() -> None:
    """Show or change the settings."""


@config.command()
@click.option("--origin", is_flag=True, help="Print beside each setting where it comes from.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object with value, origin and description of each."
)
@click.pass_context
def show(context: click.Context, origin: bool, as_json: bool) -> None:
    """Print every setting of this run in the form of config.toml."""
    settings = app_of(context).config
    if as_json:
        print_json(_described(settings))
    else:
        print_text("\n".join(_lines(settings, origin)) + "\n")


@config.command(name="set")
@click.argument("key")
@click.argument("value")
@click.pass_context
def set_(context: click.Context, key: str, value: str) -> None:
    """Set KEY to VALUE in config.toml and leave the rest of the file as it is.

    KEY is one that `config show` lists, or keys.ID for a key of the chat: keys.new_chat ctrl+y. F1 in the chat lists
    the ids. aliases.NAME, models.NAME.SETTING and remotes.NAME.SETTING are about models by name.
    """
    from llmchat_tui.config import set_value
    from llmchat_tui.config_tables import TABLES

    app = app_of(context)
    set_value(app.paths.config_file, key, value)
    variable = f"LLMCHAT_{key.rpartition('.')[2].upper()}"
    if key.partition(".")[0] not in TABLES and app.environ.get(variable):
        console_of(app).warn(f"{variable} is set and goes over config.toml")


@config.command()
@click.argument("key")
@click.pass_context
def unset(context: click.Context, key: str) -> None:
    """Take KEY out of config.toml, so that its default holds again."""
    from llmchat_tui.config import unset_value

    unset_value(app_of(context).paths.config_file, key)


@config.command()
@click.pass_context
def path(context: click.Context) -> None:
    """Print the path of config.toml."""
    print_text(f"{app_of(context).paths.config_file}\n")


def _described(settings: Config) -> dict[str, dict[str, Any]]:
    """Returns every setting, and each entry of the tables of names, with its value, origin and description."""
    from llmchat_tui.config_tables import described_entry, entries_of
    from llmchat_tui.settings import keys
    from llmchat_tui.toml_edit import dotted

    described = {
        key.name: {
            "value": getattr(settings.settings, key.name),
            "origin": settings.origin(key.name),
            "description": key.description,
        }
        for key in keys()
    }
    for name, value, description in _chat_keys(settings):
        described[f"keys.{name}"] = {
            "value": value,
            "origin": settings.origin(f"keys.{name}"),
            "description": description,
        }
    for place, value in entries_of(settings.tables).items():
        name = dotted(place)
        described[name] = {"value": value, "origin": settings.origin(name), "description": described_entry(place)}
    return described


def _lines(settings: Config, origin: bool) -> list[str]:
    """Returns the settings as the lines of a config.toml; what is not set is commented out."""
    from llmchat_tui.settings import keys
    from llmchat_tui.toml_edit import toml_value

    lines: list[str] = []
    table = ""
    for key in keys():
        if key.table != table:
            table = key.table
            lines += [f"[{table}]", ""]
        value = getattr(settings.settings, key.name)
        line = f"# {key.name} = " if value is None else f"{key.name} = {toml_value(value)}"
        lines += [f"# {key.description}", line.rstrip() + _source(settings, key.name, origin), ""]
    lines += [
        "# keys of the chat, where they are not the built-in ones; F1 in llmchat lists every action",
        "[keys]",
        "",
    ]
    for name, chosen, description in _chat_keys(settings):
        line = f"{name} = {toml_value(chosen)}{_source(settings, f'keys.{name}', origin)}"
        lines += [f"# {description}", line, ""]
    lines += _entry_lines(settings, origin)
    return lines[:-1]


def _entry_lines(settings: Config, origin: bool) -> list[str]:
    """Returns what the file says about models by name."""
    from llmchat_tui.config_tables import entries_of
    from llmchat_tui.toml_edit import dotted, toml_value

    lines: list[str] = []
    table: tuple[str, ...] = ()
    for place, value in entries_of(settings.tables).items():
        if place[:-1] != table:
            table = place[:-1]
            lines += [*([""] if lines else []), f"[{dotted(table)}]"]
        lines.append(f"{dotted(place[-1:])} = {toml_value(value)}{_source(settings, dotted(place), origin)}")
    return [*lines, ""] if lines else []


def _source(settings: Config, key: str, wanted: bool) -> str:
    """Returns the comment that says where a value comes from."""
    return f"  # {sanitize_line(settings.origin(key))}" if wanted else ""


def _chat_keys(settings: Config) -> list[tuple[str, str, str]]:
    """Returns id, keys and description of each action that got other keys."""
    from llmchat_tui.keymap import ACTIONS

    return [(action.id, settings.keys[action.id], action.help) for action in ACTIONS if action.id in settings.keys]
