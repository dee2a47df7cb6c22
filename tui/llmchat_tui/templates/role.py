"""A role of aichat: front matter, then a prompt, which may have `__INPUT__` or examples in it.

Knows no file. A prompt with a place for the input is what a question is sent as; any other is a system prompt, and the
pairs of `### INPUT:` and `### OUTPUT:` behind it are its examples.
"""

from __future__ import annotations

import re
from typing import Any

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.config_values import sampling_value
from llmchat_tui.errors import ConfigError
from llmchat_tui.placeholders import escaped
from llmchat_tui.templates.values import Template

_MARKS = ("### INPUT:", "### OUTPUT:")
_PLACE = "__INPUT__"
_FRONT_MATTER = re.compile(r"-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_SAMPLING = ("temperature", "top_p")


def read_role(text: str, name: str, warnings: list[str]) -> Template:
    """Returns the template of a role.

    Args:
        text: the file.
        name: of the template.
        warnings: gets what has no counterpart.
    """
    sampling: dict[str, Any] = {}
    if found := _FRONT_MATTER.match(text):
        sampling = _front_matter(found[1], warnings)
        text = text[found.end() :]
    text = text.strip()
    if _PLACE in text:
        return Template(name, user=escaped(text).replace(_PLACE, "${input}"), sampling=sampling)
    system, shots = _parts(text, warnings)
    return Template(name, system=system, shots=shots, sampling=sampling)


def _front_matter(text: str, warnings: list[str]) -> dict[str, Any]:
    sampling: dict[str, Any] = {}
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        value = value.strip("\"'")
        if not key or key.startswith("#") or value in ("", "null"):
            continue
        try:
            if key not in _SAMPLING:
                raise ConfigError("it has no counterpart")
            sampling[key] = sampling_value(key, value)
        except ConfigError as error:
            warnings.append(f"{key}: {value} is left out: {error.why or error.what}")
    return sampling


def _parts(text: str, warnings: list[str]) -> tuple[str, tuple[Shot, ...]]:
    """Returns the system prompt and the examples; aichat takes all as the prompt where they are no pairs."""
    parts: list[str] = []
    rest = text
    while (mark := _MARKS[len(parts) % 2]) in rest:
        part, _, rest = rest.partition(mark)
        parts.append(part.strip())
    system, *said = [*parts, rest.strip()]
    if len(said) % 2 or "" in said:
        warnings.append("the examples are left in the prompt: an input or an output is missing")
        return text, ()
    return system, tuple(Shot(*pair) for pair in zip(said[::2], said[1::2], strict=True))
