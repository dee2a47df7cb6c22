"""How each setting is edited: a switch, a choice or a text. Generated from the schema in settings.py; headless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from llmchat_tui.settings import Settings, keys
from llmchat_tui.toml_edit import toml_value

Kind = Literal["switch", "choice", "text"]
MODEL_DECIDES = "the model decides"


@dataclass(frozen=True, slots=True)
class Field:
    """One setting."""

    name: str
    table: str
    """`sampling`, or empty for the top of the file."""
    description: str
    kind: Kind
    choices: tuple[str, ...]
    default: Any

    @property
    def placeholder(self) -> str:
        """What stands in an empty field."""
        return MODEL_DECIDES if self.default is None else value_text(self.default)


def fields() -> tuple[Field, ...]:
    """Returns every setting in the order of the file."""
    info = msgspec.inspect.type_info(Settings)
    assert isinstance(info, msgspec.inspect.StructType)
    known = {field.name: field for field in info.fields}
    return tuple(_field(key.name, key.table, key.description, known[key.name]) for key in keys())


def value_text(value: Any) -> str:
    """Returns a value as one types it; nothing for None and for an empty list."""
    if value is None or value == () or value == []:
        return ""
    return value if isinstance(value, str) else toml_value(value)


def _field(name: str, table: str, description: str, field: msgspec.inspect.Field) -> Field:
    kind = field.type
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.BoolType):
        return Field(name, table, description, "switch", ("true", "false"), field.default)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return Field(name, table, description, "choice", tuple(map(str, kind.values)), field.default)
    return Field(name, table, description, "text", (), field.default)
