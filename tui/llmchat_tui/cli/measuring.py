"""What commands share that measure models: their flags, the text that is read, the prompts that are asked.

Knows files and flags; no engine and no output.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmchat_tui.cli.options import decorated
from llmchat_tui.errors import UsageError

if TYPE_CHECKING:
    from llmchat_tui.cli.app import App
    from llmchat_tui.console import Console

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LEAST_WINDOW = 16
_PROMPT_KEYS = ("prompt", "question", "text")


def measuring_options(command: _Command) -> _Command:
    """Adds the flags that say how a text is read: `window`, `threads` and `gpu_layers`."""
    decorators = (
        click.option("--ctx", "window", type=click.IntRange(_LEAST_WINDOW, 2**20), default=512, metavar="N",
                     show_default=True, help="Tokens that are seen at once; those of the second half count."),
        click.option("--threads", type=click.IntRange(0, 4_096), metavar="N",
                     help="CPU threads; 0 is the physical cores."),
        click.option("--gpu-layers", type=click.IntRange(-1, 10_000), metavar="N",
                     help="Layers on the GPU; -1 is all."),
    )  # fmt: skip
    return decorated(command, decorators)


def text_of(app: App, file: Path, console: Console, example: str) -> str:
    """Returns the text of a file, or of stdin where it is called "-".

    Raises:
        UsageError: it cannot be read, it is empty, or nothing is piped in.
        InputError: it is too large, or no text.
    """
    from llmchat_tui.inputs import Limits, piped_stdin, read_stdin, read_text

    limits = Limits(app.config.settings.stdin_limit_mib)
    if str(file) == "-":
        if (stdin := piped_stdin()) is None:
            raise UsageError("'-' stands for stdin, and nothing is piped in", "", example)
        return _some(read_stdin(stdin, limits, console.warn), "stdin", example)
    try:
        return _some(read_text(file, limits, console.warn), str(file), example)
    except OSError as error:
        raise UsageError(f"{file} cannot be read", error.strerror or "", example) from error


def _some(text: str, name: str, example: str) -> str:
    if not text.strip():
        raise UsageError(f"there is no text in {name}", "it is empty", example)
    return text


def prompts_in(text: str, name: str) -> tuple[str, ...]:
    """Returns the prompts of a file: one a line, or JSON lines.

    Args:
        text: Its text. Where its first line begins with a brace, every line is an object with a "prompt", a "question"
            or a "text".
        name: What it is called.

    Raises:
        UsageError: a line is no such object, or there is no prompt.
    """
    # Not splitlines: JSON may have U+2028 and its like as they are, and they end no line there.
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise UsageError(f"there is no prompt in {name}", "all lines are blank", "one prompt a line")
    if not lines[0][1].startswith("{"):
        return tuple(line for _, line in lines)
    return tuple(_prompt_of(line, f"{name}, line {number}") for number, line in lines)


def _prompt_of(line: str, where: str) -> str:
    import msgspec

    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise UsageError(f"{where} is no JSON", str(error)) from error
    values = [found[key] for key in _PROMPT_KEYS if key in found] if isinstance(found, dict) else []
    if not values or not isinstance(values[0], str) or not values[0].strip():
        raise UsageError(f"{where} has no prompt", "", 'an object such as {"prompt": "Who are you?"}')
    return values[0].strip()
