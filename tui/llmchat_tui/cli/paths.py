"""`llmchat paths`: where everything is. Makes nothing and reads nothing."""

from __future__ import annotations

import click

from llmchat_tui.cli.common import app_of, print_json, print_rows
from llmchat_tui.paths import Paths
from llmchat_tui.sanitize import sanitize_line


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def paths(context: click.Context, as_json: bool) -> None:
    """Print every directory and file that llmchat uses."""
    places = _places(app_of(context).paths)
    if as_json:
        print_json(places)
        return
    width = max(map(len, places))
    print_rows([f"{name:<{width}}  {sanitize_line(place)}" for name, place in places.items()])


def _places(paths: Paths) -> dict[str, str]:
    """Returns the paths by the name under which they are printed."""
    return {
        "config": str(paths.config_file),
        "templates": str(paths.templates_dir),
        "chats": str(paths.chats_db),
        "models": str(paths.models_dir),
        "docs": str(paths.docs_dir),
        "embedders": str(paths.embedders_dir),
        "kv": str(paths.kv_dir),
        "logs": str(paths.log_dir),
        "sockets": str(paths.runtime_dir),
    }
