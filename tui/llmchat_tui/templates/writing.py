"""A template as TOML, and as a file in the user's folder. Knows no engine; reading.py reads what this writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from llmchat_engine.prompting.few_shot import Shot
from llmchat_tui.errors import UsageError
from llmchat_tui.paths import write_private
from llmchat_tui.placeholders import parameter_of
from llmchat_tui.templates.finding import SUFFIX
from llmchat_tui.templates.values import Template
from llmchat_tui.toml_edit import toml_value

_TOP = (
    "description", "system", "user", "num_shots", "shots_by", "cot", "votes", "think", "think_budget", "keep_thoughts",
)  # fmt: skip


def save_template(template: Template, folder: Path, *, replace: bool) -> Path:
    """Writes a template into the user's folder, whole or not at all, and returns its file.

    Args:
        template: what is kept, under its name.
        folder: of the user's templates.
        replace: whether one of that name may go.

    Raises:
        UsageError: the name cannot be one, or is taken.
        StorageUnwritable: it cannot be written.
    """
    path = path_of(template.name, folder) if replace else free_path(template.name, folder)
    write_private(path, as_toml(template).encode())
    return path


def free_path(name: str, folder: Path) -> Path:
    """Returns the file of a template that is to be.

    Raises:
        UsageError: the name cannot be one, or is taken.
    """
    path = path_of(name, folder)
    if os.path.lexists(path):
        hint = f"llmchat templates edit {name}, or choose another name"
        raise UsageError(f"there is a template {name} already", str(path), hint)
    return path


def path_of(name: str, folder: Path) -> Path:
    """Returns the file of a template of that name.

    Raises:
        UsageError: no template can be called that.
    """
    if not name or name.startswith((".", "-")) or "/" in name or not name.isprintable() or name.endswith(SUFFIX):
        raise UsageError(f"{name[:40]!r} cannot be the name of a template", "write a word, as in my-summary")
    if len(name.encode("utf-8", "replace")) > 200:  # a file system takes 255 bytes, a temporary file needs some
        raise UsageError("the name of the template is too long")
    return folder / f"{name}{SUFFIX}"


def as_toml(template: Template) -> str:
    """Returns a template as the text of its file; what is as ever is left out."""
    plain = Template(template.name)
    lines = [_pair(key, getattr(template, key)) for key in _TOP if getattr(template, key) != getattr(plain, key)]
    if template.schema:
        lines.append(_pair("schema", template.schema))
    if template.grammar:
        lines.append(_pair("choices" if parameter_of(template.grammar) else "grammar", template.grammar))
    tables = {
        "params": dict(template.params),
        "sampling": dict(template.sampling),
        "documents": _documents(template),
    }
    for name, values in tables.items():
        if values:
            lines += ["", f"[{name}]", *(_pair(_key(key), value) for key, value in values.items())]
    for shot in template.shots:
        lines += ["", "[[shots]]", *_shot(shot)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _documents(template: Template) -> dict[str, Any]:
    values = {"collections": template.collections or None, "k": template.docs_k, "cite": template.cite}
    return {name: value for name, value in values.items() if value is not None}


def _shot(shot: Shot) -> list[str]:
    pairs = (("input", shot.input), ("reasoning", shot.reasoning), ("output", shot.output))
    lines = [_pair(key, value) for key, value in pairs if value]
    return [*lines, "whole = true"] if shot.whole else lines


def _pair(key: str, value: Any) -> str:
    return f"{key} = {_written(value)}"


def _key(name: str) -> str:
    return name if name.replace("_", "").isalnum() and name.isascii() else toml_value(name)


def _written(value: Any) -> str:
    """Returns a value as TOML has it; a text of several lines on several."""
    if isinstance(value, str) and "\n" in value and _is_plain(value):
        return f"'''\n{value}'''"
    return toml_value(value)


def _is_plain(text: str) -> bool:
    """Returns whether a text can stand between three quotes as it is."""
    return "'''" not in text and not text.endswith("'") and all(c.isprintable() or c in "\n\t" for c in text)
