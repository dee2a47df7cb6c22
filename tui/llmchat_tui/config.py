"""The settings of one run: defaults, config.toml and the environment, checked once, each with its origin.

Knows no flags (the command line lays them over these), no engine process and no screen. Never repairs a broken file.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmchat_engine import Sampling
from llmchat_tui.config_tables import KEYS_TABLE, TABLES, checked_entry, tables_from, typed_place
from llmchat_tui.config_values import checked_value, parse_duration, typed_value, unknown_key
from llmchat_tui.errors import ConfigError
from llmchat_tui.model_tables import ModelTables
from llmchat_tui.paths import write_private
from llmchat_tui.settings import SAMPLING_KEYS, TABLE, Settings, dotted_name, table_of
from llmchat_tui.toml_edit import NotEditableError, Place, dotted, flatten, key_lines, with_value, without_key

_MAX_BYTES = 1 << 20
_BOM = "\ufeff"
_Flat = dict[Place, Any]
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
        """Returns where a setting comes from: `built-in`, file:line, or the name of a variable.

        Args:
            key: its name; an entry of a table by its dotted place, as `keys.ID` or `aliases.NAME`.
        """
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
    values, keys, tables, origins = _checked_file(path, text)
    for name in Settings.__struct_fields__:
        variable = f"LLMCHAT_{name.upper()}"
        if written := environ.get(variable, ""):
            values[name] = typed_value(name, written, f"{variable}: ", f"unset {variable}, or give it another value")
            origins[name] = variable
    return Config(Settings(**values), path, origins, keys, tables)


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
    place = _place_of(key)
    if place[0] in TABLES:
        wanted = checked_entry(place, value, "", typed=True)
    else:
        wanted = typed_value(place[-1], value, "", "llmchat config show lists every key")
    _edit(path, key, lambda text: with_value(text, place, wanted), lambda before: before | {place: _plain(wanted)})


def unset_value(path: Path, key: str) -> None:
    """Takes one key out of config.toml, so that its default holds again; every other byte stays.

    Args:
        path: config.toml.
        key: as for `set_value`.

    Raises:
        ConfigError: where there is no such key, or the file is broken; the file is untouched.
        StorageUnwritable: where it cannot be written.
    """
    place = _place_of(key)
    _edit(
        path,
        key,
        lambda text: without_key(text, place),
        lambda before: {k: value for k, value in before.items() if k != place},
    )


def _edit(path: Path, name: str, edit: Callable[[str], str], wanted: Callable[[_Flat], _Flat]) -> None:
    """Writes an edited config.toml, if the edit did what was wanted and nothing else."""
    if str(path) == os.devnull:
        raise ConfigError(
            f"cannot set {name}", f"LLMCHAT_CONFIG is {path}, which keeps nothing", "unset LLMCHAT_CONFIG"
        )
    with _alone(path):
        _write_edited(path, name, edit, wanted)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds off other processes that edit the same file: of two that read the same text, one would be undone."""
    from llmchat_engine.models.file_lock import locked

    file = Path(os.path.realpath(path))
    with contextlib.ExitStack() as held:
        # Where no lock can be made no file can be written either, which says why.
        with contextlib.suppress(OSError):
            held.enter_context(locked(file.with_name(f".{file.name}.lock")))
        yield


def _write_edited(path: Path, name: str, edit: Callable[[str], str], wanted: Callable[[_Flat], _Flat]) -> None:
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


def _place_of(key: str) -> Place:
    """Returns the place of a key as it is typed."""
    if (place := typed_place(key)) is not None:
        return place
    name = key.removeprefix(f"{TABLE}.")
    if name not in Settings.__struct_fields__:
        raise unknown_key(f"cannot set {key}", name)
    return (table_of(name), name) if table_of(name) else (name,)


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


def _checked_file(path: Path, text: str) -> tuple[dict[str, Any], dict[str, str], ModelTables, dict[str, str]]:
    """Returns settings by name, keys of the chat by action, what is said of models, every one checked, and places."""
    values: dict[str, Any] = {}
    entries: _Flat = {}
    origins: dict[str, str] = {}
    written = flatten(parse_toml(path, text))
    lines = key_lines(text)
    for place, value in written.items():
        where = f"{path}:{lines.get(place, 1)}"
        if place[0] in TABLES and len(place) > 1:
            entries[place] = checked_entry(place, value, f"{where}: ")
            origins[dotted(place)] = where
            continue
        name = _setting_at(place, where)
        values[name] = checked_value(name, value, f"{where}: ", f"llmchat config set {name} VALUE, or edit {path}")
        origins[name] = where
    keys = {place[1]: value for place, value in entries.items() if place[0] == KEYS_TABLE}
    return values, keys, tables_from(entries, origins), origins


def _setting_at(place: Place, where: str) -> str:
    """Returns the setting that stands at a place of the file."""
    name = place[1] if len(place) == 2 and place[0] == TABLE else dotted(place)
    if name not in Settings.__struct_fields__:
        raise unknown_key(f"{where}: unknown key {dotted(place)}", name)
    if dotted(place) != dotted_name(name):
        raise ConfigError(f"{where}: {dotted(place)} is in the wrong place", "", f"write it as {dotted_name(name)}")
    return name
