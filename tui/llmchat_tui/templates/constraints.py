"""The form that a template's answers have: a JSON schema, a grammar or a choice, inline or from a file beside it.

Checks that the engine can follow it. Knows no template file's syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.grammar import constraint_text
from llmchat_tui.errors import UsageError, UserError
from llmchat_tui.schemas.short_form import schema_of
from llmchat_tui.templates.faults import Fault
from llmchat_tui.templates.files import read_file


def schema_text(written: str | dict[str, Any], folder: Path | None) -> str:
    """Returns a schema as JSON text.

    Args:
        written: a table, JSON, the path of a .json file, or the short form `name, age int, bio`.
        folder: that a path starts from; None is the working directory.

    Raises:
        Fault: it is none, or the engine cannot follow it.
    """
    text = _from_text(written, folder) if isinstance(written, str) else msgspec.json.encode(written).decode()
    _check("schema", schema=text)
    return text


def grammar_text(written: str, folder: Path | None) -> str:
    """Returns a grammar: itself, or what is in the file that is named.

    Raises:
        Fault: it cannot be read, or the engine cannot follow it.
    """
    text = written if "::=" in written else _file("grammar", written, folder)
    _check("grammar", grammar=text)
    return text


def listed(written: str) -> tuple[str, ...]:
    """Returns the texts that stand between commas."""
    return tuple(text.strip() for text in written.split(",") if text.strip())


def choices_grammar(choices: Sequence[str]) -> str:
    """Returns the grammar of an answer that is one of several texts.

    Raises:
        Fault: there is none, or one cannot be an answer.
    """
    if not choices:
        raise Fault("choices", "choices has none", "write some: 'one, two, three'")
    for choice in choices:
        if not choice.strip() or not choice.isprintable():
            raise Fault("choices", f"{choice[:40]!r} cannot be a choice", "write a text on one line")
    quoted = (choice.replace("\\", "\\\\").replace('"', '\\"') for choice in dict.fromkeys(choices))
    text = "root ::= " + " | ".join(f'"{choice}"' for choice in quoted)
    _check("choices", grammar=text)
    return text


def _from_text(written: str, folder: Path | None) -> str:
    text = written.strip()
    if text.startswith("{"):
        return text
    if text.endswith(".json"):
        return _file("schema", text, folder)
    try:
        return msgspec.json.encode(schema_of(text)).decode()
    except UsageError as error:
        raise Fault("schema", error.what, error.why or error.hint) from error


def _file(key: str, name: str, folder: Path | None) -> str:
    try:
        return read_file((folder or Path()) / Path(name).expanduser())
    except UserError as error:
        raise Fault(key, f"{key}: {error.what}", error.why) from error


def _check(key: str, *, grammar: str = "", schema: str = "") -> None:
    try:
        constraint_text(grammar, schema)
    except RequestInvalid as error:
        raise Fault(key, f"{key} cannot be used", error.why or error.what) from error
