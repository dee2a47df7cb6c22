"""Templates out of what other programs keep: roles of aichat, and Modelfiles of Ollama. Knows no format's inside."""

from __future__ import annotations

from pathlib import Path

from llmchat_tui.errors import TemplateInvalid
from llmchat_tui.templates.files import read_file
from llmchat_tui.templates.modelfile import is_modelfile, read_modelfile
from llmchat_tui.templates.role import read_role
from llmchat_tui.templates.values import Template

_ENDINGS = (".md", ".txt", ".modelfile")
_KNOWN = "a role of aichat is text with a prompt; a Modelfile has SYSTEM, MESSAGE or PARAMETER lines"


def import_template(path: Path) -> tuple[Template, tuple[str, ...]]:
    """Returns the template of a file, and what of it has no counterpart here.

    Args:
        path: a role of aichat or a Modelfile of Ollama; the file's name becomes the template's.

    Raises:
        TemplateMissing: there is no such file.
        TemplateInvalid: it cannot be read, or is neither.
    """
    text = read_file(path).replace("\r\n", "\n")
    name = path.stem if path.suffix.lower() in _ENDINGS else path.name
    warnings: list[str] = []
    read = read_modelfile if path.suffix.lower() == ".modelfile" or is_modelfile(text) else read_role
    template = read(text, name, warnings)
    if template == Template(name):
        raise TemplateInvalid(f"cannot import {path}", f"there is nothing in it; {_KNOWN}")
    return template, tuple(warnings)
