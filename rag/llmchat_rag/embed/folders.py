"""A model's folder as data: its JSON files, its safetensors, and why it is refused. Pickles are never opened.

Knows no model library; what the files say is not trusted.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from llmchat_rag.errors import EmbedderBroken

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# The longest header of a real model has some hundred kilobytes; safetensors itself allows 100 MB.
_LONGEST_HEADER = 100 << 20


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds, or None where there is no such file.

    Raises:
        EmbedderBroken: it cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise EmbedderBroken(f"{path} cannot be read", str(error)) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the JSON object of a file; empty where there is no such file or it holds something else."""
    found = read_json(path)
    return found if isinstance(found, dict) else {}


def inside(folder: Path, name: str) -> Path:
    """Returns the path of a name that a model's own files give.

    Raises:
        EmbedderBroken: it leads out of the folder.
    """
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise EmbedderBroken(f"{folder} cannot be used", f"it names a file outside of itself: {name!r}")
    return folder / name


def weights_in(folder: Path) -> tuple[Path, ...]:
    """Returns the safetensors of one folder, in order; none where it has no weights at all.

    Raises:
        EmbedderBroken: its weights are pickles, or some are missing.
    """
    index = read_settings(folder / "model.safetensors.index.json")
    shards = index.get("weight_map")
    if isinstance(shards, dict):
        files = sorted({inside(folder, str(name)) for name in shards.values()})
        for path in files:
            _check_there(path)
        return tuple(files)
    if files := sorted(folder.glob("*.safetensors")):
        return tuple(files)
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    weighty = [name for name in pickles if name not in {"training_args.bin", "optimizer.pt", "scheduler.pt"}]
    if weighty:
        raise EmbedderBroken(
            f"{folder} cannot be used",
            f"its weights are a pickle ({weighty[0]}), which can run code when it is opened",
            "take a model with model.safetensors",
        )
    return ()


def shapes_in(path: Path) -> dict[str, list[int]]:
    """Returns the shape of every tensor of a safetensors file, from its header alone.

    Raises:
        EmbedderBroken: it is no safetensors file, or it is cut off.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 2 <= length <= min(size - 8, _LONGEST_HEADER) else None
    except (OSError, ValueError, RecursionError) as error:
        raise EmbedderBroken(f"{path} cannot be read", str(error)) from error
    if not isinstance(header, dict):
        raise EmbedderBroken(f"{path} cannot be used", "it is no safetensors file, or it is cut off")
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__" and isinstance(entry, dict)}
    end = max((int(entry["data_offsets"][1]) for entry in tensors.values() if "data_offsets" in entry), default=0)
    if size < 8 + length + end:
        raise EmbedderBroken(f"{path} is cut off", f"{size:,} bytes of {8 + length + end:,}")
    return {name: list(entry.get("shape", [])) for name, entry in tensors.items()}


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise EmbedderBroken(f"{path.parent} is not whole", f"{path.name} is missing")
