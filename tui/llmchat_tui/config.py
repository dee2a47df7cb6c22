"""The settings of one run: defaults, config.toml and the environment, checked once, each with its origin.

Knows no flags (the command line lays them over these), no engine process and no screen. Never repairs a broken file.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import msgspec

from llmchat_engine import Sampling
from llmchat_tui.errors import ConfigError
from llmchat_tui.model_tables import ModelTables
from llmchat_tui.paths import write_private
from llmchat_tui.settings import LISTS, SAMPLING_KEYS, TABLE, Settings, dotted_name, table_of
from llmchat_tui.toml_edit import NotEditableError, flatten, key_lines, with_value, without_key

_MAX_BYTES = 1 << 20
_LONGEST_SECONDS = 365 * 86_400
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+|[0-9]+(?:\.[0-9]+)?")
_DURATION_PART = re.compile(r"([0-9.]+)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_QUOTED = re.compile(r"`([^`]*)`")
_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list"}
_BOM = "\ufeff"
_Flat = dict[str, Any]
KEYS_TABLE = "keys"
"""The table of config.toml that gives actions of the chat other keys; its ids are in keymap.py."""
WHERE_ACTIONS_ARE = "F1 in llmchat lists every action with its id"
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one run, and where each came from."""

    settings: Settings
    path: Path
    origins: Mapping[str, str]
    keys: Mapping[str, str] = field(default_factory=dict)
    """The actions of the chat that got other keys: id to key, or to several with commas between."""
    tables: ModelTables = field(default_factory=ModelTables)
    """What it says about models by name."""

    def origin(self, key: str) -> str:
        """Returns where a setting, or `keys.ID`, comes from: `built-in`, file:line, or the name of a variable."""
        return self.origins.get(key, "built-in")

    @property
    def keepalive_seconds(self) -> float:
        """The keepalive in seconds."""
        return parse_duration(str(self.settings.keepalive))

    @property
    def sampling(self) -> Sampling:
        """The sampling that the user asked for; what is None the model decides."""
        return Sampling(**{name: getattr(self.settings, name) for name in SAMPLING_KEYS})


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Returns the settings from a file and the environment; a missing file is an empty one.

    Args:
        path: config.toml.
        environ: LLMCHAT_<KEY> goes over the file; an empty value counts as none.

    Raises:
        ConfigError: naming the line or the variable, and the nearest key.
    """
    text = _read(path).removeprefix(_BOM)
    values, keys, origins = _checked_file(path, text)
    for name in Settings.__struct_fields__:
        variable = f"LLMCHAT_{name.upper()}"
        if written := environ.get(variable, ""):
            values[name] = _from_text(name, written, f"{variable}: ", f"unset {variable}, or give it another value")
            origins[name] = variable
    return Config(Settings(**values), path, origins, keys)


def set_value(path: Path, key: str, value: str) -> None:
    """Sets one key in config.toml and leaves every other byte of it alone.

    Args:
        path: config.toml; made where it is missing.
        key: its name, with or without `sampling.` before it, or `keys.` and the id of an action.
        value: as one types it; a list as TOML writes it.

    Raises:
        ConfigError: where the key or value is wrong, or the file is broken; the file is untouched.
        StorageUnwritable: where it cannot be written.
    """
    table, name, wanted = _wanted(key, value)
    dotted = f"{table}.{name}" if table else name
    _edit(
        path, name, lambda text: with_value(text, table, name, wanted), lambda before: before | {dotted: _plain(wanted)}
    )


def unset_value(path: Path, key: str) -> None:
    """Takes one key out of config.toml, so that its default holds again; every other byte stays.

    Args:
        path: config.toml.
        key: as for `set_value`.

    Raises:
        ConfigError: where there is no such key, or the file is broken; the file is untouched.
        StorageUnwritable: where it cannot be written.
    """
    table, name = _place_of(key)
    dotted = f"{table}.{name}" if table else name
    _edit(
        path,
        name,
        lambda text: without_key(text, table, name),
        lambda before: {k: value for k, value in before.items() if k != dotted},
    )


def _edit(path: Path, name: str, edit: Callable[[str], str], wanted: Callable[[_Flat], _Flat]) -> None:
    """Writes an edited config.toml, if the edit did what was wanted and nothing else."""
    text = _read(path)
    mark, text = (_BOM, text.removeprefix(_BOM)) if text.startswith(_BOM) else ("", text)
    before = parse_toml(path, text)
    try:
        edited = edit(text)
        is_right = flatten(tomllib.loads(edited)) == wanted(flatten(before))
    except (NotEditableError, tomllib.TOMLDecodeError):
        is_right = False
    if not is_right:
        raise ConfigError(f"cannot set {name} in {path}", "the way it is written there is too special", f"edit {path}")
    _checked_file(path, edited)
    write_private(path, (mark + edited).encode())


def sampling_value(name: str, text: str) -> Any:
    """Returns one value of `Sampling` from the text that a flag gave it.

    Raises:
        ConfigError: where there is no such value, or the text does not fit it.
    """
    if name not in SAMPLING_KEYS:
        raise _unknown_key(f"unknown sampling value {name}", name)
    return _from_text(name, text, "", "llmchat config show tells what each value means")


def parse_duration(text: str) -> float:
    """Returns the seconds of a duration such as 5m, 1h30m, 45 or 0.

    Raises:
        ConfigError: where it is none, or longer than a year.
    """
    if not _DURATION.fullmatch(text):
        raise ConfigError(f"{text[:40]!r} is not a duration", "", "write 30s, 5m, 1h or a number of seconds")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    if seconds > _LONGEST_SECONDS:
        raise ConfigError(f"{text[:40]!r} is too long", "a year is the most")
    return seconds


def _wanted(key: str, value: str) -> tuple[str, str, Any]:
    """Returns table, name and checked value of a key that is to be set."""
    table, name = _place_of(key)
    if table == KEYS_TABLE:
        return table, name, _checked_keys(name, value, "")
    return table, name, _from_text(name, value, "", "llmchat config show lists every key")


def _place_of(key: str) -> tuple[str, str]:
    """Returns table and name of a key as it is typed."""
    if key.startswith(f"{KEYS_TABLE}."):
        return KEYS_TABLE, key.removeprefix(f"{KEYS_TABLE}.")
    name = key.removeprefix(f"{TABLE}.")
    if name not in Settings.__struct_fields__:
        raise _unknown_key(f"cannot set {key}", name)
    return table_of(name), name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path) -> str:
    """Returns the text of the file, or nothing where there is none."""
    try:
        status = path.stat()
        if str(path) == os.devnull:
            return ""
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"cannot read {path}", "it is not a file")
        if status.st_size > _MAX_BYTES:
            raise ConfigError(f"cannot read {path}", f"it has {status.st_size:,} bytes; {_MAX_BYTES:,} is the most")
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot read {path}", error.strerror or "") from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not valid TOML", "it is not UTF-8 text", f"edit {path}") from error


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Returns the text of a file as nested tables.

    Raises:
        ConfigError: it is not valid TOML; names line and column.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML", "it is nested too deeply", f"edit {path}") from error
    except ValueError as error:  # TOMLDecodeError, and Python's limit on the digits of a number
        message = str(error)
        place = _TOML_PLACE.search(message)
        at = ""
        if place:
            line, column = place.groups()
            at = f":{line}:{column}" if line else _end_of(text)
        why = _TOML_PLACE.sub("", message)
        raise ConfigError(f"{path}{at}: not valid TOML", why[:1].lower() + why[1:], f"edit {path}") from error


def _end_of(text: str) -> str:
    """Returns line and column of the end, as they stand behind a file's name."""
    last = text.rpartition("\n")[2]
    return f":{text.count(chr(10)) + 1}:{len(last) + 1}"


