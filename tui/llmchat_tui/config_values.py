"""One setting from what was written or typed: its type, its range, and what is said where it has neither.

Knows settings by name; no file, no environment and no table of names.
"""

from __future__ import annotations

import re
import tomllib
from types import NoneType
from typing import Any, get_args

import msgspec

from llmchat_tui.errors import ConfigError
from llmchat_tui.settings import LISTS, SAMPLING_KEYS, Settings, dotted_name

_LONGEST_SECONDS = 365 * 86_400
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+|[0-9]+(?:\.[0-9]+)?")
_DURATION_PART = re.compile(r"([0-9.]+)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_QUOTED = re.compile(r"`([^`]*)`")
_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list"}


def sampling_value(name: str, text: str) -> Any:
    """Returns one value of `Sampling` from the text that a flag gave it.

    Raises:
        ConfigError: where there is no such value, or the text does not fit it.
    """
    if name not in SAMPLING_KEYS:
        raise unknown_key(f"unknown sampling value {name}", name)
    return typed_value(name, text, "", "llmchat config show tells what each value means")


def typed_value(name: str, text: str, where: str, hint: str) -> Any:
    """Returns the value of one setting that was typed or stands in the environment; a list is as TOML writes it.

    Raises:
        ConfigError: as `checked_value` does.
    """
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
    result = value_as(kind, value, f"{where}{name}", hint, strict)
    if name == "keepalive":
        try:
            parse_duration(str(result))
        except ConfigError as error:
            raise _cannot_be(f"{where}{name}", value, error.why or error.what, hint) from error
    return result


def value_as(kind: Any, value: Any, what: str, hint: str, strict: bool = True) -> Any:
    """Returns a value in a type and range.

    Args:
        kind: as msgspec has it.
        value: as TOML has it.
        what: the place and the name that an error begins with.
        hint: what helps.
        strict: whether a text that reads like a number is none.

    Raises:
        ConfigError: it is of another type, or out of range.
    """
    try:
        result = msgspec.convert(value, kind, strict=strict)
        str(result).encode()
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise _cannot_be(what, value, _plain_words(str(error), kind), hint) from error
    return result


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


def unknown_key(what: str, name: str) -> ConfigError:
    """Returns the error for a key that does not exist, with the nearest one that does."""
    import difflib

    near = difflib.get_close_matches(name.rpartition(".")[2], Settings.__struct_fields__, 1)
    why = f"did you mean {dotted_name(near[0])}?" if near else "there is no such key"
    return ConfigError(what, why, "llmchat config show lists every key")


def _cannot_be(what: str, value: Any, why: str, hint: str) -> ConfigError:
    return ConfigError(f"{what} cannot be {str(value)[:40]!r}", why, hint)


def _plain_words(message: str, kind: Any) -> str:
    """Returns msgspec's sentence for a reader who knows no Python."""
    if "enum" in message:
        allowed = get_args(kind)[0]  # without its description
        choices = [choice for part in get_args(allowed) for choice in get_args(part) or (part,) if part is not NoneType]
        return "it is none of " + ", ".join(map(str, choices))
    words = message.partition(" - at ")[0].replace(" | null", "")
    return _QUOTED.sub(lambda found: _WORDS.get(found[1], found[1]), words[:1].lower() + words[1:])
