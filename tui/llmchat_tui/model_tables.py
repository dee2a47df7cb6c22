"""What config.toml says about models by name: other names, defaults of each, servers that answer in their place.

The values alone; config.py reads them. Knows no engine process and no screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

ALIASES_TABLE = "aliases"
"""`[aliases]`: each key another name of a model, its value what `-m` would take."""
OPTIONS_TABLE = "models"
"""`[models."NAME"]`: settings that hold for one model, under the names that they have in the rest of the file."""
REMOTES_TABLE = "remotes"
"""`[remotes.NAME]`: a server; `-m openai:NAME` asks it."""


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One server of `[remotes]`."""

    base_url: Annotated[str, Meta(description="its address, as http://127.0.0.1:8000/v1")]
    model: Annotated[str, Meta(description="the name it knows the model by; empty takes its only one")] = ""
    key_env: Annotated[str, Meta(description="the environment variable that holds its key; empty sends none")] = ""
    ctx: Annotated[int, Meta(ge=0, description="its context in tokens where it does not tell; 0 is not known")] = 0
    timeout: Annotated[float, Meta(gt=0, le=86_400, description="seconds of silence after which it is given up")] = 60.0


@dataclass(frozen=True, slots=True)
class ModelTables:
    """The three tables, checked."""

    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    """By the name of a model or an alias: its settings by their plain names, as `temperature`, `ctx` or `system`."""
    remotes: Mapping[str, Remote] = field(default_factory=lambda: MappingProxyType({}))
