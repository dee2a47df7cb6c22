"""Says whether a model file is intact: its sha256 against what was promised, its header and its tensors by the rules.

Knows how other programs name their blobs; knows no network and no models directory.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.errors import ModelError
from llmchat_engine.models.gguf import read_header
from llmchat_engine.models.gguf_open import open_model
from llmchat_engine.models.hub.pulled import Record
from llmchat_engine.models.meter import Meter
from llmchat_engine.models.progress import Progress

_STEP = 1 << 20
_OLLAMA = re.compile(r"sha256[-:]([0-9a-f]{64})")
_BLOB = re.compile(r"[0-9a-f]{64}")
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    ok: bool
    why: str
    """One sentence, in either case."""
    sha256: str
    """Hex; empty where the file could not be read."""


def verify(path: Path, record: Record | None) -> Generator[Progress, None, Verdict]:
    """Reads a whole file and says whether it is intact.

    Args:
        path: The file; of a split model each part is one of its own.
        record: What was pulled there; None where it was not, and then its name may tell its sha256.

    Yields:
        How much of it was read.

    Returns:
        The verdict. What is wrong with the file is in it: nothing is raised.
    """
    try:
        sha256, size = yield from _hashed(path)
    except ModelError as error:
        return Verdict(False, error.why, "")
    except OSError as error:
        return Verdict(False, f"reading failed: {error.strerror}", "")
    if record is not None and size != record.size:
        return Verdict(False, f"it has {size:,} bytes, {record.size:,} were pulled", sha256)
    promised, who = _promised(path, record)
    if promised and promised != sha256:
        why = f"it changed: its sha256 is {sha256[:12]}… in place of {promised[:12]}…, the one {who}"
        return Verdict(False, why, sha256)
    if wrong := _wrong_header(path):
        return Verdict(False, f"its sha256 is the one {who}, but {wrong}" if promised else wrong, sha256)
    if promised:
        return Verdict(True, f"its sha256 is the one {who}", sha256)
    return Verdict(True, "no sha256 is known to compare it with; all that can be seen of it is in order", sha256)


def _hashed(path: Path) -> Generator[Progress, None, tuple[str, int]]:
    digest, done = hashlib.sha256(), 0
    with open_model(path) as descriptor:
        size = os.fstat(descriptor).st_size
        meter = Meter(size, path.name)
        while piece := os.pread(descriptor, _STEP, done):
            digest.update(piece)
            done += len(piece)
            if meter.due():
                yield meter.told("verifying", done)
    return digest.hexdigest(), done


def _wrong_header(path: Path) -> str:
    """Returns what is wrong with the header or the place of a tensor; the first part of a model tells of all."""
    if _LATER_PART.search(path.name):
        return ""
    try:
        if path.suffix.lower() == ".gguf" or _begins_as_gguf(path):
            read_header(path)
    except ModelError as error:
        return error.why
    return ""


def _begins_as_gguf(path: Path) -> bool:
    with open_model(path) as descriptor:
        return os.pread(descriptor, 4, 0) == b"GGUF"


def _promised(path: Path, record: Record | None) -> tuple[str, str]:
    """Returns the sha256 a file should have, and who says so; both empty where nobody does."""
    if record is not None:
        return record.sha256, "that was pulled"
    real = Path(os.path.realpath(path))
    ollama, blob = _OLLAMA.fullmatch(real.name), _BLOB.fullmatch(real.name)
    if ollama is not None:
        return ollama[1], "in the name that Ollama gave it"
    if blob is not None and real.parent.name == "blobs":
        return blob[0], "in the name that its cache gave it"
    return "", ""
