"""One model file on this machine, and how folders are searched for such files. Links to folders are never followed.

Reads no file and knows neither names that users type (library.py) nor other programs' folders (stores.py).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

Origin = Literal["package", "models", "path", "hugging face", "ollama", "lm studio", "llama.cpp"]
"""Where a model was found: its package, our own directory, the path that was named, or another program's store."""

DEEPEST = 12
"""Folders below the first; a repository's own folders are two or three deep in a store's."""
MOST_FOLDERS = 20_000
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One model file that can be named."""

    name: str
    path: Path
    origin: Origin
    size: int
    """Bytes; of a split model its first part's."""
    repo: str = ""
    """The repository on the hub that it came from, as "user/name", where its place tells."""


def model_at(path: Path, origin: Origin, name: str = "", repo: str = "") -> LocalModel | None:
    """Returns the model at a path, named after its file unless a name is given; None where no plain file is there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return LocalModel(name or name_of(path), path, origin, found.st_size, repo) if stat.S_ISREG(found.st_mode) else None


def name_of(path: Path) -> str:
    """Returns what a file is called: without the ending where it has that of a model."""
    return path.stem if path.suffix.lower() == ".gguf" else path.name


def files_below(directory: Path) -> Iterator[Path]:
    """Yields the model files under a directory, by name, those of a folder before those of its folders.

    Links to files count. Projectors and the later parts of split models are left out, folders that this user may not
    read are passed by, and a tree that is too deep or too wide is searched in part.
    """
    top = len(directory.parts)
    for parent, folders, files in islice(os.walk(directory), MOST_FOLDERS):
        folders.sort()
        if len(Path(parent).parts) - top >= DEEPEST:
            folders.clear()
        yield from (Path(parent, file) for file in sorted(files) if _is_model(file))


def _is_model(file: str) -> bool:
    low = file.lower()
    return low.endswith(".gguf") and "mmproj" not in low and not _LATER_PART.search(file)
