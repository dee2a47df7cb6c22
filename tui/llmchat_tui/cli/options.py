"""The sampling flags that several commands share, and -o KEY VALUE for all of them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from llmchat_engine import Sampling

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FLAGS = ("temperature", "top_k", "top_p", "min_p", "seed", "max_tokens")


def sampling_options(command: _Command) -> _Command:
    """Adds the sampling flags to a command, which gets them by name; -o comes as `options`."""
    decorators = (
        click.option("-o", "--option", "options", nargs=2, multiple=True, metavar="KEY VALUE",
                     help="Any sampling value by name, such as repeat_penalty 1.1; repeatable."),
        click.option("--temperature", "--temp", type=float, metavar="T", help="Randomness; 0: the likeliest token."),
        click.option("--top-k", type=int, metavar="N", help="Choose among the N likeliest tokens; 0 is all."),
        click.option("--top-p", type=float, metavar="P", help="Choose among the likeliest tokens up to this sum."),
        click.option("--min-p", type=float, metavar="P", help="Leave out tokens below this part of the likeliest."),
        click.option("--seed", type=int, metavar="N", help="The same seed gives the same answer again."),
        click.option("--stop", multiple=True, metavar="TEXT", help="End the answer before this text; repeatable."),
        click.option("--max-tokens", type=int, metavar="N", help="The longest answer, in tokens."),
    )  # fmt: skip
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def option_pairs(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Returns the values of -o, checked like those of the config.

    Raises:
        UsageError: an unknown name, or a value that does not fit.
    """
    pairs = ((key.replace("-", "_").lower(), key, value) for key, value in options)
    return {name: _checked(name, value, f"-o {key} {value}") for name, key, value in pairs}


def sampling_from(base: Sampling, flags: dict[str, Any], options: Mapping[str, Any]) -> Sampling:
    """Returns the settings' sampling with -o and then the flags laid over it; takes them out of `flags`.

    Raises:
        UsageError: a value is out of range, or a stop word is empty.
    """
    from dataclasses import replace

    from llmchat_tui.errors import UsageError

    given = {name: flags.pop(name) for name in _FLAGS}
    stop = flags.pop("stop")
    if "" in stop:
        raise UsageError("--stop is empty", "every answer would end before it began")
    values = dict(options)
    for name, value in given.items():
        if value is not None:
            values[name] = _checked(name, str(value), f"--{name.replace('_', '-')} {value}")
    if stop:
        values["stop"] = stop
    return replace(base, **values)


def _checked(name: str, value: str, said: str) -> Any:
    from llmchat_tui.config import sampling_value
    from llmchat_tui.errors import ConfigError, UsageError

    try:
        return sampling_value(name, value)
    except ConfigError as error:
        raise UsageError(f"{said}: {error.what}", error.why, error.hint) from error
