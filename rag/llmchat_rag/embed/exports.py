"""What was adopted in place of torch, and where it is; read from one small file.

    HOME/exports/NAME-FINGERPRINT/export.json   what was adopted, or that nothing was
                                  model.onnx    absent where the model ships a file of its own that agrees

Writes nothing and loads no model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llmchat_rag.embed.folders import read_settings
from llmchat_rag.embed.models import Model
from llmchat_rag.errors import EmbedderBroken

RECIPE = 1
"""Raised where the same model is to be exported again."""
_READY = ("model_int8.onnx", "model_quantized.onnx", "model_qint8_avx512_vnni.onnx", "model.onnx")
"""What the models of the hub ship, smallest first; those for other processors are left out."""


@dataclass(frozen=True, slots=True)
class Export:
    """What answers questions in place of torch."""

    path: Path | None
    """None where nothing agreed with the model."""
    kind: str
    """`ready`, `int8`, `fp32` or `none`."""
    agreement: float = 0.0


def find_export(model: Model, fingerprint: str, home: Path) -> Export | None:
    """Returns what was adopted, else a file that the model ships; None where there is neither.

    Args:
        model: an embedding model.
        fingerprint: of the model.
        home: where exports are.
    """
    folder = export_folder(home, model.name, fingerprint)
    noted = noted_export(folder)
    if noted is None:
        ready = ready_file(model.transformer) or ready_file(model.folder)
        return Export(ready, "ready") if ready and model.plain else None
    return noted


def export_folder(home: Path, name: str, fingerprint: str) -> Path:
    """Returns where the export of a model is, or would be."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:60]
    return home / "exports" / f"{readable}-{fingerprint[:16]}"


def ready_file(folder: Path) -> Path | None:
    """Returns the ONNX file that a model ships."""
    return next((path for name in _READY if (path := folder / "onnx" / name).is_file()), None)


def noted_export(folder: Path) -> Export | None:
    """Returns what was adopted in a folder; None where nothing has been tried."""
    try:
        found = read_settings(folder / "export.json")
    except EmbedderBroken:
        return None
    if found.get("recipe") != RECIPE:
        return None
    path = Path(found["path"]) if isinstance(found.get("path"), str) else None
    path = folder / path if path else None
    if path and not path.is_file():
        return None
    return Export(path, str(found.get("kind")), float(found.get("agreement", 0)))
