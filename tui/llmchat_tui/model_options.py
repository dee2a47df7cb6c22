"""Which settings of config.toml one model has to itself, and what the names that a user gives stand for.

Knows neither files of models nor flags: those are found and laid over this elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmchat_tui.settings import SAMPLING_KEYS

if TYPE_CHECKING:
    from llmchat_engine import Sampling
    from llmchat_tui.config import Config
    from llmchat_tui.model_tables import ModelTables


def meant(wanted: str, tables: ModelTables) -> tuple[str, ...]:
    """Returns what a name stands for, last, behind the aliases that lead there; an alias goes before all other names.

    Args:
        wanted: as it stands behind -m.
        tables: of the config.
    """
    names = [wanted]
    while (other := tables.aliases.get(names[-1])) is not None and other not in names:
        names.append(other)
    return tuple(names)


def names_of(path: Path, name: str = "", asked: Iterable[str] = ()) -> tuple[str, ...]:
    """Returns the names under which a model may have settings to itself, the most particular last.

    Args:
        path: of its file.
        name: what the library calls it.
        asked: the aliases that it was asked under, the first one typed.
    """
    names = (path.stem, name, str(path), *reversed(list(asked)))
    return tuple(dict.fromkeys(filter(None, names)))


def options_of(config: Config, names: Iterable[str]) -> dict[str, Any]:
    """Returns the settings that a model of these names has to itself, but for those that the environment says.

    Args:
        config: of this run.
        names: as `names_of` has them; what stands under a later one goes over the earlier.
    """
    own: dict[str, Any] = {}
    for name in names:
        own |= config.tables.options.get(name, {})
    return {key: value for key, value in own.items() if not config.origin(key).startswith("LLMCHAT_")}


def sampling_of(config: Config, own: Mapping[str, Any]) -> Sampling:
    """Returns the sampling of the settings with a model's own over it."""
    return replace(config.sampling, **{key: value for key, value in own.items() if key in SAMPLING_KEYS})
