"""The tables of config.toml whose keys are names: keys of the chat, aliases, settings of one model, servers.

Checks what stands in them, one entry at a time. Knows no file; a place is the names on the way to an entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from llmchat_tui.config_values import checked_value, typed_value, value_as
from llmchat_tui.errors import ConfigError
from llmchat_tui.model_tables import ALIASES_TABLE, OPTIONS_TABLE, REMOTES_TABLE, ModelTables, Remote
from llmchat_tui.settings import SAMPLING_KEYS, Settings
from llmchat_tui.toml_edit import Place, dotted

KEYS_TABLE = "keys"
"""The table of config.toml that gives actions of the chat other keys; its ids are in keymap.py."""
TABLES = (KEYS_TABLE, ALIASES_TABLE, OPTIONS_TABLE, REMOTES_TABLE)
MODEL_KEYS = (
    "system",
    "keepalive",
    "ctx",
    "gpu_layers",
    "threads",
    "batch",
    "cache_type_k",
    "cache_type_v",
    *sorted(SAMPLING_KEYS),
)
"""The settings that one model may have to itself."""
WHERE_ACTIONS_ARE = "F1 in llmchat lists every action with its id"
_REMOTE_KEYS = Remote.__struct_fields__
_REMOTE_DEFAULTS = dict(zip(reversed(_REMOTE_KEYS), reversed(Remote.__struct_defaults__), strict=False))
_ADDRESS = re.compile(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_NAME = 200
_QUOTES_HELP = 'a name with dots is written in quotes: "qwen2.5"'


def typed_place(key: str) -> Place | None:
    """Returns the place of a key of these tables as one types it; None where it is of none of them.

    Names may hold dots, with or without quotes around them: what stands behind the last dot is the setting of a model
    or a server.
    """
    table, dot, rest = key.partition(".")
    if not dot or table not in TABLES:
        return None
    if table in (KEYS_TABLE, ALIASES_TABLE):
        return table, _unquoted(rest)
    name, _, last = rest.rpartition(".")
    return table, _unquoted(name), last


def checked_entry(place: Place, value: Any, where: str, *, typed: bool = False) -> Any:
    """Returns the value of one entry in its type and range.

    Args:
        place: of the entry; its first name is one of `TABLES`.
        value: as TOML has it, or as it was typed.
        where: the place in the file that an error names first, with a colon and a blank behind it.
        typed: whether it was typed: a text that reads like a number is one.

    Raises:
        ConfigError: there is no such entry, or its value cannot be used.
    """
    match place:
        case ("keys", *names):
            return _checked_keys(".".join(names), value, where)
        case ("aliases", name):
            _check_name(place, name, where)
            return _checked_alias(place, value, where)
        case ("models", name, key):
            _check_name(place, name, where)
            return _checked_option(place, key, value, where, typed)
        case ("remotes", name, key):
            _check_name(place, name, where)
            return _checked_remote(place, key, value, where, typed)
    why = {"aliases": _QUOTES_HELP, "models": "", "remotes": ""}[place[0]]
    if not why:
        of = "a model" if place[0] == OPTIONS_TABLE else "a server"
        why = f"the settings of {of} stand under its name" if len(place) < 3 else _QUOTES_HELP
    raise ConfigError(f"{where}unknown key {dotted(place)}", why, _example(place[0]))


def tables_from(entries: Mapping[Place, Any], places: Mapping[str, str]) -> ModelTables:
    """Returns the tables of checked entries.

    Args:
        entries: by their places; those of other tables are left out.
        places: file and line of each, by its dotted place.

    Raises:
        ConfigError: a server has no address.
    """
    options: dict[str, dict[str, Any]] = {}
    servers: dict[str, dict[str, Any]] = {}
    for place, value in entries.items():
        if place[0] in (OPTIONS_TABLE, REMOTES_TABLE):
            table = options if place[0] == OPTIONS_TABLE else servers
            table.setdefault(place[1], {})[place[2]] = value
    for name, values in servers.items():
        if "base_url" not in values:
            where = places[dotted((REMOTES_TABLE, name, next(iter(values))))]
            said = dotted((REMOTES_TABLE, name))
            hint = f"llmchat config set {said}.base_url http://HOST:PORT/v1"
            raise ConfigError(f"{where}: {said} has no base_url", "a server is found by its address", hint)
    aliases = {place[1]: value for place, value in entries.items() if place[0] == ALIASES_TABLE}
    return ModelTables(aliases, options, {name: Remote(**values) for name, values in servers.items()})


def entries_of(tables: ModelTables) -> dict[Place, Any]:
    """Returns what the file says about models by name, by place; of a server only what is not the default."""
    entries: dict[Place, Any] = {(ALIASES_TABLE, name): value for name, value in tables.aliases.items()}
    for name, options in tables.options.items():
        entries |= {(OPTIONS_TABLE, name, key): value for key, value in options.items()}
    for name, remote in tables.remotes.items():
        said = {key: getattr(remote, key) for key in _REMOTE_KEYS}
        entries |= {(REMOTES_TABLE, name, key): said[key] for key in said if said[key] != _REMOTE_DEFAULTS.get(key)}
    return entries


def described_entry(place: Place) -> str:
    """Returns what an entry means."""
    if place[0] == ALIASES_TABLE:
        return "another name of a model"
    kind = Settings if place[0] == OPTIONS_TABLE else Remote
    properties = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    return str(properties[place[-1]]["description"])


def _checked_keys(action: str, value: Any, where: str) -> str:
    """Returns the keys of one action of the chat."""
    from llmchat_tui.keymap import ACTIONS, check_keys

    ids = [known.id for known in ACTIONS]
    if action not in ids:
        raise _unknown(where, f"{KEYS_TABLE}.", action, ids, "there is no such action", WHERE_ACTIONS_ARE)
    is_text = isinstance(value, str) and value.isprintable()
    why = check_keys(value) if is_text else "expected text: a key, or several with commas between"
    if why:
        hint = f"llmchat config set {KEYS_TABLE}.{action} KEY"
        raise ConfigError(f"{where}{KEYS_TABLE}.{action} cannot be {str(value)[:40]!r}", why, hint)
    return str(value)


def _checked_alias(place: Place, value: Any, where: str) -> str:
    hint = "llmchat models alias NAME MODEL, or llmchat ls"
    alias: str = value_as(str, value, f"{where}{dotted(place)}", hint)
    if not alias.strip() or not alias.isprintable():
        raise ConfigError(f"{where}{dotted(place)} cannot be {alias[:40]!r}", "it names no model", hint)
    return alias


def _checked_option(place: Place, key: str, value: Any, where: str, typed: bool) -> Any:
    above = f"{dotted(place[:-1])}."
    if key not in MODEL_KEYS:
        hint = f"settings of one model are {', '.join(MODEL_KEYS[:8])} and those of [sampling]"
        raise _unknown(where, above, key, MODEL_KEYS, "a model has no such setting to itself", hint)
    hint = f"llmchat config set {above}{key} VALUE"
    if typed:
        return typed_value(key, value, where + above, hint)
    return checked_value(key, value, where + above, hint)


def _checked_remote(place: Place, key: str, value: Any, where: str, typed: bool) -> Any:
    what, hint = f"{where}{dotted(place)}", _example(REMOTES_TABLE)
    if key not in _REMOTE_KEYS:
        raise _unknown(where, f"{dotted(place[:-1])}.", key, _REMOTE_KEYS, "a server has no such setting", hint)
    kind = next(field.type for field in msgspec.structs.fields(Remote) if field.name == key)
    checked = value_as(kind, value, what, hint, strict=not typed)
    if key == "base_url":
        if not _ADDRESS.fullmatch(checked) or not checked.isprintable():
            why = "expected http:// or https://, a host and a path, without a name, a password or a question"
            raise ConfigError(f"{what} is no address", why, hint)
        return checked.rstrip("/")
    if key == "key_env" and checked and not _VARIABLE.fullmatch(checked):
        # What stands here by mistake may be the key itself: it is not repeated.
        why = "expected the name of an environment variable, not the key itself"
        raise ConfigError(f"{what} names no variable", why, "llmchat config set remotes.NAME.key_env MY_API_KEY")
    return checked


def _check_name(place: Place, name: str, where: str) -> None:
    """Refuses a name that nobody could type behind -m."""
    if name.strip() and name.isprintable() and not name.startswith("-") and len(name) <= _LONGEST_NAME:
        return
    raise ConfigError(f"{where}{dotted(place)[:80]} has no name that can be typed", "", _example(place[0]))


def _unknown(where: str, above: str, name: str, known: Iterable[str], else_: str, hint: str) -> ConfigError:
    """Returns the error of an entry that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(name, list(known), 1)
    return ConfigError(f"{where}unknown key {above}{name}", f"did you mean {above}{near[0]}?" if near else else_, hint)


def _example(table: str) -> str:
    return {
        ALIASES_TABLE: "llmchat config set aliases.NAME MODEL",
        OPTIONS_TABLE: "llmchat config set models.NAME.temperature 0.2",
        REMOTES_TABLE: "llmchat config set remotes.NAME.base_url http://HOST:PORT/v1",
    }[table]


def _unquoted(name: str) -> str:
    """Returns a name without the quotes that TOML would put around it."""
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name
