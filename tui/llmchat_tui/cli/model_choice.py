"""Which model a command uses: the flag, LLMCHAT_MODEL, the config, else the only one of ours or the bundled one.

Knows the engine's library, not the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from llmchat_engine.errors import ModelMissing
from llmchat_engine.models.library import NO_MODEL, LocalModel, find_models, is_path, resolve
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
        return _resolved(wanted, ours if known else find_models(models_dir, environ))
    pulled = [model for model in ours if model.origin != "package"]
    found = pulled or ours or find_models(models_dir, environ)
    if len(found) == 1:
        return found[0]
    raise _no_choice(found)


def _resolved(wanted: str, models: list[LocalModel]) -> LocalModel:
    """Returns the model of a name; of a repository's name what was pulled of it, in any of the forms of such names.

    Raises:
        ModelMissing: the name fits none or several; nothing is pulled unasked.
    """
    try:
        return resolve(wanted, models)
    except ModelMissing:
        from llmchat_engine.models.hub.names import looks_like_reference, parse_reference

        if is_path(wanted) or not looks_like_reference(wanted):
            raise
        named = parse_reference(wanted)
        again = f"{named.repo}:{named.quant}" if named.quant else named.repo
        pulled = [model for model in models if model.repo.casefold() == named.repo.casefold()]
        if again != wanted and not named.file and pulled:
            return _resolved(again, models)
        if any(named.quant.casefold() in model.name.casefold() for model in pulled):
            raise
        why = f"there is {', '.join(model.name for model in pulled)}" if pulled else ""
        raise ModelMissing(f"{wanted} is not on this machine", why, f"llmchat pull {again}") from None


def _no_choice(models: list[LocalModel]) -> ModelChoiceError:
    if models:
        names = ", ".join(sorted(model.name for model in models)[:8])
        hint = f"llmchat ask -m {models[0].name} …, or llmchat config set model {models[0].name}"
        return ModelChoiceError("no model is chosen", f"there are several: {names}", hint)
    return ModelChoiceError("there is no model on this machine", "none was named and none was found", NO_MODEL)
