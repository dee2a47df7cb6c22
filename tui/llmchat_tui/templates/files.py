"""The bytes of a template, or of a file that it names, as text: bounded, and nothing but a regular file is opened.

Knows no TOML. What is wrong is said without the place in the template, which the caller adds.
"""

from __future__ import annotations

from pathlib import Path

from llmchat_tui.errors import InputError, TemplateInvalid, TemplateMissing
from llmchat_tui.inputs import read_regular

MAX_BYTES = 1 << 20
"""The most that a template, a schema or a grammar may have."""
_BOM = "\ufeff"


def read_file(path: Path, most: int = MAX_BYTES) -> str:
    """Returns the text of a file without its byte order mark.

    Args:
        path: the file.
        most: bytes that are read.

    Raises:
        TemplateMissing: it is not there.
        TemplateInvalid: it cannot be read, is no file, is too large, or is not UTF-8 text.
    """
    try:
        data = read_regular(path, most)
    except FileNotFoundError as error:
        hint = "llmchat templates list" if path.suffix == ".toml" else ""
        raise TemplateMissing(f"there is no file {path}", "", hint) from error
    except IsADirectoryError as error:
        raise TemplateInvalid(f"cannot read {path}", "it is a directory") from error
    except InputError as error:
        raise TemplateInvalid(f"cannot read {path}", error.why) from error
    except (OSError, ValueError) as error:  # a NUL in the name
        raise TemplateInvalid(f"cannot read {path}", getattr(error, "strerror", "") or str(error)) from error
    if len(data) > most:
        raise TemplateInvalid(f"cannot read {path}", f"it has more than {most:,} bytes")
    try:
        return data.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateInvalid(f"{path}:{line}: cannot be read", "it is not UTF-8 text", f"edit {path}") from error