def _checked_file(path: Path, text: str) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Returns the file's settings by name and its keys by action, every one checked, and the place of each."""
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    places: dict[str, str] = {}
    written = flatten(parse_toml(path, text))
    lines = key_lines(text)
    for dotted, value in written.items():
        name = dotted.removeprefix(f"{TABLE}.")
        where = f"{path}:{lines.get(dotted, 1)}"
        if dotted.startswith(f"{KEYS_TABLE}."):
            action = dotted.removeprefix(f"{KEYS_TABLE}.")
            keys[action] = _checked_keys(action, value, f"{where}: ")
            places[dotted] = where
            continue
        if name not in Settings.__struct_fields__:
            raise _unknown_key(f"{where}: unknown key {dotted}", name)
        if dotted != dotted_name(name):
            raise ConfigError(f"{where}: {dotted} is in the wrong place", "", f"write it as {dotted_name(name)}")
        values[name] = checked_value(name, value, f"{where}: ", f"llmchat config set {name} VALUE, or edit {path}")
        places[name] = where
    return values, keys, places


def _checked_keys(action: str, value: Any, where: str) -> str:
    """Returns the keys of one action of the chat."""
    from llmchat_tui.keymap import ACTIONS, check_keys

    ids = [known.id for known in ACTIONS]
    if action not in ids:
        import difflib

        near = difflib.get_close_matches(action, ids, 1)
        why = f"did you mean {KEYS_TABLE}.{near[0]}?" if near else "there is no such action"
        raise ConfigError(f"{where}unknown key {KEYS_TABLE}.{action}", why, WHERE_ACTIONS_ARE)
    is_text = isinstance(value, str) and value.isprintable()
    why = check_keys(value) if is_text else "expected text: a key, or several with commas between"
    if why:
        hint = f"llmchat config set {KEYS_TABLE}.{action} KEY"
        raise ConfigError(f"{where}{KEYS_TABLE}.{action} cannot be {str(value)[:40]!r}", why, hint)
    return str(value)


