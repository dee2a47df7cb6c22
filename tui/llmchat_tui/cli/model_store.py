"""What the commands about models share: the stock of them, the one that a name means, what names each alone.

Knows no single command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmchat_tui.stock import Stock

if TYPE_CHECKING:
    from llmchat_engine.models.library import LocalModel
    from llmchat_tui.cli.app import App
    from llmchat_tui.model_tables import ModelTables


def stock_of(app: App) -> Stock:
    """Returns the models of this user, here and on the hub."""
    return Stock(app.paths.models_dir, app.paths.state_dir, app.environ, lambda: app.config)


def named(app: App, name: str) -> LocalModel:
    """Returns the model that a name means: an alias, a name or a unique part of one, `user/repo:QUANT`, a path.

    Args:
        app: this run.
        name: as it stands behind -m; empty is the default model.

    Raises:
        ModelChoiceError: nothing was named, and there is no default.
        ModelMissing: the name fits none or several.
        UsageError: it means a server.
    """
    from llmchat_tui.cli.model_choice import choice_of
    from llmchat_tui.errors import UsageError
    from llmchat_tui.model_options import meant
    from llmchat_tui.remote_choice import is_remote

    wanted = meant(name or app.config.settings.model, app.config.tables)[-1]
    if is_remote(wanted):
        raise UsageError(
            f"{name or wanted} runs on a server", "here is no file of it", "llmchat ls lists the models here"
        )
    return choice_of(wanted, app.paths.models_dir, app.environ)


def default_of(app: App) -> LocalModel | None:
    """Returns the model that is asked where none is named; None where that is not clear."""
    from llmchat_engine import ModelError
    from llmchat_tui.errors import ModelChoiceError, UsageError

    try:
        return named(app, "")
    except (ModelError, ModelChoiceError, UsageError):
        return None


def aliases_of(model: LocalModel, tables: ModelTables) -> tuple[str, ...]:
    """Returns the other names of a model, in order."""
    from llmchat_tui.model_options import meant

    names = {model.name, model.path.stem, str(model.path), *filter(None, (model.repo,))}
    return tuple(sorted(alias for alias in tables.aliases if meant(alias, tables)[-1] in names))


def call_of(model: LocalModel, models: Sequence[LocalModel]) -> str:
    """Returns what names one model alone, behind -m: its name, or its path where another has the same."""
    same = sum(other.name == model.name for other in models)
    return model.name if same <= 1 else str(model.path)
