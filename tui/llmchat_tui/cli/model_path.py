"""Models as files on this machine: what commands need that read or measure one. A server's model is none.

Knows the `App`; opens no file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_engine import ModelSpec
    from llmchat_engine.launch import Places
    from llmchat_tui.cli.app import App


def local_spec(app: App, model: str, example: str, **loading: Any) -> ModelSpec:
    """Returns how a model is loaded that the user named.

    Args:
        app: This run.
        model: A name, an alias, a unique part of a name, or a path.
        example: The command as it would work.
        loading: Flags, as `App.spec` takes them.

    Raises:
        UsageError: it runs on a server.
        ModelChoiceError: none was named, and there are none or several.
        ModelMissing: the name fits none or several.
    """
    from llmchat_engine import ModelSpec

    spec = app.spec(model, **loading)
    if not isinstance(spec, ModelSpec):
        raise UsageError(
            f"{model or 'the model of the settings'} runs on a server",
            "only a file on this machine can be measured",
            example,
        )
    return spec


def file_of(app: App, model: str, example: str) -> Path:
    """Returns the file of a model; raises what `local_spec` does."""
    return local_spec(app, model, example).path


def engine_places(app: App) -> Places:
    """Returns where what measures models keeps what it learns about this machine."""
    from llmchat_engine.launch import Places
    from llmchat_tui.paths import private_dir

    paths = app.paths
    return Places(paths.runtime_dir, paths.log_dir, private_dir(paths.state_dir))
