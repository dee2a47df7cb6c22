"""The flags that several commands share: how tokens are chosen (-o KEY VALUE for all of it), how a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from llmchat_engine import Sampling
    from llmchat_tui.overflow import Overflow
    from llmchat_tui.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FLAGS = ("temperature", "top_k", "top_p", "min_p", "seed", "max_tokens")
_MODEL_FLAGS = ("ctx", "gpu_layers", "threads", "batch", "cache_type_k", "cache_type_v", "base_url")
_CACHE_TYPES = click.Choice(["f16", "q8_0", "q4_0"])
_OVERFLOWS = {
    "ask": "ask shows the plan first",
    "drop": "drop leaves out the oldest turns and says so",
    "stop": "stop ends with exit code 4",
    "summarize": "summarize puts a summary in their place",
}


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
    return decorated(command, decorators)


def model_options(command: _Command) -> _Command:
    """Adds the flags that say how a model is loaded; `model_flags` takes them out of what the command gets."""
    decorators = (
        click.option("--ctx", type=click.IntRange(0, 2**31 - 1), metavar="N",
                     help="Context length in tokens; 0 is automatic."),
        click.option("--gpu-layers", type=click.IntRange(-1, 10_000), metavar="N",
                     help="Layers on the GPU; -1 is all."),
        click.option("--threads", type=click.IntRange(0, 4_096), metavar="N",
                     help="CPU threads; 0 is the physical cores."),
        click.option("--batch", type=click.IntRange(32, 4_096), metavar="N",
                     help="Tokens of the prompt that are read in one step."),
        click.option("--cache-type-k", type=_CACHE_TYPES,
                     help="Keys in the KV cache: q8_0 takes half the memory of f16, q4_0 a quarter."),
        click.option("--cache-type-v", type=_CACHE_TYPES,
                     help="Values in it. All but f16 turn flash attention on, which on a CPU halves the speed of "
                          "answers in long chats."),
        click.option("--base-url", default="", metavar="URL",
                     help="Ask a server of the OpenAI API; -m openai:NAME names its model."),
    )  # fmt: skip
    return decorated(command, decorators)


def model_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """Returns how the model shall be loaded, as `App.spec` takes it; takes these out of `flags`."""
    return {name: flags.pop(name) for name in _MODEL_FLAGS}


def cache_options(*ways: str) -> Callable[[_Command], _Command]:
    """Returns a decorator that adds what becomes of a chat: when the context is full, and of its cache on disk.

    Args:
        ways: the choices of --overflow, which the command gets as `overflow`; --no-kv-cache comes as `no_kv_cache`.
    """
    told = "; ".join(_OVERFLOWS[way] for way in ways)
    decorators = (
        click.option("--overflow", type=click.Choice(ways), help=f"When the context is full: {told}."),
        click.option("--no-kv-cache", is_flag=True, help="Keep the KV cache of this chat off the disk."),
    )
    return lambda command: decorated(command, decorators)


def answers_options(command: _Command) -> _Command:
    """Adds how many answers are wanted, and the search for the likeliest one; a command gets them by name."""
    decorators = (
        click.option("--answers", type=click.IntRange(1, 16), default=1, metavar="N",
                     help="So many answers from one reading of the prompt; each is a reply to the question."),
        click.option("--beams", type=click.IntRange(1, 16), metavar="B",
                     help="Search for the likeliest answer with so many at a time, in place of sampling."),
        click.option("--length-penalty", type=click.FloatRange(0, 10), metavar="P",
                     help="What beams divide by: length to this power. 1 without it; less prefers short answers."),
    )  # fmt: skip
    return decorated(command, decorators)


def search_options(command: _Command) -> _Command:
    """Adds how documents are searched; each comes as None where it is not given, but `collections` as a tuple."""
    decorators = (
        click.option("-d", "--collection", "collections", multiple=True, metavar="NAME",
                     help="Search this collection, not all of them; repeatable."),
        click.option("--alpha", type=click.FloatRange(0, 1), metavar="W",
                     help="Weight of the meaning against the words, from 0 to 1."),
        click.option("--fusion", type=click.Choice(["convex", "rrf"]),
                     help="Add the scores of the two searches, or their inverse ranks."),
        click.option("--min-score", type=click.FloatRange(0, 1), metavar="S", help="Leave out passages below."),
        click.option("--rerank/--no-rerank", default=None,
                     help="Read the best passages once more, together with the question."),
    )  # fmt: skip
    return decorated(command, decorators)


def overflow_unasked(flag: Overflow | None, settings: Settings) -> Overflow:
    """Returns what happens when the context is full, where nobody can be shown the plan: flag, then settings."""
    chosen: Overflow = flag or settings.overflow
    return "drop" if chosen == "ask" else chosen


def keeps_cache(no_kv_cache: bool, settings: Settings) -> bool:
    """Tells whether a chat may be kept on disk as the model saw it: flag, then settings."""
    return settings.kv_cache and not no_kv_cache


def option_pairs(options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Returns the values of -o, checked like those of the config.

    Raises:
        UsageError: an unknown name, or a value that does not fit.
    """
    pairs = ((key.replace("-", "_").lower(), key, value) for key, value in options)
    return {name: _checked(name, value, f"-o {key} {value}") for name, key, value in pairs}


def sampling_given(flags: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what -o, and then the flags, say about sampling, by name; takes them out of `flags`.

    Raises:
        UsageError: a value is out of range, or a stop word is empty.
    """
    from llmchat_tui.errors import UsageError
    from llmchat_tui.inputs import as_text

    given = {name: flags.pop(name) for name in _FLAGS}
    stop = flags.pop("stop")
    if "" in stop:
        raise UsageError("--stop is empty", "every answer would end before it began")
    values = dict(options)
    for name, value in given.items():
        if value is not None:
            values[name] = _checked(name, str(value), f"--{name.replace('_', '-')} {value}")
    if stop:
        values["stop"] = tuple(map(as_text, stop))
    return values


def sampling_from(base: Sampling, flags: dict[str, Any], options: Mapping[str, Any]) -> Sampling:
    """Returns the settings' sampling with -o and then the flags laid over it; takes them out of `flags`.

    Raises:
        UsageError: as `sampling_given` does.
    """
    from dataclasses import replace

    return replace(base, **sampling_given(flags, options))


def decorated(command: _Command, decorators: Sequence[Callable[[_Command], _Command]]) -> _Command:
    """Returns a command with options that its help shows in this order."""
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def _checked(name: str, value: str, said: str) -> Any:
    from llmchat_tui.config_values import sampling_value
    from llmchat_tui.errors import ConfigError, UsageError

    try:
        return sampling_value(name, value)
    except ConfigError as error:
        raise UsageError(f"{said}: {error.what}", error.why, error.hint) from error
