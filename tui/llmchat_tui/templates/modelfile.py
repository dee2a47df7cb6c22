"""A Modelfile of Ollama: SYSTEM, MESSAGE and PARAMETER; the model it is made from is chosen with -m.

Knows no file. A text is one line, or stands between quotes, three of them where it has several lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.config_values import sampling_value
from llmchat_tui.errors import ConfigError
from llmchat_tui.settings import SAMPLING_KEYS
from llmchat_tui.templates.values import Template

_INSTRUCTIONS = "FROM|PARAMETER|TEMPLATE|SYSTEM|ADAPTER|LICENSE|MESSAGE|REQUIRES|RENDERER|PARSER"
_BEGINS = re.compile(rf"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:{_INSTRUCTIONS})[ \t]")
_INSTRUCTION = re.compile(rf"[ \t]*({_INSTRUCTIONS})[ \t]+", re.IGNORECASE)
_WORD = re.compile(r"(\S+)[ \t]+")
_QUOTES = '"""'
_RENAMED = {"num_predict": "max_tokens", "repeat_last_n": "penalty_last_n"}
"""What Ollama calls otherwise; all else has the same name."""
_SILENT = ("FROM", "LICENSE", "REQUIRES")
"""What a template has no need of."""


def is_modelfile(text: str) -> bool:
    """Returns whether a text begins like a Modelfile, comments left aside."""
    return bool(_BEGINS.match(text))


def read_modelfile(text: str, name: str, warnings: list[str]) -> Template:
    """Returns the template of a Modelfile.

    Args:
        text: the file.
        name: of the template.
        warnings: gets what has no counterpart.
    """
    system: list[str] = []
    said: list[tuple[str, str]] = []
    sampling: dict[str, Any] = {}
    for instruction, key, value in _instructions(text):
        if instruction == "SYSTEM" or (instruction == "MESSAGE" and key == "system"):
            system.append(value)
        elif instruction == "MESSAGE":
            said.append((key, value))
        elif instruction == "PARAMETER":
            _take(key, value, sampling, warnings)
        elif instruction not in _SILENT:
            warnings.append(f"{instruction} is left out: the model brings its own")
    return Template(name, system="\n\n".join(system), shots=_shots(said, warnings), sampling=sampling)


def _instructions(text: str) -> Iterator[tuple[str, str, str]]:
    """Yields instruction, its first word where it has one of its own, and its text."""
    lines = iter(text.split("\n"))
    for line in lines:
        found = _INSTRUCTION.match(line)
        if not found:
            continue
        instruction, rest, key = found[1].upper(), line[found.end() :], ""
        if instruction in ("MESSAGE", "PARAMETER") and (word := _WORD.match(rest)):
            key, rest = word[1].lower(), rest[word.end() :]
        yield instruction, key, _text(rest.strip(), lines)


def _text(rest: str, lines: Iterator[str]) -> str:
    """Returns the text that begins here, and takes the lines that belong to it."""
    if not rest.startswith(_QUOTES):
        return rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] == '"' else rest
    text = rest.removeprefix(_QUOTES)
    while _QUOTES not in text:
        following = next(lines, None)
        if following is None:
            break
        text += f"\n{following}"
    return text.partition(_QUOTES)[0].strip()


def _take(name: str, value: str, sampling: dict[str, Any], warnings: list[str]) -> None:
    """Keeps one parameter, where it is about sampling."""
    if name == "stop":
        sampling["stop"] = (*sampling.get("stop", ()), value)
        return
    known = _RENAMED.get(name, name)
    if known not in SAMPLING_KEYS:
        warnings.append(f"PARAMETER {name} {value} is left out: it is not about sampling")
        return
    try:
        sampling[known] = sampling_value(known, value)
    except ConfigError as error:
        warnings.append(f"PARAMETER {name} {value} is left out: {error.why or error.what}")


def _shots(said: Sequence[tuple[str, str]], warnings: list[str]) -> tuple[Shot, ...]:
    """Returns the pairs of a question and its answer."""
    shots: list[Shot] = []
    question = ""
    for role, text in said:
        if role == "assistant" and question and text:
            shots.append(Shot(question, text))
            question = ""
            continue
        if question or role != "user":
            warnings.append(f"MESSAGE {role} is left out: it is half of a pair")
        question = text if role == "user" else question
    if question:
        warnings.append("MESSAGE user is left out: it is half of a pair")
    return tuple(shots)
