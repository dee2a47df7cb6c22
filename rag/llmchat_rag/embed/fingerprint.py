"""What makes two vectors comparable: one digest over all that shapes a model's vectors.

Weights are hashed once and remembered by size and time, so that a question does not read them again. Loads no model.
"""

from __future__ import annotations

import contextlib
import json
import os
from hashlib import file_digest, sha256
from pathlib import Path

from llmchat_rag.embed.folders import read_settings
from llmchat_rag.embed.models import Model
from llmchat_rag.errors import EmbedderBroken

_RECIPE = 1
"""Raised where the same model would give other vectors."""
_MEMORY = "weights.json"


def fingerprint(model: Model, home: Path) -> str:
    """Returns the digest of a model: weights, pooling, normalising, length and prefixes.

    Args:
        model: on this machine.
        home: where the digests of weights are remembered; it need not be writable.

    Raises:
        EmbedderBroken: its files cannot be read.
    """
    parts = [
        _RECIPE,
        weights_digest(model.weights, home),
        model.pooling,
        model.normalise,
        model.limit,
        model.dimension,
        model.query_prefix,
        model.passage_prefix,
    ]
    return sha256(json.dumps(parts).encode()).hexdigest()


def weights_digest(files: tuple[Path, ...], home: Path) -> str:
    """Returns the SHA-256 of a file, or of the digests of several.

    Args:
        files: in order.
        home: where digests are remembered.

    Raises:
        EmbedderBroken: one cannot be read.
    """
    memory = _remembered(home)
    before = dict(memory)
    digests = [_digest(path, memory) for path in files]
    if memory != before:
        _remember(home, memory)
    return digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()


def _digest(path: Path, memory: dict[str, str]) -> str:
    """Returns the digest of one file; its key holds whatever changes with it."""
    try:
        real = path.resolve(strict=True)
        found = real.stat()
        key = f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}:{real}"
        if key not in memory:
            with real.open("rb") as file:
                memory[key] = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderBroken(f"{path} cannot be read", error.strerror or str(error)) from error
    return memory[key]


def _remembered(home: Path) -> dict[str, str]:
    try:
        found = read_settings(home / _MEMORY)
    except EmbedderBroken:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str) and len(value) == 64}


def _remember(home: Path, memory: dict[str, str]) -> None:
    """Writes the digests; a home that is read-only only costs the time to hash again."""
    target = home / _MEMORY
    temporary = home / f".{_MEMORY}.{os.getpid()}"
    with contextlib.suppress(OSError):
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps(memory, indent=0), encoding="utf-8")
        os.replace(temporary, target)
