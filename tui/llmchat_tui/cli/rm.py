"""`llmchat rm`: removes models that were pulled, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.app import App
from llmchat_tui.cli.common import console_of
from llmchat_tui.cli.model_completion import complete_model

if TYPE_CHECKING:
    from llmchat_tui.stock import Stock


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL…", shell_complete=complete_model)
@click.option("-y", "--yes", is_flag=True, help="Remove without asking, also one that is loaded.")
@click.pass_context
def rm(context: click.Context, models: tuple[str, ...], yes: bool) -> None:
    """Remove models that llmchat pulled, with all their parts, and what is there of unfinished downloads.

    MODEL is as for `llmchat show`, or a repository: USER/REPO. What other programs keep is theirs and stays.
    """
    from llmchat_tui.cli.model_store import stock_of

    app = context.ensure_object(App)
    stock, console = stock_of(app), console_of(app)
    # All names are looked up before anything goes.
    paths = list(dict.fromkeys(_path_of(app, stock, name) for name in models))
    if not yes and not _agreed(app, paths, models):
        console.info("nothing was removed")
        return
    for path in paths:
        for removed in stock.remove(path):
            console.info(f"removed {removed}")


def _path_of(app: App, stock: Stock, name: str) -> Path:
    """Returns the file or folder that is to go.

    Raises:
        ModelMissing: there is none of that name, or it is not ours.
    """
    from llmchat_engine import ModelMissing
    from llmchat_tui.cli.model_store import named

    try:
        found = named(app, name)
    except ModelMissing:
        if (path := _folder(app, name) or _unfinished(app, name)) is None:
            raise
        return path
    if found.name != name and name not in app.config.tables.aliases and (path := _unfinished(app, name)):
        return path  # all of its name goes before a part of another's
    if why := stock.kept_by(found):
        raise ModelMissing(f"cannot remove {found.name}", why)
    if stock.record(found.path) is None and not _is_partial(app, found.path):
        hint = f"remove it yourself: rm {_quoted(found.path)}"
        raise ModelMissing(f"cannot remove {found.name}", "llmchat did not pull it", hint)
    return found.path


def _folder(app: App, name: str) -> Path | None:
    """Returns the folder of a repository of which something was pulled: an embedding model is in no list."""
    from llmchat_engine.models.hub.pulled import partial, records

    root, parts = app.paths.models_dir, name.split("/")
    if len(parts) != 2 or not all(part.strip(".") for part in parts):
        return None
    ours = (*(one.path for one in records(root)), *partial(root))
    return root / name if any(path.is_relative_to(root / name) for path in ours) else None


def _unfinished(app: App, name: str) -> Path | None:
    """Returns the unfinished download of this name or path."""
    from llmchat_engine.models.hub.pulled import partial

    wanted = Path(name).expanduser().absolute()
    unfinished = partial(app.paths.models_dir)
    return next((path for path in unfinished if path == wanted or name in (path.name, path.stem)), None)


def _is_partial(app: App, path: Path) -> bool:
    from llmchat_engine.models.hub.pulled import partial

    return path.absolute() in partial(app.paths.models_dir)


def _agreed(app: App, paths: Sequence[Path], names: Sequence[str]) -> bool:
    """Asks whether they may go; tells of those that are loaded.

    Raises:
        UsageError: nobody is there to ask.
    """
    import shlex

    from llmchat_tui.cli.docs_common import agreed

    console = console_of(app)
    for path in _loaded(app, paths):
        console.warn(f"{path.name} is loaded: what it answers now comes from memory, and it cannot be loaded again")
    what = paths[0].name if len(paths) == 1 else f"{len(paths)} models"
    return agreed(f"Remove {_shown(what)}?", shlex.join(["llmchat", "rm", "-y", *names]))


def _loaded(app: App, paths: Sequence[Path]) -> list[Path]:
    from llmchat_engine.hosts import running_hosts

    hosts = running_hosts(app.paths.runtime_dir)
    used = {Path(host.status.model.path).resolve() for host in hosts if host.status and host.status.model}
    return [path for path in paths if any(one.is_relative_to(path.resolve()) for one in used)]


def _shown(text: str) -> str:
    from llmchat_tui.sanitize import sanitize_line

    return sanitize_line(text)


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