def _from_text(name: str, text: str, where: str, hint: str) -> Any:
    """Returns a value that was typed or stands in the environment."""
    value: Any = text
    if name in LISTS:
        value = [text]
        if text.startswith("["):
            try:
                value = tomllib.loads(f"list = {text}")["list"]
            except tomllib.TOMLDecodeError as error:
                raise ConfigError(f"{where}{name} cannot be {text[:40]!r}", "it is not a TOML list", hint) from error
    return checked_value(name, value, where, hint, strict=False)


def checked_value(name: str, value: Any, where: str, hint: str, strict: bool = True) -> Any:
    """Returns the value of one setting in its type and range.

    Args:
        name: of the setting, without its table.
        value: as TOML has it.
        where: the place that an error names first, with a colon and a blank behind it.
        hint: what helps.
        strict: whether a text that reads like a number is none.

    Raises:
        ConfigError: it is of another type, or out of range.
    """
    kind = next(field.type for field in msgspec.structs.fields(Settings) if field.name == name)
    try:
        result = msgspec.convert(value, kind, strict=strict)
        str(result).encode()
        if name == "keepalive":
            parse_duration(str(result))
    except (msgspec.ValidationError, UnicodeEncodeError, ConfigError) as error:
        why = error.why or error.what if isinstance(error, ConfigError) else _plain_words(str(error), kind)
        raise ConfigError(f"{where}{name} cannot be {str(value)[:40]!r}", why, hint) from error
    return result


def _plain_words(message: str, kind: Any) -> str:
    """Returns msgspec's sentence for a reader who knows no Python."""
    if "enum" in message:
        allowed = get_args(kind)[0]  # without its description
        choices = [choice for part in get_args(allowed) for choice in get_args(part) or (part,) if part is not NoneType]
        return "it is none of " + ", ".join(map(str, choices))
    words = message.partition(" - at ")[0].replace(" | null", "")
    return _QUOTED.sub(lambda found: _WORDS.get(found[1], found[1]), words[:1].lower() + words[1:])


def _unknown_key(what: str, name: str) -> ConfigError:
    """Returns the error for a key that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(name.rpartition(".")[2], Settings.__struct_fields__, 1)
    why = f"did you mean {dotted_name(near[0])}?" if near else "there is no such key"
    return ConfigError(what, why, "llmchat config show lists every key")
